//! The methods by name, and the automatic choice among them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::SMALL;
use crate::error::MdpError;

/// A method of policy evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EvaluationMethod {
    /// Chooses by the number of states.
    #[default]
    Auto,
    /// `closed-form`: a sparse LU factorisation of I - gamma P_pi.
    ClosedForm,
    /// `iterative`: Jacobi sweeps, the iteration of the book.
    Iterative,
    /// `gauss-seidel`: sweeps in place, in an order that follows the policy.
    GaussSeidel,
    /// `bicgstab`: a preconditioned Krylov method.
    BiCgStab,
}

impl EvaluationMethod {
    /// The methods proper, without the automatic choice.
    pub const ALL: [Self; 4] = [Self::ClosedForm, Self::Iterative, Self::GaussSeidel, Self::BiCgStab];

    /// The name in recipes, flags and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ClosedForm => "closed-form",
            Self::Iterative => "iterative",
            Self::GaussSeidel => "gauss-seidel",
            Self::BiCgStab => "bicgstab",
        }
    }

    /// The method to use for so many states, and why.
    pub(super) fn choose(self, states: usize) -> (Self, String) {
        match self {
            Self::Auto if states <= SMALL => {
                let reason = format!("{states} states: few enough (up to {SMALL}) to solve directly");
                (Self::ClosedForm, reason)
            }
            Self::Auto => {
                let reason = format!(
                    "{states} states: too many (over {SMALL}) for a direct solve of any structure, and a Krylov method \
                     needs the fewest passes at any discount"
                );
                (Self::BiCgStab, reason)
            }
            chosen => (chosen, "asked for".to_owned()),
        }
    }
}

impl fmt::Display for EvaluationMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for EvaluationMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

const METHODS: &str = "auto, closed-form, iterative, gauss-seidel or bicgstab";

impl FromStr for EvaluationMethod {
    type Err = MdpError;

    /// # Errors
    /// [`MdpError::Setting`] where no method has the name.
    fn from_str(name: &str) -> Result<Self, MdpError> {
        let mut methods = [Self::Auto].into_iter().chain(Self::ALL);
        methods
            .find(|method| method.name() == name)
            .ok_or_else(|| MdpError::setting("method", name, METHODS))
    }
}

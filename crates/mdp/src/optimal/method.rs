//! The methods by name.

use std::fmt;
use std::str::FromStr;

use crate::error::MdpError;

/// How to find an optimal policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Chooses by discount and tolerance, and says why.
    #[default]
    Auto,
    /// v <- T v, all states from the old values.
    ValueIteration,
    /// Value iteration in place: each state from the newest values.
    GaussSeidel,
    /// Full evaluation of each policy, then the greedy one.
    PolicyIteration,
    /// A fixed number of evaluation sweeps for each policy.
    TruncatedPolicyIteration {
        /// Sweeps for each policy, at least 1; 1 is value iteration.
        sweeps: usize,
    },
    /// Policy iteration with inexact evaluation, by sweeps and by a Krylov method.
    KrylovPolicyIteration,
}

/// Sweeps for each policy where truncated policy iteration is asked for by its bare name.
const DEFAULT_SWEEPS: usize = 10;

/// The most sweeps of value iteration that `auto` finds fewer than bother with anything else.
const FEW_SWEEPS: f64 = 30.0;

impl Method {
    /// The methods that can be asked for by name, in the order of the book.
    pub const NAMES: [&'static str; 6] = [
        "auto",
        "value-iteration",
        "gauss-seidel",
        "policy-iteration",
        "truncated-policy-iteration",
        "krylov-policy-iteration",
    ];

    /// The name without parameters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ValueIteration => "value-iteration",
            Self::GaussSeidel => "gauss-seidel",
            Self::PolicyIteration => "policy-iteration",
            Self::TruncatedPolicyIteration { .. } => "truncated-policy-iteration",
            Self::KrylovPolicyIteration => "krylov-policy-iteration",
        }
    }

    /// What `Auto` stands for, and why.
    pub(super) fn resolve(self, discount: f64, tolerance: f64) -> (Self, String) {
        if self != Self::Auto {
            return (self, "asked for".to_owned());
        }
        let sweeps = (tolerance * (1.0 - discount)).ln() / discount.ln();
        if discount == 0.0 || sweeps <= FEW_SWEEPS {
            let reason = format!(
                "with discount {discount} each sweep shrinks the error so much that at most about {} suffice",
                sweeps.ceil().max(1.0)
            );
            (Self::ValueIteration, reason)
        } else {
            let needs = if sweeps.is_finite() {
                format!("may need {sweeps:.0} sweeps")
            } else {
                "has no fixed rate".into()
            };
            let reason = format!(
                "with discount {discount} value iteration {needs}; Newton steps, each solved roughly, need few, whatever the size"
            );
            (Self::KrylovPolicyIteration, reason)
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TruncatedPolicyIteration { sweeps } => write!(f, "{}:{sweeps}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// Parses a name of [`Method::NAMES`]; `truncated-policy-iteration:5` gives the sweeps.
impl FromStr for Method {
    type Err = MdpError;

    fn from_str(text: &str) -> Result<Self, MdpError> {
        let unknown = || MdpError::Setting {
            name: "method",
            found: format!("`{text}`"),
            expected: "auto, value-iteration, gauss-seidel, policy-iteration, truncated-policy-iteration[:SWEEPS] or krylov-policy-iteration",
        };
        Ok(match text.split_once(':').unwrap_or((text, "")) {
            ("auto", "") => Self::Auto,
            ("value-iteration", "") => Self::ValueIteration,
            ("gauss-seidel", "") => Self::GaussSeidel,
            ("policy-iteration", "") => Self::PolicyIteration,
            ("krylov-policy-iteration", "") => Self::KrylovPolicyIteration,
            ("truncated-policy-iteration", "") => Self::TruncatedPolicyIteration { sweeps: DEFAULT_SWEEPS },
            ("truncated-policy-iteration", sweeps) => {
                let sweeps = sweeps.parse().ok().filter(|&sweeps| sweeps >= 1).ok_or_else(unknown)?;
                Self::TruncatedPolicyIteration { sweeps }
            }
            _ => return Err(unknown()),
        })
    }
}

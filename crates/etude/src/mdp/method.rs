//! The solvers' methods as a recipe names them: checked while it is read, so that an error names the line or the flag.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::LazyLock;

use etude_mdp::optimal::Method;
use etude_mdp::policy_evaluation::EvaluationMethod;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// What stands before the number of sweeps of truncated policy iteration.
const TRUNCATED: &str = "truncated-policy-iteration:";

static EVALUATORS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let methods = [EvaluationMethod::Auto].into_iter().chain(EvaluationMethod::ALL);
    methods.map(EvaluationMethod::name).collect()
});

/// A method for optimal policies, such as `"value-iteration"` or `"truncated-policy-iteration:5"`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Solver(pub(super) Method);

impl<'de> Deserialize<'de> for Solver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(Name(&Method::NAMES, PhantomData))
            .map(Self)
    }
}

/// A method of policy evaluation, such as `"closed-form"`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evaluator(pub(super) EvaluationMethod);

impl<'de> Deserialize<'de> for Evaluator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Name(&EVALUATORS, PhantomData)).map(Self)
    }
}

/// Reads one of these names.
struct Name<T>(&'static [&'static str], PhantomData<T>);

impl<T: FromStr> Visitor<'_> for Name<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a method: {}", self.0.join(", "))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        name.parse().map_err(|_| {
            if name.starts_with(TRUNCATED) {
                let wanted = "`truncated-policy-iteration:` and a number of sweeps, 1 or more";
                E::invalid_value(Unexpected::Str(name), &wanted)
            } else {
                E::unknown_variant(name, self.0)
            }
        })
    }
}

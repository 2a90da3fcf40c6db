//! The policy that a recipe or a flag gives: by name, in a file, or state by state in the recipe itself.

use std::fmt;
use std::path::{Path, PathBuf};

use etude_mdp::Policy;
use etude_mdp::optimal::SolveOptions;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::problem::{Problem, with_model};
use super::reject;
use super::solve::solve_problem;
use crate::error::CommandError;
use crate::output::Output;
use crate::recipe::nearest;

/// The policies that need no file.
const BUILT_IN: [&str; 2] = ["uniform", "optimal"];

/// A policy as it stands in a recipe.
#[derive(Debug)]
pub(super) enum PolicyRecipe {
    /// `uniform`, `optimal`, or a policy file, relative to the recipe's folder.
    Named(String),
    /// One entry a state, as in a policy file: an action, a list of probabilities, or a table from actions to
    /// probabilities. An action is given by its label or its name.
    Listed(Vec<Value>),
}

impl PolicyRecipe {
    /// What to call the policy.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Listed(_) => "of the recipe",
        }
    }

    /// The file that this names, if it is one: seen from where the command runs, or from the recipe's folder.
    pub(super) fn file(&self, folder: &Path) -> Option<PathBuf> {
        let Self::Named(name) = self else { return None };
        let candidates = [PathBuf::from(name), folder.join(name)];
        let is_built_in = BUILT_IN.contains(&name.as_str());
        candidates.into_iter().find(|path| !is_built_in && path.exists())
    }

    /// The policy itself, solving the problem for an optimal one.
    pub(super) fn policy(&self, problem: &Problem, output: &Output) -> Result<Policy, CommandError> {
        let name = match self {
            Self::Named(name) => name,
            Self::Listed(entries) => return listed(problem, entries),
        };
        match name.as_str() {
            "uniform" => Ok(with_model!(&problem.model, model => Policy::uniform(model))),
            "optimal" => {
                let solved = solve_problem(problem, &SolveOptions::default(), "finding the optimal policy", output)?;
                with_model!(&problem.model, model => Policy::deterministic(model, solved.solution.policy))
                    .map_err(|error| reject(&error))
            }
            _ => {
                let path = self.file(&problem.folder).ok_or_else(|| missing(name))?;
                with_model!(&problem.model, model => Policy::read(model, &path)).map_err(|error| {
                    CommandError::bad_input(format!("cannot use the policy {}", path.display())).caused_by(&error)
                })
            }
        }
    }
}

fn missing(name: &str) -> CommandError {
    let missing = CommandError::bad_input(format!("cannot find the policy `{name}`"))
        .because("it is neither `uniform`, nor `optimal`, nor a file");
    match nearest(name, &BUILT_IN) {
        Some(name) => missing.hint(format!("did you mean `{name}`?")),
        None => missing.hint("a policy file is JSON: a list with one action, or list of probabilities, a state"),
    }
}

/// A policy from its entries, which a policy file would hold likewise, but for the names of actions.
fn listed(problem: &Problem, entries: &[Value]) -> Result<Policy, CommandError> {
    let label = |name: &str| problem.action_label(name);
    let by_label = |entry: &Value| match entry {
        Value::String(name) => label(name).map_or_else(|| entry.clone(), Value::from),
        Value::Object(probabilities) => Value::Object(
            probabilities
                .iter()
                .map(|(name, probability)| {
                    let label = label(name).map_or_else(|| name.clone(), |label| label.to_string());
                    (label, probability.clone())
                })
                .collect::<Map<_, _>>(),
        ),
        _ => entry.clone(),
    };
    let text = Value::Array(entries.iter().map(by_label).collect()).to_string();
    let place = Path::new("policy");
    with_model!(&problem.model, model => Policy::parse(model, place, text.as_bytes()))
        .map_err(|error| CommandError::bad_input("cannot use the policy of the recipe").caused_by(&error))
}

impl<'de> Deserialize<'de> for PolicyRecipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PolicyVisitor)
    }
}

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = PolicyRecipe;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`uniform`, `optimal`, a policy file, or a list with one entry a state")
    }

    fn visit_str<E>(self, name: &str) -> Result<PolicyRecipe, E> {
        Ok(PolicyRecipe::Named(name.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PolicyRecipe, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push(entry);
        }
        Ok(PolicyRecipe::Listed(entries))
    }
}

//! `--set key=value`: one value of a recipe, given on the command line.

use std::fmt::{self, Display};
use std::str::FromStr;

use toml::de::DeValue;

use super::problem::Problem;
use super::tree::{Node, Origin, Value};
use super::words::short;

/// As deep as the TOML parser goes.
const DEEPEST: usize = 80;

/// One value that replaces, or adds to, what a recipe file says.
#[derive(Debug, Clone)]
pub struct Override {
    flag: String,
    keys: Vec<String>,
    value: String,
}

impl Override {
    /// The override that a flag of its own stands for: `--gamma 0.9` is `from_flag("--gamma", "solve.gamma", "0.9")`.
    ///
    /// Errors in the value then name that flag. Each part of `key` (split at its dots) is a table's key. Text that may
    /// look like a number, such as a path, belongs in TOML's quotes.
    pub fn from_flag(flag: &str, key: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        let keys = key.split('.').map(str::to_owned).collect();
        Self {
            flag: format!("{flag} {value}"),
            keys,
            value,
        }
    }

    /// The path of keys from the root of the recipe; never empty.
    pub(crate) fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The value, every part of it at `origin`. What is no TOML value is text, so that a shell needs no second quotes.
    pub(super) fn node(&self, origin: Origin) -> Result<Node, Problem> {
        match DeValue::parse(&self.value) {
            Ok(value) => Node::new(value, &|_| origin).map_err(|problem| problem.inside(self.keys.join("."))),
            Err(_) => Ok(Node {
                value: Value::Text(self.value.clone()),
                origin,
            }),
        }
    }
}

/// Why a `key=value` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// There is no `=`.
    #[error("there is no `=` in it; write key=value, such as solve.gamma=0.9")]
    NoValue,
    /// A part of the key is empty or holds something other than letters, digits, `-` and `_`.
    #[error("the key must be names joined by dots, such as solve.gamma; found `{}`", short(.0))]
    BadKey(String),
    /// The key has more parts than any recipe.
    #[error("the key has {0} parts, and a recipe is at most {DEEPEST} tables deep")]
    TooDeep(usize),
}

impl FromStr for Override {
    type Err = OverrideError;

    /// Reads `key=value`, the argument of `--set`.
    fn from_str(text: &str) -> Result<Self, OverrideError> {
        let (key, value) = text.split_once('=').ok_or(OverrideError::NoValue)?;
        let keys: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if keys.iter().any(|part| part.is_empty() || !part.chars().all(is_bare)) {
            return Err(OverrideError::BadKey(key.to_owned()));
        }
        if keys.len() > DEEPEST {
            return Err(OverrideError::TooDeep(keys.len()));
        }
        Ok(Self {
            flag: format!("--set {text}"),
            keys,
            value: value.trim().to_owned(),
        })
    }
}

impl Display for Override {
    /// The flag as it was given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short(&self.flag))
    }
}

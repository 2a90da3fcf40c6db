//! What can be wrong in a recipe, in words.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::tree::Origin;
use super::words::{either, found_in_words, listed, nearest, quoted, short, values, wanted_in_words};

/// What is wrong, at which path of keys, and where that was written.
#[derive(Debug)]
pub(super) struct Problem {
    reason: Reason,
    /// From the innermost key outwards, as the readers return.
    path: Vec<String>,
    origin: Option<Origin>,
}

#[derive(Debug)]
enum Reason {
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    UnknownChoice {
        found: String,
        known: &'static [&'static str],
    },
    MissingKey(&'static str),
    WrongValue {
        wanted: String,
        found: String,
    },
    NotToml(String),
    Other(String),
}

impl Problem {
    fn new(reason: Reason) -> Self {
        Self {
            reason,
            path: Vec::new(),
            origin: None,
        }
    }

    /// A value that is `found` and should be `wanted`.
    pub(super) fn wrong_value(wanted: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Reason::WrongValue {
            wanted: wanted.into(),
            found: found.into(),
        })
    }

    /// The TOML parser stumbled over `found`, for a `reason` in its words.
    pub(super) fn not_toml(reason: &str, found: &str) -> Self {
        let found = if found.trim().is_empty() {
            String::new()
        } else {
            format!("; found `{}`", short(found))
        };
        Self::new(Reason::NotToml(format!("{reason}{found}")))
    }

    /// A value that makes no sense, for a reason that the caller knows.
    pub(super) fn other(reason: &str) -> Self {
        Self::new(Reason::Other(reason.to_owned()))
    }

    /// Names the place, unless a more exact one is named.
    pub(super) fn at(mut self, origin: Origin) -> Self {
        self.origin.get_or_insert(origin);
        self
    }

    /// Says that the path so far starts inside the value of `key`.
    pub(super) fn inside(mut self, key: impl Into<String>) -> Self {
        self.path.push(key.into());
        self
    }

    /// The place, where it is known. An override is not to blame for a key that is missing beside its own.
    pub(super) fn origin(&self) -> Option<Origin> {
        match (&self.reason, self.origin) {
            (Reason::MissingKey(_), Some(Origin::Flag(_))) => None,
            (_, origin) => origin,
        }
    }

    /// What to do, where that is known.
    pub(super) fn hint(&self) -> Option<String> {
        match &self.reason {
            Reason::UnknownKey { key: found, known } => Some(match nearest(found, known) {
                Some(key) => format!("did you mean `{key}`?"),
                None if known.is_empty() => "no key belongs here".into(),
                None => format!("the keys here are {}", listed(known)),
            }),
            Reason::UnknownChoice { found, known } => {
                nearest(found, known).map(|choice| format!("did you mean `{choice}`?"))
            }
            Reason::MissingKey(key) => Some(match self.field() {
                Some(table) => format!("add `{key} = ...` to [{table}], or give --set {table}.{key}=..."),
                None => format!("add `{key} = ...` or the table [{key}] to the recipe"),
            }),
            Reason::WrongValue { .. } | Reason::NotToml(_) | Reason::Other(_) => None,
        }
    }

    /// The dotted path of the field, such as `model.cells[2]`; none at the root.
    fn field(&self) -> Option<String> {
        let mut path = String::new();
        for key in self.path.iter().rev() {
            if !path.is_empty() && !key.starts_with('[') {
                path.push('.');
            }
            path.push_str(&short(key));
        }
        (!path.is_empty()).then_some(path)
    }

    fn table(&self) -> String {
        self.field()
            .map_or_else(|| "at the top of the recipe".into(), |field| format!("in [{field}]"))
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self
            .field()
            .map_or_else(|| "the recipe".into(), |field| format!("`{field}`"));
        match &self.reason {
            Reason::UnknownKey { key, .. } => write!(f, "unknown key `{}` {}", short(key), self.table()),
            Reason::UnknownChoice { found, known } => {
                write!(f, "{field} must be {}; found {}", either(known), quoted(found))
            }
            Reason::MissingKey(key) => write!(f, "the key `{key}` is missing {}", self.table()),
            Reason::WrongValue { wanted, found } => write!(f, "{field} must be {wanted}; found {found}"),
            Reason::NotToml(reason) => write!(f, "this is not TOML: {reason}"),
            Reason::Other(reason) => write!(f, "{field}: {reason}"),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: Display>(reason: T) -> Self {
        Self::other(&reason.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::wrong_value(wanted_in_words(wanted), found_in_words(found))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn invalid_length(found: usize, wanted: &dyn Expected) -> Self {
        Self::wrong_value(wanted_in_words(wanted), values(found))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownChoice {
            found: found.to_owned(),
            known,
        })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownKey {
            key: key.to_owned(),
            known,
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Reason::MissingKey(key))
    }
}

//! A recipe as a tree of values that know where each of them came from.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::words::{quoted, values};

/// Where a key or a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// At this byte of the recipe file.
    File(usize),
    /// In the override with this index.
    Flag(usize),
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// TOML without dates, which no recipe needs.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Number(f64),
    Truth(bool),
    List(Vec<Node>),
    Table(Table),
}

/// The entries of a table in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

/// One `key = value` of a table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) origin: Origin,
    pub(super) node: Node,
}

impl Node {
    /// Takes over what the TOML parser read; `origin` turns a byte of its text into an origin.
    pub(super) fn new(value: Spanned<DeValue<'_>>, origin: &impl Fn(usize) -> Origin) -> Result<Self, Problem> {
        let place = origin(value.span().start);
        let refuse = |wanted: &str, found: String| Problem::wrong_value(wanted, found).at(place);
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map(Value::Whole)
                .map_err(|_| refuse("a whole number between -2^63 and 2^63", digits.to_string()))?,
            DeValue::Float(digits) => digits
                .as_str()
                .parse()
                .map(Value::Number)
                .map_err(|_| refuse("a number", digits.to_string()))?,
            DeValue::Boolean(truth) => Value::Truth(truth),
            DeValue::Datetime(date) => return Err(refuse("quoted if it is text", format!("the date {date}"))),
            DeValue::Array(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| Self::new(item, origin))
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::Table(table) => Value::Table(Table::new(table, origin)?),
        };
        Ok(Self { value, origin: place })
    }
}

impl Table {
    /// Takes over what the TOML parser read, in the order of the text; see [`Node::new`].
    pub(super) fn new(table: DeTable<'_>, origin: &impl Fn(usize) -> Origin) -> Result<Self, Problem> {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries.into_iter().map(|(key, value)| {
            let place = origin(key.span().start);
            let key = key.into_inner().into_owned();
            let node = Node::new(value, origin).map_err(|problem| problem.inside(&key))?;
            Ok(Entry {
                key,
                origin: place,
                node,
            })
        });
        Ok(Self(entries.collect::<Result<_, _>>()?))
    }

    /// The value at `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// Puts `node` at the path `keys` and makes the tables on its way; a value that is there already keeps its place.
    pub(super) fn set(&mut self, keys: &[String], node: Node) -> Result<(), Problem> {
        let Some((key, rest)) = keys.split_first() else {
            return Ok(());
        };
        let origin = node.origin;
        let index = self.0.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
            let node = Node {
                value: Value::Table(Self::default()),
                origin,
            };
            self.0.push(Entry {
                key: key.clone(),
                origin,
                node,
            });
            self.0.len() - 1
        });
        let slot = &mut self.0[index].node;
        if rest.is_empty() {
            *slot = node;
            return Ok(());
        }
        match &mut slot.value {
            Value::Table(table) => table.set(rest, node).map_err(|problem| problem.inside(key)),
            other => Err(Problem::wrong_value("a table to hold a key", other.in_words())
                .inside(key)
                .at(origin)),
        }
    }
}

impl Value {
    /// The value as an error message shows it.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => format!("{number:?}"),
            Self::Truth(truth) => truth.to_string(),
            Self::List(items) => format!("a list of {}", values(items.len())),
            Self::Table(_) => "a table".into(),
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Text(text) => serializer.serialize_str(text),
            Value::Whole(number) => serializer.serialize_i64(*number),
            Value::Number(number) => serializer.serialize_f64(*number),
            Value::Truth(truth) => serializer.serialize_bool(*truth),
            Value::List(items) => serializer.collect_seq(items),
            Value::Table(table) => table.serialize(serializer),
        }
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for entry in &self.0 {
            map.serialize_entry(&entry.key, &entry.node)?;
        }
        map.end()
    }
}

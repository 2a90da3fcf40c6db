//! Reads a tree into a recipe's type, and says what is wrong where.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::problem::Problem;
use super::tree::{Entry, Node, Table, Value};
use super::words::{either, listed};

/// A value, with the key or the index in a list that leads to it.
pub(super) struct Reader<'a> {
    node: &'a Node,
    step: Step<'a>,
}

enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Reader<'a> {
    /// Reads a whole recipe.
    pub(super) fn new(root: &'a Node) -> Self {
        Self {
            node: root,
            step: Step::Root,
        }
    }

    /// Names the path and the place of this value in a problem that was met inside it.
    fn locate<T>(&self, result: Result<T, Problem>) -> Result<T, Problem> {
        result.map_err(|problem| match self.step {
            // The whole file is no place to name.
            Step::Root => problem,
            Step::Key(key) => problem.at(self.node.origin).inside(key),
            Step::Index(index) => problem.at(self.node.origin).inside(format!("[{index}]")),
        })
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.locate(match &self.node.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Whole(number) => visitor.visit_i64(*number),
            Value::Number(number) => visitor.visit_f64(*number),
            Value::Truth(truth) => visitor.visit_bool(*truth),
            Value::List(items) => read_list(items, visitor),
            Value::Table(table) => visitor.visit_map(MapDeserializer::new(readers(table))),
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    /// A choice without values is its name; one with values is a table with the name as its only key.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        choices: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.locate(match &self.node.value {
            Value::Text(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Value::Table(table) if table.0.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(readers(table))))
            }
            Value::Table(table) => {
                let keys: Vec<_> = table.0.iter().map(|entry| entry.key.as_str()).collect();
                let found = if keys.is_empty() {
                    "an empty table".into()
                } else {
                    listed(&keys)
                };
                let problem = Problem::wrong_value(format!("exactly one of {}", either(choices)), found);
                // The last of the keys is the one too many, and may come from an override.
                Err(table
                    .0
                    .last()
                    .map(|entry| entry.origin)
                    .into_iter()
                    .fold(problem, Problem::at))
            }
            other => Err(Problem::wrong_value(either(choices), other.in_words())),
        })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, Problem> for Reader<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn read_list<'de, V: Visitor<'de>>(items: &[Node], visitor: V) -> Result<V::Value, Problem> {
    let items = items.iter().enumerate().map(|(index, node)| Reader {
        node,
        step: Step::Index(index),
    });
    let mut list = SeqDeserializer::new(items);
    let value = visitor.visit_seq(&mut list)?;
    list.end()?;
    Ok(value)
}

fn readers(table: &Table) -> impl Iterator<Item = (Key<'_>, Reader<'_>)> {
    table.0.iter().map(|entry| {
        (
            Key(entry),
            Reader {
                node: &entry.node,
                step: Step::Key(&entry.key),
            },
        )
    })
}

/// The key of an entry: an unknown one is at its own place, not at its table's.
struct Key<'a>(&'a Entry);

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor
            .visit_str(&self.0.key)
            .map_err(|problem: Problem| problem.at(self.0.origin))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, Problem> for Key<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

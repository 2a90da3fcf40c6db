//! A recipe's text and overrides, merged into one tree.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::de::DeTable;

use super::deserializer::Reader;
use super::overrides::Override;
use super::problem::Problem;
use super::tree::{Node, Origin, Table, Value};
use crate::error::{CommandError, Context as _};

/// The merged tree, and what it takes to name the places in it.
#[derive(Debug)]
pub(super) struct Document {
    path: Option<PathBuf>,
    text: String,
    overrides: Vec<Override>,
    root: Node,
}

impl Document {
    /// Parses `text`, the content of the file at `path`, and applies the `overrides` in their order.
    pub(super) fn new(path: Option<PathBuf>, text: String, overrides: &[Override]) -> Result<Self, CommandError> {
        let root = Node {
            value: Value::Table(Table::default()),
            origin: Origin::File(0),
        };
        let mut document = Self {
            path,
            text,
            overrides: overrides.to_vec(),
            root,
        };
        match document.merge() {
            Ok(table) => document.root.value = Value::Table(table),
            Err(problem) => return Err(document.refuse(&problem)),
        }
        Ok(document)
    }

    fn merge(&self) -> Result<Table, Problem> {
        let file = DeTable::parse(&self.text).map_err(|error| {
            let span = error.span().unwrap_or(self.text.len()..self.text.len());
            let found = self.text.get(span.clone()).unwrap_or_default();
            Problem::not_toml(error.message(), found).at(Origin::File(span.start))
        })?;
        let mut table = Table::new(file.into_inner(), &Origin::File)?;
        for (index, given) in self.overrides.iter().enumerate() {
            table.set(given.keys(), given.node(Origin::Flag(index))?)?;
        }
        Ok(table)
    }

    /// Reads the recipe into its type.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, CommandError> {
        T::deserialize(Reader::new(&self.root)).map_err(|problem| self.refuse(&problem))
    }

    /// The merged recipe as TOML.
    pub(super) fn to_toml(&self) -> Result<String, CommandError> {
        toml::to_string(&self.root).failed_run(|| "cannot write the resolved recipe".into())
    }

    /// The error for the value at `field`, or for the innermost table around it that was written.
    pub(super) fn reject(&self, field: &str, reason: &str) -> CommandError {
        let mut origin = None;
        let mut node = &self.root;
        for key in field.split('.') {
            let Value::Table(table) = &node.value else { break };
            let Some(found) = table.get(key) else { break };
            node = found;
            origin = Some(node.origin);
        }
        let problem = Problem::other(reason).inside(field);
        self.refuse(&match origin {
            Some(origin) => problem.at(origin),
            None => problem,
        })
    }

    /// Puts `text` at `field`.
    pub(super) fn rewrite(&mut self, field: &str, text: &str) -> Result<(), CommandError> {
        let keys: Vec<String> = field.split('.').map(str::to_owned).collect();
        let node = Node {
            value: Value::Text(text.to_owned()),
            origin: self.root.origin,
        };
        match &mut self.root.value {
            Value::Table(table) => table.set(&keys, node).map_err(|problem| self.refuse(&problem)),
            _ => Ok(()),
        }
    }

    /// The report of `problem`, with the file and line or the flag that it comes from.
    fn refuse(&self, problem: &Problem) -> CommandError {
        let flag = match problem.origin() {
            Some(Origin::Flag(index)) => self.overrides.get(index),
            _ => None,
        };
        let error = CommandError::bad_input(match (flag, &self.path) {
            (Some(flag), _) => format!("cannot apply {flag}"),
            (None, Some(path)) => format!("cannot read the recipe {}", path.display()),
            (None, None) => "the settings are not complete".into(),
        });
        let error = error.because(match problem.origin() {
            Some(Origin::File(byte)) => format!("line {}: {problem}", self.line_number(byte)),
            _ => problem.to_string(),
        });
        match problem.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn line_number(&self, byte: usize) -> usize {
        1 + self.text.bytes().take(byte).filter(|&byte| byte == b'\n').count()
    }
}

//! The columns of a record that has been read and not yet understood.

use etude_lm::chat_template::{TemplateValue, ordered_json};

use super::record::Place;
use crate::AlignError;

/// The columns of a record, in their order; those that hold nothing count as absent.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) place: Place,
    columns: Vec<(String, TemplateValue)>,
}

impl Row {
    pub(super) fn new(place: Place, columns: impl IntoIterator<Item = (String, TemplateValue)>) -> Self {
        let columns = columns.into_iter().filter(|(_, value)| !value.is_none()).collect();
        Self { place, columns }
    }

    /// The columns of a JSON object.
    pub(super) fn from_json(place: Place, json: &[u8]) -> Result<Self, AlignError> {
        let value: TemplateValue = match serde_json::from_slice(json) {
            Ok(value) => value,
            // Its lines are those of the record alone, so that of JSON lines only the column is of use.
            Err(error) => {
                let detail = format!("it is no JSON: {error}");
                return Err(AlignError::Record { place, detail });
            }
        };
        Self::from_value(place, &value)
    }

    pub(super) fn from_value(place: Place, value: &TemplateValue) -> Result<Self, AlignError> {
        match pairs(value) {
            Some(columns) => Ok(Self::new(place, columns)),
            None => Err(AlignError::Record {
                detail: format!("it is {}, expected an object with columns as fields", shown(value)),
                place,
            }),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn get(&self, name: &str) -> Option<&TemplateValue> {
        self.columns
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Gives the column `from` the name `to`, in place of one that has it already.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), AlignError> {
        let Some(value) = self.take(from) else {
            return Err(self.wrong(from, None, "the column that the settings name"));
        };
        self.put(to, value);
        Ok(())
    }

    /// Adds a column, in place of one of that name.
    pub(super) fn put(&mut self, name: &str, value: TemplateValue) {
        self.columns.retain(|(known, _)| known != name);
        self.columns.push((name.to_owned(), value));
    }

    /// Takes a column out.
    pub(super) fn take(&mut self, name: &str) -> Option<TemplateValue> {
        let index = self.columns.iter().position(|(known, _)| known == name)?;
        Some(self.columns.remove(index).1)
    }

    /// Takes a column out that has to be there.
    pub(super) fn require(&mut self, name: &str, expected: &'static str) -> Result<TemplateValue, AlignError> {
        self.take(name).ok_or_else(|| self.wrong(name, None, expected))
    }

    /// Takes a text out; none where there is no such column.
    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, AlignError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(self.wrong(name, Some(&value), "text")),
            },
        }
    }

    pub(super) fn require_string(&mut self, name: &str) -> Result<String, AlignError> {
        self.string(name)?.ok_or_else(|| self.wrong(name, None, "text"))
    }

    /// Takes a number out, which CSV writes as text.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, AlignError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match value.as_str() {
            // An empty cell.
            Some("") => return Ok(None),
            Some(text) => text.trim().parse().ok(),
            None if value.is_number() => f64::try_from(value.clone()).ok(),
            None => None,
        };
        match number.filter(|number: &f64| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(name, Some(&value), "a finite number")),
        }
    }

    /// Takes yes or no out, which CSV writes as text.
    pub(super) fn require_bool(&mut self, name: &str) -> Result<bool, AlignError> {
        const EXPECTED: &str = "true or false";
        let value = self.require(name, EXPECTED)?;
        match value.as_str() {
            Some("true" | "True" | "TRUE") => Ok(true),
            Some("false" | "False" | "FALSE") => Ok(false),
            None if is_bool(&value) => Ok(value.is_true()),
            _ => Err(self.wrong(name, Some(&value), EXPECTED)),
        }
    }

    /// Takes a list or an object out, which may be JSON in a text.
    pub(super) fn json(&mut self, name: &str, expected: &'static str) -> Result<Option<TemplateValue>, AlignError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_str() {
            None => Ok(Some(value)),
            Some(text) => match ordered_json(text) {
                Ok(json) => Ok(Some(json).filter(|json| !json.is_none())),
                Err(_) => Err(self.wrong(name, Some(&value), expected)),
            },
        }
    }

    /// What is left.
    pub(super) fn into_other(self) -> Vec<(String, TemplateValue)> {
        self.columns
    }

    /// The error of a field.
    pub(super) fn wrong(&self, field: &str, found: Option<&TemplateValue>, expected: &'static str) -> AlignError {
        wrong(&self.place, field, found, expected)
    }
}

/// The error of a field, which may lie within another.
pub(super) fn wrong(place: &Place, field: &str, found: Option<&TemplateValue>, expected: &'static str) -> AlignError {
    AlignError::Field {
        place: place.clone(),
        field: field.to_owned(),
        found: found.map_or_else(|| "missing".to_owned(), shown),
        expected,
    }
}

/// The fields of an object; none where it is something else.
pub(super) fn pairs(value: &TemplateValue) -> Option<Vec<(String, TemplateValue)>> {
    // Lists have pairs too, of indices; an object of JSON has names alone.
    let object = value.as_object()?;
    if object.repr() != minijinja::value::ObjectRepr::Map {
        return None;
    }
    let pairs = object.try_iter_pairs()?;
    pairs
        .map(|(name, value)| Some((name.as_str()?.to_owned(), value)))
        .collect()
}

/// The entries of a list; none where it is something else.
pub(super) fn entries(value: &TemplateValue) -> Option<Vec<TemplateValue>> {
    let object = value.as_object()?;
    if object.repr() != minijinja::value::ObjectRepr::Seq {
        return None;
    }
    Some(object.try_iter()?.collect())
}

fn is_bool(value: &TemplateValue) -> bool {
    value.kind() == minijinja::value::ValueKind::Bool
}

/// A value in a message, as JSON, shortened.
pub(super) fn shown(value: &TemplateValue) -> String {
    const MOST: usize = 60;
    // A long text is cut before it is written as JSON.
    let cut: Option<String> = value.as_str().map(|text| text.chars().take(MOST).collect());
    let json = match &cut {
        Some(text) => serde_json::to_string(text),
        None => serde_json::to_string(value),
    };
    let json = json.unwrap_or_else(|_| format!("a {}", value.kind()));
    match json.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}..", &json[..end]),
        None => json,
    }
}

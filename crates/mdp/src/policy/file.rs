//! Policy files: JSON that a person, a script or `etude mdp solve --json` wrote.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Policy, Rows};
use crate::error::MdpError;
use crate::model::Model;

impl Policy {
    /// Reads a policy from a JSON file. It holds a list with one entry a state, or an object with such a list under
    /// the key `policy`, which is what `etude mdp solve --json` prints. An entry is
    ///
    /// - the label of an action: `2`,
    /// - a list of probabilities, one an action in the model's order: `[0.5, 0, 0.5]`,
    /// - an object from labels to probabilities: `{"0": 0.5, "2": 0.5}`,
    /// - anything of these, or `null`, for a terminal state; it is ignored.
    ///
    /// # Errors
    /// Names the file and the state, what was found and what was expected.
    pub fn read(model: &impl Model, path: &Path) -> Result<Self, MdpError> {
        let read_error = |source| MdpError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read_error)?;
        let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
        let policy = PolicyOf(model).deserialize(&mut json);
        policy.and_then(|policy| json.end().map(|()| policy)).map_err(|error| {
            if error.is_io() {
                read_error(error.into())
            } else {
                format_error(path, &error)
            }
        })
    }

    /// Reads a policy from the bytes of a file, as [`read`](Self::read) does; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(model: &impl Model, name: &Path, bytes: &[u8]) -> Result<Self, MdpError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let policy = PolicyOf(model).deserialize(&mut json);
        policy
            .and_then(|policy| json.end().map(|()| policy))
            .map_err(|error| format_error(name, &error))
    }
}

fn format_error(path: &Path, error: &serde_json::Error) -> MdpError {
    let empty = error.is_eof() && (error.line(), error.column()) == (1, 0);
    MdpError::Format {
        path: path.to_owned(),
        detail: if empty {
            "the file is empty".to_owned()
        } else {
            error.to_string()
        },
    }
}

/// Reads the whole file, entry by entry, so that memory stays near that of the policy.
struct PolicyOf<'a, M>(&'a M);

impl<'de, M: Model> DeserializeSeed<'de> for PolicyOf<'_, M> {
    type Value = Policy;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Policy, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, M: Model> Visitor<'de> for PolicyOf<'_, M> {
    type Value = Policy;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(r#"a list with one entry a state, or an object with such a list under "policy""#)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Policy, A::Error> {
        let states = self.0.states();
        let mut rows = Rows::default();
        for state in 0..states {
            let in_state = |detail: &dyn fmt::Display| A::Error::custom(format!("state {state}: {detail}"));
            let entry = list
                .next_element_seed(EntryOf(self.0.actions(state)))
                .map_err(|error| in_state(&error))?
                .ok_or_else(|| A::Error::custom(format!("{state} entries; expected {states}, one a state")))?;
            entry
                .push_to(&mut rows, self.0, state)
                .map_err(|detail| in_state(&detail))?;
        }
        match list.next_element::<IgnoredAny>()? {
            None => Ok(rows.into_policy()),
            Some(_) => Err(A::Error::custom(format!(
                "more than {states} entries; expected one a state"
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Policy, A::Error> {
        let mut policy = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "policy" {
                map.next_value::<IgnoredAny>()?;
            } else if policy.is_none() {
                policy = Some(map.next_value_seed(PolicyOf(self.0))?);
            } else {
                return Err(A::Error::custom(r#"the key "policy" comes twice"#));
            }
        }
        policy.ok_or_else(|| A::Error::custom(r#"the object has no key "policy""#))
    }
}

/// What a file says of one state.
enum Entry {
    Nothing,
    Label(u32),
    ByAction(Vec<f64>),
    ByLabel(Vec<(u32, f64)>),
}

impl Entry {
    fn push_to(self, rows: &mut Rows, model: &impl Model, state: usize) -> Result<(), String> {
        let count = model.actions(state);
        if count == 0 {
            rows.push_terminal();
            return Ok(());
        }
        match self {
            Self::Nothing => Err("null; expected an action, since the state is not terminal".to_owned()),
            Self::Label(label) => {
                let index = (0..count).find(|&action| model.action_label(state, action) == label);
                let index = index.ok_or_else(|| unknown_label(model, state, label))?;
                rows.push([(index as u32, 1.0)])
            }
            Self::ByAction(probabilities) => rows.push_by_action(count, &probabilities),
            Self::ByLabel(mut entries) => {
                let mut labels: Vec<_> = (0..count)
                    .map(|action| (model.action_label(state, action), action as u32))
                    .collect();
                labels.sort_unstable();
                for (label, _) in &mut entries {
                    let place = labels.binary_search_by_key(label, |&(label, _)| label);
                    *label = place.map_or_else(|_| Err(unknown_label(model, state, *label)), |i| Ok(labels[i].1))?;
                }
                entries.sort_unstable_by_key(|&(action, _)| action);
                if let Some(twice) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    let label = model.action_label(state, twice[0].0 as usize);
                    return Err(format!("action {label} comes twice"));
                }
                rows.push(entries)
            }
        }
    }
}

/// Names the first few labels that the state has.
fn unknown_label(model: &impl Model, state: usize, found: u32) -> String {
    const SHOWN: usize = 8;
    let count = model.actions(state);
    let labels: Vec<_> = (0..count.min(SHOWN))
        .map(|action| model.action_label(state, action).to_string())
        .collect();
    let more = if count > SHOWN { ", ..." } else { "" };
    format!("no action {found}; expected one of {}{more}", labels.join(", "))
}

/// Reads what a file says of a state with so many actions, and no more entries than that.
struct EntryOf(usize);

impl EntryOf {
    /// All entries that `next` gives; of a terminal state, none.
    fn collect<T, E: serde::de::Error>(&self, mut next: impl FnMut() -> Result<Option<T>, E>) -> Result<Vec<T>, E> {
        let count = self.0;
        let mut entries = Vec::new();
        while let Some(entry) = next()? {
            if count > 0 && entries.len() == count {
                return Err(E::custom(format!(
                    "more than {count} probabilities; expected at most one an action"
                )));
            }
            if count > 0 {
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

impl<'de> DeserializeSeed<'de> for EntryOf {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EntryOf {
    type Value = Entry;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an action label, a list of probabilities, or an object from labels to probabilities")
    }

    fn visit_unit<E>(self) -> Result<Entry, E> {
        Ok(Entry::Nothing)
    }

    fn visit_u64<E: serde::de::Error>(self, label: u64) -> Result<Entry, E> {
        u32::try_from(label)
            .map(Entry::Label)
            .map_err(|_| E::custom(format!("no action {label}; expected a label below 2^32")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry, A::Error> {
        self.collect(|| list.next_element()).map(Entry::ByAction)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        self.collect(|| map.next_entry()).map(Entry::ByLabel)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::{entries, model};
    use super::*;

    fn parse(json: &str) -> Result<Policy, MdpError> {
        Policy::parse(&model(), Path::new("policy.json"), json.as_bytes())
    }

    #[test]
    fn entries_of_every_kind_are_read() {
        let expected = [vec![(1, 1.0)], vec![(0, 0.5), (2, 0.5)], vec![]];
        for json in [
            r#"[1, {"30": 0.5, "10": 0.5}, null]"#,
            "[[0, 1], [0.5, 0, 0.5], []]",
            r#"{"method": "x", "values": [1, 2, 3], "policy": [1, [0.5, 0, 0.5], [1, 2]]}"#,
        ] {
            assert_eq!(entries(&parse(json).unwrap()), expected, "{json}");
        }
        let labels = parse("[0, 20, 0]").unwrap();
        assert_eq!(labels, Policy::deterministic(&model(), vec![0, 1, 0]).unwrap());
    }

    #[test]
    fn errors_name_file_state_value_and_expectation() {
        for (json, expected) in [
            ("", "the file is empty"),
            ("[", "EOF while parsing a list"),
            ("3", "expected a list with one entry a state"),
            ("{}", r#"the object has no key "policy""#),
            (
                r#"{"policy": [0, 10, 0], "policy": []}"#,
                r#"the key "policy" comes twice"#,
            ),
            ("[0, 10]", "2 entries; expected 3, one a state"),
            ("[0, 10, null, 0]", "more than 3 entries"),
            ("[0, 10, null] x", "trailing characters"),
            ("[0, 2, null]", "state 1: no action 2; expected one of 10, 20, 30"),
            (
                "[-1, 10, null]",
                "state 0: invalid type: integer `-1`, expected an action label",
            ),
            ("[5000000000, 10, null]", "state 0: no action 5000000000"),
            (
                r#"["up", 10, null]"#,
                "state 0: invalid type: string \"up\", expected an action label",
            ),
            ("[null, 10, null]", "state 0: null; expected an action"),
            (r#"[{"9": 1}, 10, null]"#, "state 0: no action 9; expected one of 0, 1"),
            (r#"[{"0": 0.5, "00": 0.5}, 10, null]"#, "state 0"),
            (r#"[{"0": 0.5, "0": 0.5}, 10, null]"#, "state 0: action 0 comes twice"),
            (
                "[[0.5, 0.6], 10, null]",
                "state 0: the probabilities sum to 1.1; expected 1",
            ),
            ("[[1], 10, null]", "state 0: 1 probabilities; expected 2"),
            (
                "[[0, 1, 0], 10, null]",
                "state 0: more than 2 probabilities; expected at most one an action",
            ),
            ("[{}, 10, null]", "state 0: the probabilities sum to 0"),
        ] {
            let message = parse(json).unwrap_err().to_string();
            assert!(message.starts_with("policy.json: "), "{message}");
            assert!(message.contains(expected), "{json}: {message}");
        }
    }

    #[test]
    fn a_file_is_read_as_its_bytes_are() {
        let path = std::env::temp_dir().join(format!("etude-policy-{}.json", std::process::id()));
        fs::write(&path, "[1, 10, null]").unwrap();
        assert_eq!(Policy::read(&model(), &path).unwrap(), parse("[1, 10, null]").unwrap());
        fs::remove_file(&path).unwrap();
        assert!(matches!(Policy::read(&model(), &path), Err(MdpError::Read { .. })));
    }
}

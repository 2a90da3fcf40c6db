//! Gymnasium's transition dictionary `P` as JSON.
//!
//! ```json
//! {"state": {"action": [[probability, next, reward, terminated], ...]}}
//! ```
//!
//! States are the numbers from 0 on, without gaps and in any order; actions are numbers. A transition with `terminated`
//! ends the episode: it leads to a state of the file like any other, but nothing follows.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{build, bytes, fault};
use crate::builder::{MdpBuilder, Next};
use crate::error::MdpError;
use crate::mdp::Mdp;

/// Reads a model from a JSON file.
///
/// # Errors
/// Names the file, and the state and action or the line and column, what was found and what was expected.
pub fn read(path: &Path) -> Result<Mdp, MdpError> {
    parse(path, &bytes(path)?)
}

/// Reads a model from the bytes of a file; `name` stands for it in errors.
///
/// # Errors
/// As [`read`].
pub fn parse(name: &Path, bytes: &[u8]) -> Result<Mdp, MdpError> {
    let mut model = Collected {
        builder: MdpBuilder::of_unknown_size(),
        last_end: None,
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let states = States(&mut model).deserialize(&mut json);
    let ids = states
        .and_then(|ids| json.end().map(|()| ids))
        .map_err(|error| fault(name, explain(bytes, &error)))?;
    if let (Some((next, state, action)), Some(&last)) = (model.last_end, ids.last())
        && next > last
    {
        return Err(fault(
            name,
            format!(
                "state {state}, action {action}: the next state {next} is not in the file, whose last one is {last}"
            ),
        ));
    }
    build(name, model.builder, ids)
}

/// The message of an error, with a word on what Python writes for numbers that are not finite.
fn explain(bytes: &[u8], error: &serde_json::Error) -> String {
    let line = bytes.split(|&byte| byte == b'\n').nth(error.line().saturating_sub(1));
    let rest = line
        .and_then(|line| line.get(error.column().saturating_sub(1)..))
        .unwrap_or_default();
    if bytes.trim_ascii().is_empty() {
        "the file is empty".into()
    } else if rest.starts_with(b"NaN") || rest.starts_with(b"Infinity") {
        format!("{error}: NaN or Infinity; expected a finite number")
    } else {
        error.to_string()
    }
}

/// What the file has said so far.
struct Collected {
    builder: MdpBuilder,
    /// Of the transitions that terminate, the one to the highest state: that state, and where it was reached from.
    last_end: Option<(u32, u32, u32)>,
}

/// The whole file. Gives the ids of the states, in ascending order.
struct States<'a>(&'a mut Collected);

impl<'de> DeserializeSeed<'de> for States<'_> {
    type Value = Vec<u32>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for States<'_> {
    type Value = Vec<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of states")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut states: A) -> Result<Self::Value, A::Error> {
        let mut ids = Vec::new();
        while let Some(state) = states.next_key()? {
            states.next_value_seed(Actions { model: self.0, state })?;
            ids.push(state);
        }
        unique("state", ids)
    }
}

/// The actions of one state.
struct Actions<'a> {
    model: &'a mut Collected,
    state: u32,
}

impl<'de> DeserializeSeed<'de> for Actions<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Actions<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of the actions of state {}", self.state)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut actions: A) -> Result<(), A::Error> {
        let state = self.state;
        let mut labels = Vec::new();
        while let Some(action) = actions.next_key()? {
            actions.next_value_seed(Transitions {
                model: self.model,
                state,
                action,
            })?;
            labels.push(action);
        }
        if labels.is_empty() {
            return Err(A::Error::custom(MdpError::NoActions { state: state as usize }));
        }
        unique(&format!("state {state}: action"), labels).map(drop)
    }
}

/// The transitions of one state and action.
struct Transitions<'a> {
    model: &'a mut Collected,
    state: u32,
    action: u32,
}

impl<'de> DeserializeSeed<'de> for Transitions<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Transitions<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a list of the transitions of state {}, action {}",
            self.state, self.action
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut transitions: A) -> Result<(), A::Error> {
        let Self { model, state, action } = self;
        let mut empty = true;
        while let Some((probability, next, reward, terminated)) =
            transitions.next_element::<(f64, u32, f64, bool)>().map_err(|error| {
                let expected = "[probability, next, reward, terminated]";
                A::Error::custom(format!(
                    "state {state}, action {action}: not a transition {expected}: {error}"
                ))
            })?
        {
            let successor = if terminated {
                model.last_end = model.last_end.max(Some((next, state, action)));
                Next::End
            } else {
                Next::State(next as usize)
            };
            model
                .builder
                .transition(state as usize, action, successor, probability, reward);
            model.builder.take_error().map_err(A::Error::custom)?;
            empty = false;
        }
        if empty {
            return Err(A::Error::custom(format!(
                "state {state}, action {action}: no transitions; expected at least one"
            )));
        }
        Ok(())
    }
}

/// Numbers that each came once, in ascending order.
fn unique<E: Error>(what: &str, mut numbers: Vec<u32>) -> Result<Vec<u32>, E> {
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(E::custom(format!("{what} {} comes twice", pair[0]))),
        None => Ok(numbers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Model, TERMINAL};

    fn read_text(text: &str) -> Result<Mdp, String> {
        parse(Path::new("p.json"), text.as_bytes()).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", source.unwrap_or_default())
        })
    }

    #[test]
    fn reads_states_in_any_order() {
        let mdp = read_text(
            r#" {"1": {"7": [[1, 1, 0, false]]},
                 "0": {"3": [[0.5, 1, 2, true], [0.25, 0, -1, false], [0.25, 0, -1, false]], "2": [[1.0, 1, 5, false]]}}"#,
        )
        .unwrap();
        let labels = |state| {
            (0..mdp.actions(state))
                .map(|action| mdp.action_label(state, action))
                .collect::<Vec<_>>()
        };
        assert_eq!((labels(0), labels(1)), (vec![2, 3], vec![7]));
        assert_eq!((mdp.reward(0, 0), mdp.reward(0, 1)), (5.0, 0.5));
        let mut successors = Vec::new();
        mdp.successors(0, 1, |next, probability| successors.push((next, probability)));
        assert_eq!(successors, [(0, 0.5), (TERMINAL, 0.5)]);
        assert!(mdp.has_terminal());
    }

    #[track_caller]
    fn complains(text: &str, complaint: &str) {
        let error = read_text(text).unwrap_err();
        assert!(error.contains(complaint), "{text}: `{complaint}` is not in: {error}");
    }

    #[test]
    fn wrong_shapes_are_named() {
        complains("", "p.json: the file is empty");
        complains(" \n", "p.json: the file is empty");
        complains("[1]", "expected an object of states at line 1 column 0");
        complains(&"[".repeat(100_000), "expected an object of states");
        complains(r#"{"x": {}}"#, "expected key to be a number in quotes at line 1");
        complains(r#"{"0": {"-1": []}}"#, "at line 1 column");
        complains(
            r#"{"0": [1]}"#,
            "expected an object of the actions of state 0 at line 1",
        );
        complains(
            r#"{"0": {"1": 2}}"#,
            "expected a list of the transitions of state 0, action 1 at line 1",
        );
        complains(
            r#"{"0": {"1": [[1, 0, 0, true]]}"#,
            "EOF while parsing an object at line 1",
        );
        complains(r#"{"0": {"1": [[1, 0, 0, true]]}} x"#, "trailing characters");
    }

    #[test]
    fn wrong_transitions_are_named() {
        for (transitions, complaint) in [
            ("[]", "no transitions; expected at least one"),
            (
                "\n[[1, 0, 0]]",
                "not a transition [probability, next, reward, terminated]: invalid length 3",
            ),
            (
                "[[1, 0, 0, false, 9]]",
                "not a transition [probability, next, reward, terminated]: trailing",
            ),
            (r#"[["1", 0, 0, false]]"#, "invalid type: string \"1\", expected f64"),
            (
                "[[1, 0.5, 0, false]]",
                "invalid type: floating point `0.5`, expected u32",
            ),
            ("[[1, -1, 0, false]]", "invalid value: integer `-1`, expected u32"),
            ("[[1, 0, 1e999, false]]", "number out of range at line 1"),
            (
                "[[NaN, 0, 0, false]]",
                "at line 1 column 15: NaN or Infinity; expected a finite number",
            ),
            (
                "\n[[1, 0, Infinity, false]]",
                "at line 2 column 9: NaN or Infinity; expected a finite number",
            ),
            (
                "[[1, 0, -Infinity, false]]",
                "NaN or Infinity; expected a finite number",
            ),
            (
                "[[-0.5, 0, 0, true]]",
                "the probability of reaching state 0 is -0.5; expected a number in [0, 1]",
            ),
            (
                "[[1.5, 0, 0, false]]",
                "the probability of reaching state 0 is 1.5; expected a number in [0, 1]",
            ),
            ("[[0.9, 0, 0, false]]", "the probabilities sum to 0.9; expected 1"),
            ("[[0, 0, 0, false]]", "the probabilities sum to 0; expected 1"),
            (
                "[[1, 3, 0, false]]",
                "the next state 3 is out of range; the model has states 0 to 0",
            ),
            (
                "[[1, 3, 0, true]]",
                "the next state 3 is not in the file, whose last one is 0",
            ),
            (
                "[[1, 4294967295, 0, false]]",
                "the next state 4294967295 is out of range",
            ),
            ("[[1, 0, 0, tr", "not a transition"),
        ] {
            let text = format!(r#"{{"0": {{"1": {transitions}}}}}"#);
            complains(&text, complaint);
            complains(&text, "state 0, action 1: ");
        }
    }

    #[test]
    fn wrong_states_and_actions_are_named() {
        complains("{}", "the model has no states");
        complains(r#"{"0": {}}"#, "state 0 has no actions");
        let actions = r#"{"0": [[1, 0, 0, true]]}"#;
        complains(
            &format!(r#"{{"0": {actions}, "2": {actions}}}"#),
            "state 1 is missing; the file has states up to 2",
        );
        complains(
            &format!(r#"{{"4000000000": {actions}}}"#),
            "state 0 is missing; the file has states up to 4000000000",
        );
        complains(&format!(r#"{{"0": {actions}, "0": {actions}}}"#), "state 0 comes twice");
        complains(
            r#"{"3": {"7": [[1, 3, 0, true]], "7": [[1, 3, 0, true]]}}"#,
            "state 3: action 7 comes twice",
        );
    }
}

//! Models as comma-separated values, a line a transition.
//!
//! ```text
//! state,action,next,probability,reward
//! # Action 0 tries to leave state 0 and slips one time in five.
//! 0,0,1,0.8,-1
//! 0,0,0,0.2,-1
//! # State 1 is terminal: it leads to itself, with reward 0.
//! 1,0,1,1,0
//! ```
//!
//! A sixth column `terminated` (`true` or `false`, `1` or `0`) marks transitions that end the episode; what such a
//! line says of `next` does not count. Blank lines and lines that start with `#` are skipped.

use std::path::Path;
use std::str::FromStr;

use super::{build, bytes, fault, shown};
use crate::builder::{MdpBuilder, Next};
use crate::error::MdpError;
use crate::mdp::Mdp;

const COLUMNS: [&str; 6] = ["state", "action", "next", "probability", "reward", "terminated"];

/// The fields of one line; empty where it has fewer.
type Fields<'a> = [&'a str; 6];

/// Reads a model from a CSV file.
///
/// # Errors
/// Names the file, and the line and column or the state and action, what was found and what was expected.
pub fn read(path: &Path) -> Result<Mdp, MdpError> {
    parse(path, &bytes(path)?)
}

/// Reads a model from the bytes of a file; `name` stands for it in errors.
///
/// # Errors
/// As [`read`].
pub fn parse(name: &Path, bytes: &[u8]) -> Result<Mdp, MdpError> {
    let mut builder = MdpBuilder::of_unknown_size();
    let mut ids = Vec::new();
    let mut header = None;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes); // the byte-order mark that Excel writes
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let on_line = |detail: String| fault(name, format!("line {number}: {detail}"));
        let line = std::str::from_utf8(line)
            .map_err(|_| on_line("it is not UTF-8 text".into()))?
            .trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (found, fields) = split(line);
        let Some(columns) = header else {
            if !(5..=6).contains(&found) || fields[..found] != COLUMNS[..found] {
                return Err(on_line(format!(
                    "the header is `{}`; expected `{}`, and after it `,terminated` or nothing",
                    shown(line),
                    COLUMNS[..5].join(",")
                )));
            }
            header = Some(found);
            continue;
        };
        if found != columns {
            return Err(on_line(format!("{found} columns; expected {columns}")));
        }
        let state = push(&mut builder, &fields).map_err(on_line)?;
        if ids.last() != Some(&state) {
            ids.push(state);
        }
    }
    if header.is_none() {
        return Err(fault(name, "the file is empty"));
    }
    build(name, builder, ids)
}

/// The number of fields of a line, and the first six, freed of spaces and of the quotes that some programs write.
fn split(line: &str) -> (usize, Fields<'_>) {
    let mut fields = Fields::default();
    let mut found = 0;
    for field in line.split(',') {
        if let Some(place) = fields.get_mut(found) {
            *place = field.trim().trim_matches('"');
        }
        found += 1;
    }
    (found, fields)
}

/// Adds the transition of one line and returns its state.
fn push(builder: &mut MdpBuilder, fields: &Fields<'_>) -> Result<u32, String> {
    let index = "a whole number from 0 to 4294967294";
    let state: u32 = number(fields, 0, index)?;
    let next: u32 = number(fields, 2, index)?;
    let next = match fields[5] {
        "" | "0" | "false" | "False" | "FALSE" => Next::State(next as usize),
        "1" | "true" | "True" | "TRUE" => Next::End,
        found => {
            return Err(format!(
                "column `terminated` is `{}`; expected true, false, 1 or 0",
                shown(found)
            ));
        }
    };
    let (probability, reward) = (number(fields, 3, "a number")?, number(fields, 4, "a number")?);
    builder.transition(state as usize, number(fields, 1, index)?, next, probability, reward);
    builder.take_error().map_err(|error| error.to_string())?;
    Ok(state)
}

fn number<T: FromStr>(fields: &Fields<'_>, column: usize, expected: &str) -> Result<T, String> {
    let found = fields[column];
    found.parse().map_err(|_| {
        format!(
            "column `{}` is `{}`; expected {expected}",
            COLUMNS[column],
            shown(found)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Model, TERMINAL};

    fn read_text(text: &str) -> Result<Mdp, String> {
        parse(Path::new("p.csv"), text.as_bytes()).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", source.unwrap_or_default())
        })
    }

    #[test]
    fn reads_lines_in_any_order() {
        let mdp = read_text(
            "# A comment before the header.\n\nstate, action, next, probability, reward, terminated\r\n\
             1,4,0,1,0.5,False\n   \n0,0,1,0.5,1,0\n# one more\n 0 , 0 , 9 , 0.5 , 3 , True\n\"0\",1,1,1e0,-2,false",
        )
        .unwrap();
        assert_eq!((mdp.states(), mdp.rows(), mdp.transitions()), (2, 3, 4));
        assert_eq!(
            (mdp.reward(0, 0), mdp.reward(0, 1), mdp.action_label(1, 0)),
            (2.0, -2.0, 4)
        );
        let mut successors = Vec::new();
        mdp.successors(0, 0, |next, probability| successors.push((next, probability)));
        assert_eq!(successors, [(1, 0.5), (TERMINAL, 0.5)]);
    }

    #[track_caller]
    fn complains(text: &str, complaint: &str) {
        let error = read_text(text).unwrap_err();
        assert!(error.contains(complaint), "{text}: `{complaint}` is not in: {error}");
    }

    #[test]
    fn wrong_files_are_named() {
        complains("", "p.csv: the file is empty");
        complains("\n# nothing\n", "p.csv: the file is empty");
        complains("state,action,next,probability,reward\n", "the model has no states");
        complains(
            "0,0,0,1,0\n",
            "line 1: the header is `0,0,0,1,0`; expected `state,action,next,probability,reward`",
        );
        complains("state,action,next,reward,probability\n", "line 1: the header is");
        complains("\nstate,action,next,probability,reward,done\n", "line 2: the header is");
        let long = "x".repeat(100_000);
        complains(&long, &format!("line 1: the header is `{}`; expected", &long[..60]));
        complains("\u{1b}[2J", r"line 1: the header is `\u{1b}[2J`; expected");
        complains("state;action;next;probability;reward\n", "line 1: the header is");
        complains(
            "state,action,next,probability,reward,terminated\n0,0,0,1,0,yes",
            "column `terminated` is `yes`",
        );
        let error = parse(
            Path::new("p.csv"),
            b"state,action,next,probability,reward\n0,\xff,0,1,0",
        )
        .unwrap_err();
        assert!(error.to_string().contains("line 2: it is not UTF-8"), "{error}");
    }

    #[test]
    fn wrong_lines_are_named() {
        for (lines, complaint) in [
            ("0,0,0,1", "line 2: 4 columns; expected 5"),
            ("\n# x\n0,0,0,1,0,true", "line 4: 6 columns; expected 5"),
            (
                "x,0,0,1,0",
                "line 2: column `state` is `x`; expected a whole number from 0 to 4294967294",
            ),
            (
                "0,1.5,0,1,0",
                "line 2: column `action` is `1.5`; expected a whole number",
            ),
            ("0,0,-1,1,0", "line 2: column `next` is `-1`; expected a whole number"),
            (
                "0,0,4294967296,1,0",
                "line 2: column `next` is `4294967296`; expected a whole number",
            ),
            (
                "0,0,4294967295,1,0",
                "line 2: state 0, action 0: the next state 4294967295 is out of range",
            ),
            ("0,0,0,,0", "line 2: column `probability` is ``; expected a number"),
            ("0,0,0,1,one", "line 2: column `reward` is `one`; expected a number"),
            (
                "0,0,0,1,0\n0,1,0,-0.1,0",
                "line 3: state 0, action 1: the probability of reaching state 0 is -0.1",
            ),
            (
                "0,0,0,nan,0",
                "line 2: state 0, action 0: the probability of reaching state 0 is NaN",
            ),
            (
                "0,0,0,1,-inf",
                "line 2: state 0, action 0: the reward is -inf; expected a finite number",
            ),
            (
                "0,0,0,0.9,0",
                "state 0, action 0: the probabilities sum to 0.9; expected 1",
            ),
            ("0,0,0,0,0", "state 0, action 0: the probabilities sum to 0; expected 1"),
            (
                "0,0,1,1,0",
                "state 0, action 0: the next state 1 is out of range; the model has states 0 to 0",
            ),
            ("0,0,1,1,0", "a terminal state leads to itself with reward 0"),
            (
                "4000000000,0,4000000000,1,0",
                "state 0 is missing; the file has states up to 4000000000",
            ),
            (
                "0,0,2,1,0\n2,0,2,1,0",
                "state 1 is missing; the file has states up to 2",
            ),
        ] {
            complains(&format!("state,action,next,probability,reward\n{lines}"), complaint);
        }
    }
}

//! One readable report for everything that can go wrong.
//!
//! A library error gains its context at the boundary of the command and becomes a [`CommandError`]:
//! what could not be done, because of what, and what to do about it.
//!
//! ```text
//! error: cannot read the recipe recipes/mdp/grid.toml
//!   because: line 7: unknown key `gama` in [solve]
//!   hint: did you mean `gamma`?
//! ```

use std::error::Error;
use std::fmt::{self, Display, Write as _};

/// Who has to act, which is also what the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input has to be mended: flags, a recipe, a model file. Exit code 2.
    BadInput,
    /// The input was fine and the run failed. Exit code 1.
    FailedRun,
}

/// An error as the user reads it: a message, the chain of its causes, and a hint.
#[derive(Debug)]
pub struct CommandError {
    kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl CommandError {
    /// The user's input has to be mended; `message` says what could not be done with it.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadInput, message.into())
    }

    /// A run failed on good input; `message` says what could not be done.
    pub fn failed_run(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::FailedRun, message.into())
    }

    fn new(kind: ErrorKind, message: String) -> Self {
        Self {
            kind,
            message,
            causes: Vec::new(),
            hint: None,
        }
    }

    /// Adds one cause below the ones that are there.
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds `error` and the chain of its sources as causes.
    ///
    /// A source whose text its parent already ends with is said once.
    pub fn caused_by(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if !self.causes.last().is_some_and(|parent| parent.ends_with(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Says what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says whose error it is, before all else.
    pub(crate) fn of(mut self, whose: &str) -> Self {
        self.message = format!("{whose}: {}", self.message);
        self
    }

    /// Who has to act.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The exit code of the command: 2 for bad input, 1 for a failed run.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::BadInput => 2,
            ErrorKind::FailedRun => 1,
        }
    }

    /// The report, one line a part, ending in a newline; with ANSI colours where `colour` is set.
    pub fn report(&self, colour: bool) -> String {
        let mut report = String::new();
        let mut part = |indent: &str, label: &str, style: &str, text: &str| {
            let text = printable(text);
            // Writing to a `String` cannot fail.
            let _ = if colour {
                writeln!(report, "{indent}\x1b[{style}m{label}:\x1b[0m {text}")
            } else {
                writeln!(report, "{indent}{label}: {text}")
            };
        };
        part("", "error", "1;31", &self.message);
        for cause in &self.causes {
            part("  ", "because", "33", cause);
        }
        if let Some(hint) = &self.hint {
            part("  ", "hint", "32", hint);
        }
        report
    }
}

/// Text from a file may hold terminal commands: control characters are escaped, and further lines are indented.
fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\n' => safe.push_str("\n    "),
            c if c.is_control() => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

impl Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report(false))
    }
}

impl Error for CommandError {}

/// Adds the command's context to a library's error.
pub trait Context<T> {
    /// Turns an error into bad input; `message` says what could not be done.
    ///
    /// # Errors
    /// Whenever `self` is an error.
    fn bad_input(self, message: impl FnOnce() -> String) -> Result<T, CommandError>;

    /// Turns an error into a failed run; `message` says what could not be done.
    ///
    /// # Errors
    /// Whenever `self` is an error.
    fn failed_run(self, message: impl FnOnce() -> String) -> Result<T, CommandError>;
}

impl<T, E: Error> Context<T> for Result<T, E> {
    fn bad_input(self, message: impl FnOnce() -> String) -> Result<T, CommandError> {
        self.map_err(|error| CommandError::bad_input(message()).caused_by(&error))
    }

    fn failed_run(self, message: impl FnOnce() -> String) -> Result<T, CommandError> {
        self.map_err(|error| CommandError::failed_run(message()).caused_by(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("the model is damaged: {0}")]
        Repeats(#[source] std::num::ParseIntError),
        #[error("the model is damaged")]
        Adds(#[source] std::num::ParseIntError),
    }

    fn number() -> Result<u8, std::num::ParseIntError> {
        "x".parse()
    }

    #[test]
    fn a_report_holds_the_chain_and_the_hint() {
        let error = number().map_err(Outer::Adds).bad_input(|| "cannot read m.json".into());
        let error = error.map_err(|error| error.hint("export it again")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "error: cannot read m.json\n  because: the model is damaged\n  because: invalid digit found in string\n  hint: export it again\n"
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_source_within_its_parents_text_is_said_once() {
        let error = number()
            .map_err(Outer::Repeats)
            .failed_run(|| "cannot go on".into())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "error: cannot go on\n  because: the model is damaged: invalid digit found in string\n"
        );
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn terminal_commands_in_the_input_are_escaped() {
        let error = CommandError::bad_input("a\x1b[2Jb\nc");
        assert_eq!(error.report(false), "error: a\\u{1b}[2Jb\n    c\n");
        assert!(error.report(true).starts_with("\x1b[1;31merror:\x1b[0m a"));
    }
}

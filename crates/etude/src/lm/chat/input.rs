//! What the user types.

use std::io::{self, BufRead as _, IsTerminal as _};

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::error::{CommandError, Context as _};
use crate::output::Output;

const PROMPT: &str = "> ";

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Say(String),
    Reset,
    System(Option<String>),
    History,
    Help,
    /// A command that there is not.
    Unknown(String),
}

/// Lines from a terminal, with an editor and the lines before at hand, or from a file or a pipe.
pub(super) enum Input<'a> {
    Terminal(Box<DefaultEditor>, &'a Output),
    Pipe,
}

impl<'a> Input<'a> {
    pub(super) fn new(output: &'a Output) -> Result<Self, CommandError> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Pipe);
        }
        let editor = DefaultEditor::new().failed_run(|| "cannot read from this terminal".into())?;
        Ok(Self::Terminal(Box::new(editor), output))
    }

    /// The next line that says something; none at the end.
    pub(super) fn read(&mut self) -> Result<Option<Line>, CommandError> {
        loop {
            let Some(text) = self.line()? else { return Ok(None) };
            let text = text.trim();
            if matches!(text, "/exit" | "/quit") {
                return Ok(None);
            }
            if !text.is_empty() {
                return Ok(Some(understand(text)));
            }
        }
    }

    fn line(&mut self) -> Result<Option<String>, CommandError> {
        let failed = || "cannot read what you say".into();
        match self {
            Self::Pipe => {
                let mut line = String::new();
                let bytes = io::stdin().lock().read_line(&mut line).bad_input(failed)?;
                Ok((bytes > 0).then_some(line))
            }
            Self::Terminal(editor, output) => loop {
                match editor.readline(PROMPT) {
                    Ok(line) => {
                        // Without it only the arrow up has nothing to show.
                        let _ = editor.add_history_entry(line.trim());
                        return Ok(Some(line));
                    }
                    Err(ReadlineError::Interrupted) => output.note("/exit or Ctrl-D leaves."),
                    Err(ReadlineError::Eof) => return Ok(None),
                    Err(error) => return Err(error).bad_input(failed),
                }
            },
        }
    }
}

fn understand(text: &str) -> Line {
    if !text.starts_with('/') {
        return Line::Say(text.to_owned());
    }
    let (command, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match command {
        "/reset" => Line::Reset,
        "/system" => Line::System((!rest.is_empty()).then(|| rest.to_owned())),
        "/history" => Line::History,
        "/help" => Line::Help,
        _ => Line::Unknown(command.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_begin_with_a_slash() {
        assert_eq!(understand("hello /reset"), Line::Say("hello /reset".into()));
        assert_eq!(understand("/reset"), Line::Reset);
        assert_eq!(
            understand("/system  Be brief. "),
            Line::System(Some("Be brief.".into()))
        );
        assert_eq!(understand("/system"), Line::System(None));
        assert_eq!(understand("/rest now"), Line::Unknown("/rest".into()));
    }
}

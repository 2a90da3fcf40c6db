//! The only place that writes to standard output and standard error.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use serde::Serialize;

use crate::error::CommandError;
use crate::terminal::{Colour, Style};

/// The width of the terminal, where it cannot be told.
const DEFAULT_WIDTH: usize = 100;

/// Where a command's results and notes go.
///
/// Results go to standard output, everything else to standard error. A command may call both [`Output::line`] and
/// [`Output::result_json`]; `--json` chooses which of the two is seen. When a reader goes away
/// (`etude ... | head`), the rest of the output is dropped quietly and the run goes on to its end.
#[derive(Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    colour: bool,
    failure: OnceLock<io::Error>,
}

impl Output {
    /// The output of a command under `--json` and `--quiet`.
    pub fn new(json: bool, quiet: bool) -> Self {
        let colour = !json && takes_colour(&io::stdout());
        Self {
            json,
            quiet,
            colour,
            failure: OnceLock::new(),
        }
    }

    /// Whether results are wanted as one JSON object.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether standard output takes ANSI colours: it is a terminal, and neither `--json` nor `NO_COLOR` is set.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// How pictures look on standard output: in its colours, as wide as the terminal.
    pub(crate) fn style(&self) -> Style {
        let colour = if self.colour {
            Colour::detect(io::stdout().is_terminal())
        } else {
            Colour::None
        };
        let width = terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(width, _)| width.0.into());
        Style { colour, width }
    }

    /// Whether progress may be drawn: standard error is a terminal, and neither `--json` nor `--quiet` is set.
    pub fn draws_progress(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// Prints a line of the result for people; `--json` drops it.
    pub fn line(&self, text: &str) {
        if !self.json {
            self.write(|stdout| writeln!(stdout, "{text}"));
        }
    }

    /// Prints the result as one JSON object on one line under `--json`, and nothing otherwise.
    ///
    /// JSON has no infinity and no NaN: both become `null`.
    pub fn result_json(&self, result: &impl Serialize) {
        if self.json {
            self.write(|stdout| {
                serde_json::to_writer(&mut *stdout, result)?;
                writeln!(stdout)
            });
        }
    }

    /// Prints `text` as it is, under `--json` too.
    pub(crate) fn raw(&self, text: &[u8]) {
        self.write(|stdout| stdout.write_all(text));
    }

    /// Tells the user something beside the result, on standard error; `--quiet` drops it.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            to_stderr(&format!("{text}\n"));
        }
    }

    /// Reports whether everything was written.
    ///
    /// # Errors
    /// Standard output could not be written, because the disk is full for instance. A reader that went away is no error.
    pub fn finish(&self) -> Result<(), CommandError> {
        match self.failure.get() {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(CommandError::failed_run("cannot write to standard output").caused_by(error))
            }
            _ => Ok(()),
        }
    }

    fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.failure.get().is_some() {
            return;
        }
        let mut stdout = BufWriter::new(io::stdout().lock());
        if let Err(error) = write(&mut stdout).and_then(|()| stdout.flush()) {
            // Only the first failure is told, and what is still in the buffer has nowhere to go.
            let _ = self.failure.set(error);
            let _ = stdout.into_parts();
        }
    }
}

/// Prints the report of an error on standard error.
pub(crate) fn report(error: &CommandError) {
    to_stderr(&error.report(takes_colour(&io::stderr())));
}

/// Writes to standard error; where that is closed there is nobody left to tell.
pub(crate) fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn takes_colour(stream: &impl IsTerminal) -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !no_colour && !dumb
}

//! What every run leaves behind: its folder with configuration, metrics and report.

use std::path::Path;
use std::time::Instant;

use etude_train::{Observer, RunFolder, TrainError};

use crate::cli::Folder;
use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::report::{Code, Provenance, Report, Section};

/// Where runs go unless `--out` says otherwise.
pub(crate) const RUNS: &str = "runs";

/// A run that is going on. Nothing is written before it has succeeded, so that bad input leaves no trace.
pub(crate) struct Run<'a> {
    folder: &'a Folder,
    output: &'a Output,
    started: Instant,
}

/// What a finished run was.
pub(crate) struct Finished<'a> {
    /// The command that runs a recipe like this one: `mdp solve`.
    pub(crate) command: &'static str,
    /// A short name for the problem, part of the folder's name; may be empty.
    pub(crate) name: &'a str,
    /// The resolved recipe, as TOML.
    pub(crate) config: &'a str,
    /// The seed, where the run drew random numbers.
    pub(crate) seed: Option<u64>,
    pub(crate) report: Report,
}

impl<'a> Run<'a> {
    /// Starts the clock.
    ///
    /// # Errors
    /// The folder is taken or cannot be written to: better said now than after an hour's work.
    pub(crate) fn start(folder: &'a Folder, output: &'a Output) -> Result<Self, CommandError> {
        let run = Self {
            folder,
            output,
            started: Instant::now(),
        };
        if run.writes() {
            let path = folder.out.as_deref().unwrap_or(Path::new(RUNS));
            RunFolder::check(path).map_err(|error| {
                let refused = CommandError::bad_input("cannot write the run").caused_by(&error);
                match error {
                    TrainError::RunExists { .. } => refused,
                    _ => refused.hint("choose a folder with `--out`, or leave nothing behind with `--json`"),
                }
            })?;
        }
        Ok(run)
    }

    /// Whether [`finish`](Self::finish) writes anything: not for a program that only asked for `--json`.
    pub(crate) fn writes(&self) -> bool {
        self.folder.out.is_some() || !self.output.is_json()
    }

    /// Writes the run's folder: `--out`, or the next free one in `runs/`. Under `--json` without `--out` nothing is
    /// written, since a program asked. `metrics` reports to the run's observers.
    pub(crate) fn finish(
        self,
        finished: Finished<'_>,
        metrics: impl Fn(&mut dyn Observer),
    ) -> Result<(), CommandError> {
        let folder = match &self.folder.out {
            Some(path) => RunFolder::create(path),
            None if !self.writes() => return Ok(()),
            None => RunFolder::next_free(Path::new(RUNS), &finished.stem()),
        };
        let config = finished.config();
        let write = |folder: RunFolder| -> Result<RunFolder, TrainError> {
            folder.write_config(&config)?;
            for observer in [&mut folder.jsonl()? as &mut dyn Observer, &mut folder.tensorboard()?] {
                metrics(observer);
                observer.finish()?;
            }
            let report = finished
                .report
                .section(Section::new("Recipe").item(&Code::toml(&config)))
                .provenance(provenance(finished.seed, self.started));
            folder.write_report(&report.render())?;
            Ok(folder)
        };
        let folder = folder.and_then(write).failed_run(|| "cannot write the run".into())?;
        self.output
            .note(&format!("report: {}", folder.path().join("report.html").display()));
        Ok(())
    }
}

impl Finished<'_> {
    /// The name of the run's folder: `mdp-solve-grid-5x5`.
    fn stem(&self) -> String {
        let words = self
            .command
            .split(' ')
            .chain([self.name])
            .filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    }

    /// The text of `config.toml`.
    fn config(&self) -> String {
        config_text(self.command, self.name, self.config)
    }
}

/// The text of `config.toml`: how to repeat the run, and the resolved recipe. A run without a name needs no recipe.
pub(crate) fn config_text(command: &str, name: &str, config: &str) -> String {
    let recipe = if name.is_empty() { "" } else { " config.toml" };
    let version = env!("CARGO_PKG_VERSION");
    format!("# Written by étude {version}. `etude {command}{recipe}` repeats the run.\n\n{config}")
}

/// What made a report that began to be made at `started`.
pub(crate) fn provenance(seed: Option<u64>, started: Instant) -> Provenance {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| for_a_shell(&argument.to_string_lossy()))
        .collect();
    Provenance {
        command: format!("etude {}", arguments.join(" ")),
        seed,
        wall_time: started.elapsed(),
    }
}

/// An argument as a shell takes it, in quotes where it has to be.
fn for_a_shell(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_needs_it() {
        for (argument, quoted) in [
            ("--gamma", "--gamma"),
            ("recipes/mdp/grid-5x5.toml", "recipes/mdp/grid-5x5.toml"),
            ("läke.json", "läke.json"),
            ("sweep.gammas=[0.0, 0.9]", "'sweep.gammas=[0.0, 0.9]'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(for_a_shell(argument), quoted);
        }
    }
}

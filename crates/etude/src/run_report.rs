//! What every run leaves behind: its folder with configuration, metrics and report.

use std::path::Path;
use std::time::Instant;

use etude_train::{Observer, RunFolder, TrainError};

use crate::cli::Options;
use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::report::{Code, Provenance, Report, Section};

/// A run that is going on. Nothing is written before it has succeeded, so that bad input leaves no trace.
pub(crate) struct Run<'a> {
    options: &'a Options,
    output: &'a Output,
    started: Instant,
}

impl<'a> Run<'a> {
    pub(crate) fn start(options: &'a Options, output: &'a Output) -> Self {
        Self {
            options,
            output,
            started: Instant::now(),
        }
    }

    /// Whether [`finish`](Self::finish) writes anything: not for a program that only asked for `--json`.
    pub(crate) fn writes(&self) -> bool {
        self.options.out.is_some() || !self.output.is_json()
    }

    /// Writes the run's folder: `--out`, or the next free `runs/STEM`. Under `--json` without `--out` nothing is
    /// written, since a program asked. `metrics` reports to the run's observers.
    pub(crate) fn finish(
        self,
        stem: &str,
        config: &str,
        report: Report,
        metrics: impl Fn(&mut dyn Observer),
    ) -> Result<(), CommandError> {
        let folder = match &self.options.out {
            Some(path) => RunFolder::create(path),
            None if !self.writes() => return Ok(()),
            None => RunFolder::next_free(Path::new("runs"), stem),
        };
        let write = |folder: RunFolder| -> Result<RunFolder, TrainError> {
            folder.write_config(config)?;
            for observer in [&mut folder.jsonl()? as &mut dyn Observer, &mut folder.tensorboard()?] {
                metrics(observer);
                observer.finish()?;
            }
            let report = report
                .section(Section::new("Recipe").item(&Code::toml(config)))
                .provenance(self.provenance());
            folder.write_report(&report.render())?;
            Ok(folder)
        };
        let folder = folder.and_then(write).failed_run(|| "cannot write the run".into())?;
        self.output
            .note(&format!("report: {}", folder.path().join("report.html").display()));
        Ok(())
    }

    fn provenance(&self) -> Provenance {
        let arguments: Vec<String> = std::env::args_os()
            .skip(1)
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        Provenance {
            command: format!("etude {}", arguments.join(" ")),
            seed: self.options.seed,
            wall_time: self.started.elapsed(),
        }
    }
}

//! `etude rl reproduce`: the figures of a book, computed again and held to what they should show.

mod actor_critic;
mod book;
mod check;
mod deep;
mod importance;
mod linear_control;
mod path;
mod prediction;
mod prediction_page;
mod state_values;
mod surface;
mod temporal_differences;

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::{Args, ValueEnum, value_parser};
use serde::Serialize;
use serde_json::Value;

use crate::cli::Folder;
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Report, Section, duration};
use crate::run_report::{Finished, Run};
use crate::terminal;
use crate::tour::Curve;
use check::Check;

/// What `etude rl reproduce` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The book
    book: Book,
    /// Independent runs behind each figure of control, whose verdicts are about all of them
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u64).range(1..=1000))]
    runs: u64,
    /// Start the random numbers from this seed; the same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    folder: Folder,
}

/// A book whose figures are computed again.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Book {
    /// Zhao, Mathematical Foundations of Reinforcement Learning: figures 8.5 to 8.12, the tasks of chapter 7 and the methods of chapter 10
    Zhao,
}

/// What the figures are computed with.
struct Setting<'a> {
    seed: u64,
    runs: u64,
    output: &'a Output,
}

/// Some figures with all that is told about them.
struct Part {
    sections: Vec<Section>,
    checks: Vec<Check>,
    /// The name of the figures and all their numbers, for `--json`.
    results: (&'static str, Value),
    /// What the run's observers hear.
    curves: Vec<Curve>,
}

/// Computes a part.
type Play = fn(&Setting<'_>) -> Result<Part, CommandError>;

/// The parts in the order of the page.
const PARTS: [Play; 8] = [
    temporal_differences::paths,
    temporal_differences::off_policy,
    state_values::play,
    prediction_page::play,
    linear_control::play,
    deep::play,
    importance::play,
    actor_critic::play,
];

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    book: &'static str,
    passes: bool,
    checks: &'a [Check],
    figures: serde_json::Map<String, Value>,
    seed: u64,
    seconds: f64,
}

/// Long work that a person watches: how far it has come, and Ctrl-C.
struct Watch {
    bar: Progress,
    done: AtomicU64,
}

impl Watch {
    /// Work of `total` steps, with a `label`.
    fn new(output: &Output, label: &'static str, total: u64) -> Self {
        Self {
            bar: Progress::bar(output, label, total),
            done: AtomicU64::new(0),
        }
    }

    /// One step more is done.
    fn step(&self) -> Result<(), CommandError> {
        self.bar.set(self.done.fetch_add(1, Ordering::Relaxed) + 1, "");
        Self::check()
    }

    /// Whether to go on.
    fn check() -> Result<(), CommandError> {
        if interrupt::interrupted() {
            Err(CommandError::failed_run("stopped on request"))
        } else {
            Ok(())
        }
    }
}

/// An error where none can be: the grids and their policies are those of the program.
fn broken(error: &dyn Error) -> CommandError {
    CommandError::failed_run("cannot compute a figure of the book").caused_by(error)
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let Book::Zhao = arguments.book;
    let run = Run::start(&arguments.folder, output)?;
    interrupt::install()?;
    let started = Instant::now();
    let setting = Setting {
        seed: arguments.seed,
        runs: arguments.runs,
        output,
    };
    let (mut sections, mut checks, mut curves) = (Vec::new(), Vec::new(), Vec::new());
    let mut figures = serde_json::Map::new();
    for part in PARTS {
        let part = part(&setting)?;
        sections.extend(part.sections);
        checks.extend(part.checks);
        curves.extend(part.curves);
        figures.insert(part.results.0.to_owned(), part.results.1);
    }
    let failed = checks.iter().filter(|check| !check.passes()).count();
    output.result_json(&Json {
        book: "zhao",
        passes: failed == 0,
        checks: &checks,
        figures,
        seed: arguments.seed,
        seconds: started.elapsed().as_secs_f64(),
    });
    let table = check::table(&checks);
    output.line(terminal::table(&table).trim_end());
    let passed = format!("{} of {}", checks.len() - failed, checks.len());
    output.line(&format!("\n{passed} pass, in {}", duration(started.elapsed())));
    let report = Report::new("Zhao's figures, computed again")
        .subtitle(
            "Mathematical Foundations of Reinforcement Learning, chapters 7, 8 and 10: every figure beside the exact answer, with a \
             verdict on each number",
        )
        .card(
            "Checks that pass",
            passed,
            if failed == 0 { "all of them" } else { "the others are marked" },
        )
        .card("Independent runs", arguments.runs.to_string(), "behind each figure of control")
        .card("Time", duration(started.elapsed()), "all figures");
    let verdicts = Section::new("Verdicts")
        .text(
            "Some figures of the book print numbers, others only draw a curve or a policy. Where the book prints a number, or \
             where the exact answer can be computed by another way, the check is against that. Where it only draws, the limit \
             is ours: it was set before the run, from what other seeds showed, and the table says so.",
        )
        .item(&table);
    let report = sections.into_iter().fold(report.section(verdicts), Report::section);
    let finished = Finished {
        command: "rl reproduce zhao",
        name: "",
        config: &format!("seed = {}\nruns = {}\n", arguments.seed, arguments.runs),
        seed: Some(arguments.seed),
        report,
    };
    run.finish(finished, |observer| {
        for curve in &curves {
            for &(step, value) in &curve.points {
                observer.scalar(&curve.name, step, value);
            }
        }
    })?;
    if failed > 0 {
        return Err(CommandError::failed_run(format!(
            "{failed} of {} checks do not pass",
            checks.len()
        )));
    }
    Ok(())
}

//! `etude boxes simulate`: the regression experiment of Zheng et al. 2020, section "Simulation Experiment" and algorithm 1.

mod descent;
mod page;
mod paths;
mod published;
mod recipe;
pub(crate) mod tour;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::metric::Member;
use crate::cli::RunOptions;
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use crate::recipe::Override;
use crate::report::Report;
use crate::report::number::short;
use crate::run_report::{Finished, Run};
use crate::terminal;
use descent::{Course, Simulation};
use recipe::Recipe;

/// What `etude boxes simulate` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A recipe (.toml); without one, the paper's experiment of 1,715,000 boxes
    #[arg(value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    /// The losses to compare, separated by commas: any that `etude boxes iou --metric` takes of upright boxes
    #[arg(long, value_name = "NAMES", value_delimiter = ',', hide_possible_values = true)]
    losses: Vec<Member>,
    #[command(flatten)]
    options: RunOptions,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json {
    seed: u64,
    places: usize,
    cases: usize,
    /// Boxes that do not meet their target at first.
    apart: usize,
    iterations: usize,
    losses: Vec<JsonLoss>,
    /// The same from the first tenth of the places, with the slopes of the paper's program, for the losses that it has.
    published: Vec<JsonLoss>,
}

/// What became of the boxes under one loss. Errors are means of |x - xg| + |y - yg| + |w - wg| + |h - hg|.
#[derive(Serialize)]
struct JsonLoss {
    loss: Member,
    /// At the end.
    error: f64,
    error_met: f64,
    error_apart: f64,
    /// The share of boxes with an IoU of 0.9 or more at the end.
    fitted: f64,
    /// The iteration after which the error is half of what it was; null where it never is.
    halved: Option<usize>,
    /// Before the first iteration, and after each.
    errors: Vec<f64>,
    errors_met: Vec<f64>,
    errors_apart: Vec<f64>,
    /// Mean areas of the boxes that do not meet at first; targets have 1.
    areas_apart: Vec<f64>,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let loaded = Recipe::load(arguments.recipe.as_deref(), &arguments.overrides())?;
    let recipe = &loaded.value;
    let run = Run::start(&arguments.options.folder, output)?;
    interrupt::install()?;
    let simulation = Simulation::run(recipe, output)?;
    output.result_json(&Json {
        seed: recipe.seed(),
        places: simulation.places.len(),
        cases: simulation.cases,
        apart: simulation.apart,
        iterations: recipe.iterations.get(),
        losses: simulation.courses.iter().map(JsonLoss::from).collect(),
        published: simulation.published.iter().map(JsonLoss::from).collect(),
    });
    if output.is_json() && !run.writes() {
        return Ok(());
    }
    let subtitle = page::describe(&simulation, recipe);
    output.line(&subtitle);
    output.line(terminal::table(&page::table(&simulation.courses)).trim_end());
    let report = Report::new("Boxes that run to their targets").subtitle(subtitle);
    let report = simulation.courses.iter().fold(report, |report, course| {
        report.card(course.loss.title(), short(course.error()), "mean error at the end")
    });
    let report = page::sections(&simulation, recipe)?
        .into_iter()
        .fold(report, Report::section);
    let finished = Finished {
        command: "boxes simulate",
        name: "regression",
        config: &loaded.resolved,
        seed: Some(recipe.seed()),
        report,
    };
    run.finish(finished, |observer| {
        for course in &simulation.courses {
            for (name, points) in course.curves() {
                for (step, value) in points {
                    observer.scalar(&name, step, value);
                }
            }
        }
    })
}

impl Arguments {
    /// What is set, flags before `--set`.
    fn overrides(&self) -> Vec<Override> {
        let names: Vec<String> = self.losses.iter().map(|loss| format!("\"{}\"", loss.name())).collect();
        let losses =
            (!names.is_empty()).then(|| Override::from_flag("--losses", "losses", format!("[{}]", names.join(", "))));
        let seed = self
            .options
            .seed
            .map(|seed| Override::from_flag("--seed", "seed", seed.to_string()));
        losses
            .into_iter()
            .chain(seed)
            .chain(self.options.overrides.iter().cloned())
            .collect()
    }
}

impl Course {
    /// The mean error at the end.
    fn error(&self) -> f64 {
        self.all.last().copied().unwrap_or(f64::NAN)
    }

    /// The iteration after which the mean error is half of what it was.
    fn halved(&self) -> Option<usize> {
        let half = self.all.first()? / 2.0;
        self.all.iter().position(|error| *error <= half)
    }

    /// The largest mean area of boxes that do not meet their target at first; NaN where there are none.
    fn largest_area(&self) -> f64 {
        self.areas.iter().copied().fold(f64::NAN, f64::max)
    }

    /// What a run's observers hear.
    fn curves(&self) -> impl Iterator<Item = (String, Vec<(u64, f64)>)> {
        let curves = [("all", &self.all), ("met", &self.met), ("apart", &self.apart)];
        curves.into_iter().map(|(kind, errors)| {
            let name = format!("simulate/{}/{kind}", self.loss.name());
            (name, (0..).zip(errors.iter().copied()).collect())
        })
    }
}

impl From<&Course> for JsonLoss {
    fn from(course: &Course) -> Self {
        let last = |errors: &[f64]| errors.last().copied().unwrap_or(f64::NAN);
        Self {
            loss: course.loss,
            error: course.error(),
            error_met: last(&course.met),
            error_apart: last(&course.apart),
            fitted: course.fitted,
            halved: course.halved(),
            errors: course.all.clone(),
            errors_met: course.met.clone(),
            errors_apart: course.apart.clone(),
            areas_apart: course.areas.clone(),
        }
    }
}

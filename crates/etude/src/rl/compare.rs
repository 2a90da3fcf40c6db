//! `etude rl compare`: runs side by side, with the intervals that few seeds deserve.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use etude_rl::reference_returns;
use etude_rl::statistics::{
    Estimate, Scores, bootstrap, interquartile_mean, performance_profile, probability_of_improvement,
};
use etude_train::Seed;
use serde::Serialize;

use super::result::SeedResult;
use crate::cli::Folder;
use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::report::{Plot, Report, Section, Table};
use crate::run_report::{Finished, Run};
use crate::terminal;

/// What `etude rl compare` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folders of two runs or more, of one seed or of many
    #[arg(value_name = "RUN", num_args = 2..)]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    folder: Folder,
}

/// Thresholds of a performance profile.
const THRESHOLDS: usize = 101;

/// A run, by its folder's name.
struct Compared {
    name: String,
    results: Vec<SeedResult>,
    scores: Scores,
    iqm: Estimate,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json {
    environment: String,
    runs: Vec<JsonRun>,
    /// For each pair of runs, how likely a seed of the first scores higher than one of the second.
    improvements: Vec<JsonImprovement>,
}

#[derive(Serialize)]
struct JsonRun {
    run: String,
    algorithm: String,
    seeds: usize,
    mean: f64,
    iqm: f64,
    interval: [f64; 2],
    scores: Vec<f64>,
    /// The mean between random actions, 0, and a planner, 1, where the environment has such references.
    #[serde(skip_serializing_if = "Option::is_none")]
    normalized_score: Option<f64>,
}

#[derive(Serialize)]
struct JsonImprovement {
    first: String,
    second: String,
    probability: f64,
    interval: [f64; 2],
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let run = Run::start(&arguments.folder, output)?;
    let compared = (arguments.runs.iter())
        .map(|path| {
            let results = SeedResult::of_run(path)?;
            let scores: Vec<f64> = results.iter().map(SeedResult::best).collect();
            let scores = Scores::new(&[scores]).bad_input(|| format!("cannot compare {}", path.display()))?;
            Ok(Compared {
                name: path.file_name().map_or_else(
                    || path.display().to_string(),
                    |name| name.to_string_lossy().into_owned(),
                ),
                iqm: bootstrap(&scores, Seed(0), interquartile_mean),
                results,
                scores,
            })
        })
        .collect::<Result<Vec<_>, CommandError>>()?;
    let results = || compared.iter().flat_map(|run| &run.results);
    let environments: BTreeSet<&str> = results().map(|result| &*result.environment).collect();
    let environment = environments.iter().copied().collect::<Vec<_>>().join(", ");
    if environments.len() > 1 {
        return Err(CommandError::bad_input("these runs cannot be compared")
            .because(format!("they are of different environments: {environment}"))
            .hint("returns of different environments have different scales"));
    }
    let mut improvements = Vec::new();
    for (index, first) in compared.iter().enumerate() {
        for second in &compared[index + 1..] {
            let estimate = probability_of_improvement(&first.scores, &second.scores, Seed(0))
                .failed_run(|| "cannot compare these runs".into())?;
            improvements.push((first, second, estimate));
        }
    }
    output.result_json(&Json {
        environment: environment.clone(),
        runs: compared.iter().map(JsonRun::from).collect(),
        improvements: improvements
            .iter()
            .map(|(first, second, estimate)| JsonImprovement {
                first: first.name.clone(),
                second: second.name.clone(),
                probability: estimate.value,
                interval: [estimate.interval.low, estimate.interval.high],
            })
            .collect(),
    });
    let header = ["run", "algorithm", "seeds", "mean", "interquartile mean", "95 %"];
    // The last column is for environments with a normalised score.
    let normalised = reference_returns(&environment).map(|_| "normalised");
    let runs = Table::new(header.into_iter().chain(normalised));
    let runs = compared.iter().map(JsonRun::from).fold(runs, |table, run| {
        let row = [
            run.run,
            run.algorithm,
            run.seeds.to_string(),
            format!("{:.1}", run.mean),
            format!("{:.1}", run.iqm),
            format!("{:.1} to {:.1}", run.interval[0], run.interval[1]),
        ];
        let score = run.normalized_score.map(|score| format!("{score:.3}"));
        table.row(row.into_iter().chain(score))
    });
    let pairs = improvements.iter().fold(
        Table::new(["a seed of", "scores higher than one of", "with probability", "95 %"]),
        |table, (first, second, estimate)| {
            table.row([
                first.name.clone(),
                second.name.clone(),
                format!("{:.2}", estimate.value),
                format!("{:.2} to {:.2}", estimate.interval.low, estimate.interval.high),
            ])
        },
    );
    output.line(&environment);
    output.line(terminal::table(&runs).trim_end());
    output.line("");
    output.line(terminal::table(&pairs).trim_end());

    let scores = "The score of a seed is the mean return of its best policy in the final episodes. Intervals are stratified \
                  bootstraps over seeds (Agarwal et al. 2021); with fewer than ten seeds they are somewhat too narrow.";
    let report = Report::new(format!("Runs on {environment}"))
        .section(Section::new("Scores").text(scores).item(&runs).item(&pairs))
        .section(
            Section::new("Performance profile")
                .text("The share of seeds that score above a return: the higher the curve, the better.")
                .item(&profiles(&compared)?),
        )
        .section(Section::new("Learning").item(&curves(&compared)));
    let finished = Finished {
        command: "rl compare",
        name: "",
        config: "",
        seed: None,
        report,
    };
    run.finish(finished, |_| {})
}

impl From<&Compared> for JsonRun {
    fn from(run: &Compared) -> Self {
        let scores = run.scores.all();
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        Self {
            run: run.name.clone(),
            algorithm: run.results[0].algorithm.clone(),
            seeds: scores.len(),
            mean,
            iqm: run.iqm.value,
            interval: [run.iqm.interval.low, run.iqm.interval.high],
            scores: scores.to_vec(),
            normalized_score: reference_returns(&run.results[0].environment)
                .map(|references| references.normalized(mean)),
        }
    }
}

/// The share of seeds above each return.
fn profiles(compared: &[Compared]) -> Result<Plot, CommandError> {
    let all = || compared.iter().flat_map(|run| run.scores.all());
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &score| {
        (low.min(score), high.max(score))
    });
    let thresholds: Vec<f64> = (0..THRESHOLDS)
        .map(|index| low + (high - low) * index as f64 / (THRESHOLDS - 1) as f64)
        .collect();
    let mut plot = Plot::new("Share of seeds whose score is higher", "return", "share of seeds");
    for run in compared {
        let shares = performance_profile(&run.scores, &thresholds).failed_run(|| "cannot draw the profile".into())?;
        let points = thresholds.iter().copied().zip(shares.iter().map(|share| share.value));
        plot = plot.series(run.name.clone(), points);
    }
    Ok(plot)
}

/// The mean over seeds of the evaluations on the way.
fn curves(compared: &[Compared]) -> Plot {
    let plot = Plot::new(
        "Mean return of the evaluations on the way, over all seeds",
        "step",
        "return",
    );
    compared.iter().fold(plot, |plot, run| {
        let first = &run.results[0].evaluations;
        let points = first.iter().enumerate().filter_map(|(index, &(step, _))| {
            let values: Option<Vec<f64>> = run
                .results
                .iter()
                .map(|result| result.evaluations.get(index).map(|&(_, value)| value))
                .collect();
            let values = values?;
            Some((step as f64, values.iter().sum::<f64>() / values.len() as f64))
        });
        plot.series(run.name.clone(), points)
    })
}

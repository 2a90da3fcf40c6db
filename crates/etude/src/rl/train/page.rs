//! What people see of a finished run: a few lines in the terminal, and a page.

use etude_rl::statistics::Estimate;

use super::algorithm::Algorithm;
use super::one_seed::Done;
use super::{Judged, Recipe};
use crate::output::Output;
use crate::report::number::grouped;
use crate::report::{Code, Plot, Report, Section, Table};
use crate::terminal;

/// `121.3 [118.0, 124.9]`.
fn estimate(of: &Estimate) -> String {
    format!("{:.1} [{:.1}, {:.1}]", of.value, of.interval.low, of.interval.high)
}

/// A row a seed: the best policy and the last.
fn table(done: &[Done]) -> Table {
    let header = ["seed", "steps", "episodes", "best at step", "best", "last", "steps/s"];
    done.iter().fold(Table::new(header), |table, done| {
        table.row([
            done.seed.to_string(),
            grouped(done.steps as usize),
            grouped(done.episodes as usize),
            grouped(done.best_step as usize),
            format!("{:.1} ± {:.1}", done.best.mean(), done.best.standard_deviation()),
            format!("{:.1} ± {:.1}", done.last.mean(), done.last.standard_deviation()),
            grouped((done.new_steps as f64 / done.seconds) as usize),
        ])
    })
}

/// In the terminal.
pub(super) fn print(
    output: &Output,
    algorithm: Algorithm,
    recipe: &Recipe,
    done: &[Done],
    (best, last): (&Judged, &Judged),
) {
    if output.is_json() {
        return;
    }
    output.line(&format!("{} on {}", algorithm.name(), recipe.environment));
    output.line(terminal::table(&table(done)).trim_end());
    output.line(&format!(
        "best policies: mean return {:.1}, interquartile mean {} (95 %) over {} episodes",
        best.mean,
        estimate(&best.iqm),
        best.episodes
    ));
    output.line(&format!(
        "last policies: mean return {:.1}, interquartile mean {}",
        last.mean,
        estimate(&last.iqm)
    ));
    for (what, unfinished) in [
        ("best", done.iter().map(|done| done.best.unfinished).sum::<usize>()),
        ("last", done.iter().map(|done| done.last.unfinished).sum()),
    ] {
        if unfinished > 0 {
            output.note(&format!(
                "{unfinished} episodes of the {what} policies had not ended after {} steps and were cut off",
                recipe.evaluation.patience.get()
            ));
        }
    }
}

/// The page, without the recipe.
pub(super) fn report(algorithm: Algorithm, recipe: &Recipe, done: &[Done], (best, last): (&Judged, &Judged)) -> Report {
    let name = |done: &Done| format!("seed {}", done.seed);
    let curve = |points: &[(u64, f64)]| {
        points
            .iter()
            .map(|&(step, value)| (step as f64, value))
            .collect::<Vec<_>>()
    };
    let plot = |caption: &str, of: &dyn Fn(&Done) -> Vec<(u64, f64)>| {
        let empty = Plot::new(caption, "step", "return");
        done.iter()
            .fold(empty, |plot, done| plot.series(name(done), curve(&of(done))))
    };
    let judged = "The best policy on the way and the last one are judged in the same environments, which neither has been \
                  judged in before; actions are the best ones, without exploration.";
    Report::new(format!("{} on {}", algorithm.name(), recipe.environment))
        .subtitle(format!(
            "{} steps a seed, {}",
            grouped(recipe.steps.get()),
            if done.len() == 1 {
                "one seed".into()
            } else {
                format!("{} seeds side by side", done.len())
            }
        ))
        .card(
            "Return of the best",
            format!("{:.1}", best.mean),
            format!("over {} episodes", best.episodes),
        )
        .card(
            "Interquartile mean",
            format!("{:.1}", best.iqm.value),
            format!("95 %: {:.1} to {:.1}", best.iqm.interval.low, best.iqm.interval.high),
        )
        .card(
            "Return of the last",
            format!("{:.1}", last.mean),
            format!("over {} episodes", last.episodes),
        )
        .section(Section::new("Judgement").text(judged).item(&table(done)))
        .section(
            Section::new("Learning")
                .item(&plot("Mean return of the evaluations on the way", &|done| {
                    done.evaluations.clone()
                }))
                .item(&plot(
                    "Mean return of the last hundred episodes while learning, exploration included",
                    &|done| done.returns.clone(),
                )),
        )
}

/// The resolved recipe.
pub(super) fn recipe(config: &str) -> Section {
    Section::new("Recipe").item(&Code::toml(config))
}

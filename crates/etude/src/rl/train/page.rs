//! What people see of a finished run: a few lines in the terminal, and a page.

use etude_rl::statistics::Estimate;
use etude_rl::{Evaluation, TabularModel, registered};

use super::algorithm::Algorithm;
use super::one_seed::Done;
use super::{Judged, Recipe};
use crate::output::Output;
use crate::report::number::{grouped, short};
use crate::report::{Code, GridMap, Picture, Plot, Report, Section, Table};
use crate::terminal;

/// `121.3 [118.0, 124.9]`.
fn estimate(of: &Estimate) -> String {
    let [value, low, high] = [of.value, of.interval.low, of.interval.high].map(digits);
    format!("{value} [{low}, {high}]")
}

/// A return, to the digits that matter.
fn digits(value: f64) -> String {
    if value.abs() < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}

/// `121.3 ± 2.1`.
fn spread(of: &Evaluation) -> String {
    format!("{} ± {}", digits(of.mean()), digits(of.standard_deviation()))
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
            spread(&done.best),
            spread(&done.last),
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
    if algorithm.predicts() {
        output.line(&format!(
            "the policy that takes all actions alike: mean return {} over {} episodes",
            digits(last.mean),
            last.episodes
        ));
    } else {
        for (which, judged) in [("best", best), ("last", last)] {
            output.line(&format!(
                "{which} policies: mean return {}, interquartile mean {} (95 %) over {} episodes",
                digits(judged.mean),
                estimate(&judged.iqm),
                judged.episodes
            ));
        }
    }
    if done[0].surface.is_none() && model(recipe).is_some() {
        output.note(
            "the model is known, but with this discount not every policy has values: there is no exact answer to show",
        );
    }
    if let Some(surface) = &done[0].surface {
        output.line(&format!("against the exact answer, seed {}:", done[0].seed));
        for (name, error) in &surface.errors {
            output.line(&format!("  {:<42} {}", words(name), short(*error)));
        }
    }
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
pub(super) fn report(
    algorithm: Algorithm,
    recipe: &Recipe,
    done: &[Done],
    (best, last): (&Judged, &Judged),
    film: Option<&[Picture; 2]>,
) -> Report {
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
    let page = Report::new(format!("{} on {}", algorithm.name(), recipe.environment))
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
            digits(best.mean),
            format!("over {} episodes", best.episodes),
        )
        .card(
            "Interquartile mean",
            digits(best.iqm.value),
            format!("95 %: {:.1} to {:.1}", best.iqm.interval.low, best.iqm.interval.high),
        )
        .card(
            "Return of the last",
            digits(last.mean),
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
        );
    let page = match best.normalized(&recipe.environment) {
        Some(score) => page.card(
            "Normalised score",
            format!("{score:.3}"),
            "0 as random actions, 1 as a planner",
        ),
        None => page,
    };
    let page = match film {
        Some([still, moving]) => page.section(Section::new("The best policy at work").item(still).item(moving)),
        None => page,
    };
    truth(page, recipe, &done[0])
}

/// What the map of the distribution shows.
const TIME_SPENT: &str = "Share of time spent in each state: the stationary distribution";

/// Where the model is known: the learnt values beside the exact ones, the time spent in each state, and the errors.
fn truth(page: Report, recipe: &Recipe, done: &Done) -> Report {
    let Some(surface) = &done.surface else { return page };
    let columns = model(recipe).and_then(|model| model.columns());
    let errors = surface
        .errors
        .iter()
        .fold(Table::new(["error", "now"]), |table, (name, error)| {
            table.row([words(name).to_owned(), short(*error)])
        });
    let mut section = Section::new("The exact answer").text(format!(
        "The model of {} is known, so the exact values are too. They were computed by `etude_mdp`, and nothing of them is \
         shown to the learner. Shown is seed {}.",
        recipe.environment, done.seed
    ));
    section = if let Some(columns) = columns {
        let map = |caption: &str, values: &[f64]| GridMap::new(caption, values.len() / columns, columns, values);
        let maps = section
            .item(&map("Exact values", &surface.exact))
            .item(&map("Learnt values", &surface.learnt));
        let time = surface.distribution.iter();
        time.fold(maps, |section, shares| section.item(&map(TIME_SPENT, shares)))
    } else {
        let along = |values: &[f64]| {
            (0..)
                .zip(values.to_vec())
                .map(|(state, value)| (f64::from(state), value))
        };
        let values = Plot::new("Values by state", "state", "value")
            .series("exact", along(&surface.exact))
            .series("learnt", along(&surface.learnt));
        let time = surface.distribution.iter();
        time.fold(section.item(&values), |section, shares| {
            section.item(&Plot::new(TIME_SPENT, "state", "share").series("share", along(shares)))
        })
    };
    let names = surface.errors.iter().map(|&(name, _)| name);
    let curves = names.fold(Plot::new("Errors on the way", "step", "error").log_y(), |plot, name| {
        let points = done.truths.iter().filter_map(|(step, errors)| {
            let (_, error) = errors.iter().find(|(of, _)| of == name)?;
            Some((*step as f64, *error))
        });
        plot.series(words(name), points)
    });
    page.section(section.item(&errors).item(&curves))
}

/// The model of the environment, where it is known.
fn model(recipe: &Recipe) -> Option<TabularModel> {
    registered(&recipe.environment).ok()?.model().ok()?
}

/// An error in words.
fn words(name: &str) -> &str {
    match name {
        "truth/sup_error" => "greatest error of a value",
        "truth/rmse" => "root mean square error, all states alike",
        "truth/weighted_rmse" => "root mean square error, weighted by time",
        "truth/value_error" => "value error",
        "truth/bellman_error" => "Bellman error",
        "truth/projected_bellman_error" => "projected Bellman error",
        other => other,
    }
}

/// The resolved recipe.
pub(super) fn recipe(config: &str) -> Section {
    Section::new("Recipe").item(&Code::toml(config))
}

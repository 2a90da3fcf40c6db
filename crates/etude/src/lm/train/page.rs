//! What people see of a finished run: a few lines in the terminal, and a page.

use std::collections::BTreeSet;

use etude_align::training::TrainerState;
use serde_json::Map;

use super::Outcome;
use super::estimate::Estimate;
use crate::output::Output;
use crate::report::number::{grouped, short};
use crate::report::{Plot, Report, Section, Table};
use crate::terminal;

/// The metrics by their names, with what healthy looks like.
const METRICS: &[(&str, &str)] = &[
    (
        "loss",
        "falls, and then levels off; on held-out data it may turn up again, which is the time to stop",
    ),
    (
        "grad_norm",
        "of one order of magnitude throughout; peaks now and then are clipped, a steady rise is a learning rate too high",
    ),
    (
        "learning_rate",
        "rises in the warm-up and goes down as the schedule has it",
    ),
    ("tokens_per_second", "the same throughout"),
    (
        "rollout_tokens_per_second",
        "the same throughout, or slower as answers grow longer: tokens of answers while they are drawn",
    ),
    ("num_tokens", "rises in a straight line"),
    ("entropy", "falls slowly; close to 0 the model says one thing only"),
    ("mean_token_accuracy", "rises"),
    (
        "rewards/accuracies",
        "rises from one half, on held-out pairs too; 1 on the training data alone is learning by heart",
    ),
    (
        "rewards/margins",
        "rises from 0, faster on training data than on held-out pairs",
    ),
    (
        "rewards/chosen",
        "near 0 or slowly rising; if it falls far, the model unlearns good answers too",
    ),
    ("rewards/rejected", "falls"),
    (
        "logps/chosen",
        "about where it began; a fall by many tens is drift away from the reference",
    ),
    ("logps/rejected", "falls, by tens rather than by hundreds"),
    (
        "logits/chosen",
        "about where it began: the level of the logits changes no probability, and a steady drift costs precision",
    ),
    ("logits/rejected", "as logits/chosen"),
    ("logps/sum/chosen", "as logps/chosen, of whole answers"),
    ("logps/sum/rejected", "as logps/rejected, of whole answers"),
    (
        "kl",
        "near 0 at first and slowly rising; it is never below 0. 0 throughout is an estimate from too few answers: take larger batches",
    ),
    ("nll_loss", "falls, or stays where fine-tuning has brought it"),
    (
        "log_odds_chosen",
        "rises: the odds of better answers, as a logarithm, beyond those of worse ones",
    ),
    ("log_odds_ratio", "rises towards 0 from below; -0.69 is no preference"),
    ("accuracy", "rises from one half, on held-out pairs too"),
    ("margin", "rises from 0"),
    (
        "mean_reward",
        "stays near 0 where rewards are centred, and may drift where they are not",
    ),
    ("min_reward", "of the size of max_reward, with the other sign"),
    (
        "max_reward",
        "rises for a while; a rise without end is learning by heart",
    ),
    (
        "objective/scores",
        "rises; where it rises for long while answers become worse, the reward is being exploited",
    ),
    (
        "objective/rlhf_reward",
        "rises: the score less what the KL divergence costs is what is maximised",
    ),
    (
        "objective/kl",
        "rises from 0 and levels off; tens of nats per answer are far from the reference, and below 0 for long is a mistake",
    ),
    (
        "objective/kl_coef",
        "stays, or moves until the KL divergence is at its target",
    ),
    (
        "objective/entropy",
        "falls slowly; a fall to nearly 0 in a few steps is collapse",
    ),
    (
        "completions/mean_length",
        "about what good answers need; at the limit they are cut off",
    ),
    ("val/num_eos_tokens", "nearly all answers end by themselves"),
    (
        "val/first_ratio",
        "exactly 1: training gives the tokens of a rollout the probabilities that they were drawn by",
    ),
    ("val/ratio", "close to 1"),
    (
        "policy/approxkl_avg",
        "well below 0.1; above, the learning rate or the number of epochs is too high",
    ),
    ("policy/clipfrac_avg", "some per cent; one half is too fast"),
    ("policy/entropy_avg", "falls slowly; close to 0 nothing new is tried"),
    (
        "loss/policy_avg",
        "near 0 and a little below: its size says nothing, only what it is the slope of",
    ),
    ("loss/value_avg", "falls"),
    (
        "val/clipfrac_avg",
        "some per cent; one half is values that change too fast",
    ),
    ("val/ratio_var", "close to 0"),
    (
        "val/engine_difference",
        "exactly 0 without adapters: the engine and the training give tokens the same log-probabilities; with adapters, rounding",
    ),
    (
        "objective/non_score_reward",
        "0 at first, and then a little below: what the KL divergence costs",
    ),
    ("episode", "rises in a straight line"),
];

/// The share of one function in a score.
const PART: &str = "rewards/";

/// The metrics that were logged, with what healthy looks like.
fn logged(state: &TrainerState) -> Vec<(&str, &'static str)> {
    let names: BTreeSet<&str> = (state.log_history.iter().flat_map(Map::keys))
        .map(|name| name.strip_prefix("eval_").unwrap_or(name))
        .collect();
    let known = METRICS.iter().filter(|(name, _)| names.contains(name)).copied();
    let parts = names
        .iter()
        .filter(|name| name.starts_with(PART) && !METRICS.iter().any(|(known, _)| known == *name));
    known
        .chain(parts.map(|name| (*name, "rises, where it is what the score is made of")))
        .collect()
}

/// In the terminal.
pub(super) fn print(output: &Output, outcome: &Outcome) {
    if output.is_json() {
        return;
    }
    output.line(terminal::table(&table(&outcome.state)).trim_end());
    output.line(terminal::table(&resources(outcome)).trim_end());
}

/// First and last values of what was logged.
fn table(state: &TrainerState) -> Table {
    let mut table = Table::new(["metric", "first", "last", "held out: first", "last"]);
    for (name, _) in logged(state) {
        let ends = |name: &str| {
            let series = state.series(name);
            match (series.first(), series.last()) {
                (Some(first), Some(last)) => [short(first.1), short(last.1)],
                _ => [String::new(), String::new()],
            }
        };
        let (train, held_out) = (ends(name), ends(&format!("eval_{name}")));
        let [first, last] = train;
        let [first_held_out, last_held_out] = held_out;
        table = table.row([name.to_owned(), first, last, first_held_out, last_held_out]);
    }
    table
}

/// What was expected of memory and time, and what it came to.
fn resources(outcome: &Outcome) -> Table {
    let gigabytes = |bytes: u64| format!("{:.2} GB", bytes as f64 / 1e9);
    let Estimate { bytes, seconds } = outcome.estimate;
    let truth = outcome.peak_memory.map_or_else(|| "unknown".to_owned(), gigabytes);
    Table::new(["", "expected", "found"])
        .row(["memory".to_owned(), gigabytes(bytes), truth])
        .row([
            "time".to_owned(),
            format!("{seconds:.0} s"),
            format!("{:.0} s", outcome.state.progress.seconds),
        ])
}

/// The page, without the recipe.
pub(super) fn report(outcome: &Outcome) -> Report {
    let state = &outcome.state;
    let last = |name: &str| state.series(name).last().map(|point| short(point.1));
    let mut report = Report::new(outcome.stage.title()).subtitle(format!(
        "{} on {} examples, {} steps, {} tokens",
        outcome.model,
        grouped(outcome.examples),
        grouped(state.global_step as usize),
        grouped(state.num_input_tokens_seen as usize)
    ));
    for (label, name, note) in [
        ("Loss", "loss", "at the end, on training data"),
        ("Held out", "eval_loss", "loss at the end"),
        ("Accuracy", "eval_rewards/accuracies", "of held-out pairs"),
        ("Accuracy", "eval_accuracy", "of held-out pairs"),
        ("Score", "objective/scores", "of answers at the end"),
        ("Score", "eval_objective/scores", "of answers to held-out prompts"),
        ("KL", "objective/kl", "from the reference, per answer"),
    ] {
        if let Some(value) = last(name) {
            report = report.card(label, value, note);
        }
    }
    let mut curves = Section::new("Curves");
    for (name, _) in logged(state) {
        let points = |name: &str| {
            let series = state.series(name).into_iter();
            series.map(|(step, value)| (step as f64, value)).collect::<Vec<_>>()
        };
        let (train, held_out) = (points(name), points(&format!("eval_{name}")));
        if train.len().max(held_out.len()) > 1 {
            let mut plot = Plot::new(name, "step", name).series("training", train);
            if !held_out.is_empty() {
                plot = plot.series("held out", held_out);
            }
            curves = curves.item(&plot);
        }
    }
    let mut healthy = Table::new(["metric", "what healthy looks like"]);
    for (name, words) in logged(state) {
        healthy = healthy.row([name, words]);
    }
    report = report
        .section(Section::new("Result").item(&table(state)).item(&resources(outcome)))
        .section(curves.item(&healthy));
    if !outcome.samples.is_empty() {
        let mut samples = Table::new(["prompt", "before", "after"]);
        for [prompt, before, after] in &outcome.samples {
            samples = samples.row([prompt.clone(), before.clone(), after.clone()]);
        }
        report = report.section(
            Section::new("Samples")
                .text("The likeliest answers to the same prompts, before and after training; of long prompts the end is shown.")
                .item(&samples),
        );
    }
    report
}

//! What came out: in the terminal, as JSON, and as a page with one figure.

use etude_align::frontier::{Comparison, Point, pareto};
use etude_align::training::TrainerState;
use serde_json::{Value, json};

use super::judge::JudgedRun;
use super::recipe::Method;
use super::{FinishedRun, Outcome};
use crate::output::Output;
use crate::report::number::grouped;
use crate::report::{Plot, Report, Section, Table};
use crate::terminal;

impl Outcome<'_> {
    fn runs_of(&self, method: Method) -> impl Iterator<Item = &FinishedRun> {
        self.runs.iter().filter(move |run| run.run.method == method)
    }

    /// All policies of a method, the reference first.
    fn points(&self, method: Method) -> Vec<Point> {
        let judged = self.runs_of(method).map(|run| &run.judged);
        let all = std::iter::once(&self.reference).chain(judged);
        all.flat_map(|judged| &judged.points)
            .map(|judged| judged.point)
            .collect()
    }

    fn fronts(&self) -> [Vec<Point>; 2] {
        Method::ALL.map(|method| pareto(&self.points(method)))
    }

    /// The largest standard error of a mean reward.
    fn error(&self) -> f64 {
        let points = self.runs.iter().flat_map(|run| &run.judged.points);
        points.map(|point| point.reward_error).fold(0.0, f64::max)
    }

    /// What the figure shows, in words.
    fn finding(&self) -> String {
        let [dpo, ppo] = self.fronts();
        let Some(Comparison {
            from,
            to,
            difference,
            share,
        }) = Comparison::new(&dpo, &ppo)
        else {
            return "There is no KL divergence that both methods reach, and nothing to compare.".to_owned();
        };
        let (better, worse, share) = if difference > 0.0 {
            (Method::Dpo, Method::Ppo, share)
        } else {
            (Method::Ppo, Method::Dpo, 1.0 - share)
        };
        let error = self.error();
        let verdict = if difference.abs() > 2.0 * error {
            format!("{} has the better frontier", better.name())
        } else {
            "Neither frontier is clearly the better one".to_owned()
        };
        format!(
            "{verdict}: between {from:.2} and {to:.2} nats, where there are both, {}'s is above {}'s at {:.0} % of the divergences, and by {:.3} \
             on average; a point's reward has a standard error of up to {error:.3}.",
            better.name(),
            worse.name(),
            100.0 * share,
            difference.abs(),
        )
    }

    /// The run of a method whose last policy has the highest reward.
    fn best(&self, method: Method) -> Option<&FinishedRun> {
        let reward = |run: &FinishedRun| run.judged.end().map_or(f64::NEG_INFINITY, |end| end.point.reward);
        self.runs_of(method)
            .max_by(|left, right| reward(left).total_cmp(&reward(right)))
    }

    fn perplexity(&self) -> f64 {
        last(&self.sft, "eval_loss").exp()
    }

    fn accuracy(&self) -> f64 {
        last(&self.reward, "eval_accuracy")
    }
}

fn last(state: &TrainerState, name: &str) -> f64 {
    state.series(name).last().map_or(f64::NAN, |point| point.1)
}

/// In the terminal.
pub(super) fn print(output: &Output, outcome: &Outcome<'_>) {
    if output.is_json() {
        return;
    }
    output.line(terminal::table(&ends(outcome)).trim_end());
    output.line(&outcome.finding());
}

/// Where every run has come to.
fn ends(outcome: &Outcome<'_>) -> Table {
    let reference = ("reference".to_owned(), &outcome.reference, &outcome.sft);
    let runs = outcome.runs.iter();
    let runs = runs.map(|finished| (finished.run.title(), &finished.judged, &finished.state));
    let mut table = Table::new([
        "run",
        "steps",
        "KL, nats per answer",
        "reward",
        "standard error",
        "tokens",
        "time",
    ]);
    for (title, judged, state) in std::iter::once(reference).chain(runs) {
        if let Some(end) = judged.end() {
            table = table.row([
                title,
                end.step.to_string(),
                format!("{:.3}", end.point.kl),
                format!("{:.3}", end.point.reward),
                format!("{:.3}", end.reward_error),
                format!("{:.1}", end.length),
                format!("{:.0} s", state.progress.seconds),
            ]);
        }
    }
    table
}

/// Every number.
pub(super) fn json(outcome: &Outcome<'_>) -> Value {
    let runs = outcome.runs.iter().map(|finished| {
        json!({
            "run": finished.run,
            "points": finished.judged.points,
            "seconds": finished.state.progress.seconds,
            "tokens": finished.state.num_input_tokens_seen,
        })
    });
    let [dpo, ppo] = outcome.fronts();
    json!({
        "parameters": outcome.parameters,
        "perplexity": outcome.perplexity(),
        "reward_accuracy": outcome.accuracy(),
        "preferences": outcome.pairs,
        "seconds": {"sft": outcome.sft.progress.seconds, "reward": outcome.reward.progress.seconds},
        "reference": outcome.reference.points,
        "runs": runs.collect::<Vec<_>>(),
        "comparison": Comparison::new(&dpo, &ppo),
        "fronts": {"dpo": dpo, "ppo": ppo},
        "finding": outcome.finding(),
    })
}

/// The page, without the recipe.
pub(super) fn report(outcome: &Outcome<'_>) -> Report {
    let evaluation = outcome.recipe.evaluation.prompts.get();
    let place = |point: &Point| (point.kl, point.reward);
    let mut plot = Plot::new(
        "Reward over the KL divergence from the reference. Every point is a policy, and a line joins those that no other policy of the \
         same method beats.",
        "KL divergence from the reference, nats per answer",
        "mean reward",
    );
    let mut fronts = Table::new(["method", "KL, nats per answer", "reward"]);
    for (method, front) in Method::ALL.into_iter().zip(outcome.fronts()) {
        plot = plot
            .series(method.name(), front.iter().map(place))
            .dots(outcome.points(method).iter().map(place));
        for point in &front {
            fronts = fronts.row([
                method.name().to_owned(),
                format!("{:.3}", point.kl),
                format!("{:.3}", point.reward),
            ]);
        }
    }
    let frontier = Section::new("What it shows")
        .text(outcome.finding())
        .item(&plot)
        .text(format!(
            "Each policy has answered the same {evaluation} prompts, which no stage has seen. The reward is the reward model's, which is \
             also what PPO raises and what DPO's {} pairs were made with. The divergence is that of whole answers: the sum over the tokens \
             of an answer of the divergence of the next token's distribution, and of these the mean.",
            grouped(outcome.pairs)
        ))
        .item(&ends(outcome))
        .item(&fronts.caption("The policies that are not beaten."));
    Report::new("The frontier of reward and KL divergence")
        .subtitle(format!(
            "DPO and PPO on the beginnings of film reviews, with a Llama of {} parameters",
            grouped(outcome.parameters as usize)
        ))
        .card(
            "Perplexity",
            format!("{:.1}", outcome.perplexity()),
            "of held-out reviews, after fine-tuning",
        )
        .card(
            "Reward model",
            format!("{:.0} %", 100.0 * outcome.accuracy()),
            "of held-out pairs of reviews are put in the right order",
        )
        .card(
            "Policies",
            outcome
                .runs
                .iter()
                .map(|run| run.judged.points.len())
                .sum::<usize>()
                .to_string(),
            "judged",
        )
        .section(frontier)
        .section(samples(outcome))
}

/// Answers of the reference, and of the last policy of each method's best run.
fn samples(outcome: &Outcome<'_>) -> Section {
    let best = Method::ALL.map(|method| outcome.best(method));
    let columns = best.iter().flatten();
    let columns = columns.map(|finished| (finished.run.title(), &finished.judged));
    let columns: Vec<(String, &JudgedRun)> = std::iter::once(("before".to_owned(), &outcome.reference))
        .chain(columns)
        .collect();
    let mut table =
        Table::new(std::iter::once("prompt".to_owned()).chain(columns.iter().map(|column| column.0.clone())));
    for (index, first) in outcome.reference.shown.iter().enumerate() {
        let answers = columns.iter().map(|(_, judged)| {
            let shown = judged.shown.get(index);
            shown.map_or_else(String::new, |shown| {
                format!("{} ({:.2})", shown.answer.trim(), shown.reward)
            })
        });
        table = table.row(std::iter::once(first.prompt.clone()).chain(answers));
    }
    Section::new("Answers")
        .text("Before, and at the end of each method's run with the highest reward; rewards in brackets.")
        .item(&table)
}

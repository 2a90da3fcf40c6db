//! One task of the tour: an agent learns, is judged on the way, and its best policy is shown.

use etude_rl::{Autoreset, Policy, evaluate, make_drawn, make_envs};
use serde_json::json;

use super::learn;
use crate::error::CommandError;
use crate::output::Output;
use crate::report::{Code, Plot, Section};
use crate::rl::failed;
use crate::rl::film::film;
use crate::rl::train::Algorithm;
use crate::tour::Curve;

/// Times that the policy is judged, in so many episodes; at the end in as many as a user would ask for.
const JUDGEMENTS: u64 = 25;
const EPISODES: usize = 20;
const FINAL_EPISODES: usize = 100;
const PATIENCE: u32 = 10_000;
/// Judged in other episodes at the end than on the way.
const JUDGED: [u64; 2] = [1_000_000_000, 2_000_000_000];

/// What is learnt, and how it is told.
pub(super) struct Task {
    pub(super) algorithm: Algorithm,
    pub(super) environment: &'static str,
    /// The recipe.
    pub(super) recipe: &'static str,
    /// The heading of the section, and what it says first.
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    /// What a policy that knows nothing earns, and about the most that can be earned.
    pub(super) range: [f64; 2],
}

/// What came of it.
pub(super) struct Played {
    pub(super) section: Section,
    /// The step of the best policy, and its mean return in fresh episodes.
    pub(super) step: u64,
    pub(super) best: f64,
    /// For `--json`.
    pub(super) result: serde_json::Value,
    pub(super) curve: Curve,
}

pub(super) fn play(task: &Task, output: &Output) -> Result<Played, CommandError> {
    let (environment, algorithm) = (task.environment, task.algorithm.name());
    let failed = |error| failed(&error, environment);
    let judge = |count, seed, policy: &mut dyn Policy| {
        let mut envs = make_envs(environment, count, Autoreset::Disabled)?;
        Ok(evaluate(&mut *envs, policy, seed, PATIENCE)?.mean())
    };
    let mut returns: Vec<(u64, f64)> = Vec::new();
    let mut best: Option<(f64, u64, Box<dyn Policy>)> = None;
    let name = format!("{algorithm} on {environment}");
    learn(&name, task.algorithm, task.recipe, JUDGEMENTS, output, |training| {
        let mut policy = training.policy();
        let mean: f64 = judge(EPISODES, JUDGED[0], &mut *policy).map_err(failed)?;
        returns.push((training.steps(), mean));
        if best.as_ref().is_none_or(|(highest, ..)| mean > *highest) {
            best = Some((mean, training.steps(), policy));
        }
        Ok(format!("return {mean:.0}"))
    })?;
    let [least, most] = task.range;
    for &(step, mean) in &returns {
        let share = ((mean - least) / (most - least)).clamp(0.0, 1.0);
        let bar = "█".repeat((share * 40.0).round() as usize);
        output.line(&format!("{step:>7} steps  {mean:>6.0}  {bar}"));
    }
    let Some((_, step, mut policy)) = best else {
        return Err(CommandError::failed_run("no policy was learnt"));
    };
    let best = judge(FINAL_EPISODES, JUDGED[1], &mut *policy).map_err(failed)?;
    output.line(&format!(
        "the best policy, of step {step}, earns {best:.1} on average over {FINAL_EPISODES} fresh episodes; about {most} is the most \
         there is"
    ));
    let plot = Plot::new(
        "Mean return of 20 fixed episodes, without exploration",
        "step",
        "return",
    )
    .series(algorithm, returns.iter().map(|&(step, mean)| (step as f64, mean)));
    let mut env = make_drawn(environment).map_err(failed)?;
    let [still, moving] = film(&mut *env, environment, &mut *policy).map_err(failed)?;
    let section = Section::new(task.title)
        .text(format!(
            "{} The best policy, of step {step}, was judged in {FINAL_EPISODES} other episodes: {best:.1} on average, where about {most} is \
             the most there is.",
            task.text
        ))
        .item(&plot)
        .item(&still)
        .item(&moving)
        .item(&Code::toml(task.recipe).folded("The recipe of this task"));
    Ok(Played {
        section,
        step,
        best,
        result: json!({
            "problem": environment,
            "algorithm": algorithm,
            "steps": step,
            "best_return": best,
            "returns": returns,
        }),
        curve: Curve {
            name: format!("{environment}/{algorithm}/eval/mean_reward"),
            points: returns,
        },
    })
}

//! `etude rl eval`: a saved policy judged in episodes that are the same for every policy.

use std::path::{Path, PathBuf};

use clap::Args;
use etude_rl::statistics::{Scores, bootstrap, interquartile_mean};
use etude_rl::{Autoreset, Policy, PolicyCard, VectorEnv, evaluate, load_policy, reference_returns};
use etude_train::Seed;
use serde::Serialize;

use super::failed;
use crate::error::{CommandError, Context as _};
use crate::output::Output;

/// What `etude rl eval` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A run's folder, whose best policy is taken, or the folder of a policy
    #[arg(value_name = "RUN|POLICY")]
    policy: PathBuf,
    /// Another environment than the one it has learnt in
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// How many episodes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    episodes: u32,
    /// The seed of the first episode; the next has the next one
    #[arg(long, value_name = "N", default_value_t = 2_000_000_000)]
    seed: u64,
    /// Steps after which an episode without an end is cut off
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    patience: u32,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json {
    algorithm: String,
    environment: String,
    /// Steps after which the policy was saved.
    steps: u64,
    mean: f64,
    standard_deviation: f64,
    iqm: f64,
    /// 95 %, of the interquartile mean, by bootstrap.
    interval: [f64; 2],
    mean_length: f64,
    episodes: usize,
    unfinished: usize,
    /// Between random actions, 0, and a planner, 1, where the environment has such references.
    #[serde(skip_serializing_if = "Option::is_none")]
    normalized_score: Option<f64>,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let (card, mut policy) = load(&arguments.policy)?;
    let environment = arguments.env.as_ref().unwrap_or(&card.environment);
    let failed = |error| failed(&error, environment);
    let episodes = arguments.episodes as usize;
    let mut envs = (card.wrapping)
        .make_envs(environment, episodes, Autoreset::Disabled)
        .map_err(failed)?;
    fits(&card, &*envs, environment)?;
    let evaluation = evaluate(&mut *envs, &mut *policy, arguments.seed, arguments.patience).map_err(failed)?;
    let scores = Scores::new(&[&evaluation.returns]).failed_run(|| "cannot judge the policy".into())?;
    let iqm = bootstrap(&scores, Seed(0), interquartile_mean);
    let json = Json {
        algorithm: card.algorithm,
        environment: environment.clone(),
        steps: card.steps,
        mean: evaluation.mean(),
        standard_deviation: evaluation.standard_deviation(),
        iqm: iqm.value,
        interval: [iqm.interval.low, iqm.interval.high],
        mean_length: evaluation.mean_length(),
        episodes: evaluation.returns.len(),
        unfinished: evaluation.unfinished,
        normalized_score: reference_returns(environment).map(|references| references.normalized(evaluation.mean())),
    };
    output.line(&format!(
        "{} on {environment}, saved after {} steps\nmean return {:.2} ± {:.2} over {} episodes, mean length {:.1}\n\
         interquartile mean {:.2}, 95 %: {:.2} to {:.2}",
        json.algorithm,
        json.steps,
        json.mean,
        json.standard_deviation,
        json.episodes,
        json.mean_length,
        json.iqm,
        json.interval[0],
        json.interval[1],
    ));
    if let Some(score) = json.normalized_score {
        output.line(&format!(
            "normalised score {score:.3}, where random actions have 0 and a planner has 1"
        ));
    }
    if json.unfinished > 0 {
        output.note(&format!(
            "{} episodes had not ended after {} steps and were cut off",
            json.unfinished, arguments.patience
        ));
    }
    output.result_json(&json);
    Ok(())
}

/// The policy in `folder`, or the best one of the run there.
pub(super) fn load(folder: &Path) -> Result<(PolicyCard, Box<dyn Policy>), CommandError> {
    let best = folder.join("best");
    let folder = if best.is_dir() { &best } else { folder };
    load_policy(folder).map_err(|error| {
        CommandError::bad_input("cannot load the policy")
            .caused_by(&error)
            .hint("name the folder of a run, or one with a policy.json, such as runs/NAME/best")
    })
}

/// Whether the policy of `card` can act in `envs`, which are called `environment`.
pub(super) fn fits(card: &PolicyCard, envs: &dyn VectorEnv, environment: &str) -> Result<(), CommandError> {
    let (observations, actions) = (envs.observation_space(), envs.action_space());
    if (observations, actions) == (&card.observations, &card.actions) {
        return Ok(());
    }
    Err(
        CommandError::bad_input(format!("this policy does not fit {environment}")).because(format!(
            "it sees {} and chooses {}; there, {observations} are seen and {actions} chosen",
            card.observations, card.actions
        )),
    )
}

//! `etude rl envs`: the environments that there are.

use etude_rl::{Env, environments};
use serde::Serialize;

use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::report::Table;
use crate::terminal;

/// One environment, as `--json` prints it.
#[derive(Serialize)]
struct Json {
    id: &'static str,
    summary: &'static str,
    observations: String,
    actions: String,
    max_episode_steps: Option<usize>,
    reward_threshold: Option<f64>,
}

pub(super) fn run(output: &Output) -> Result<(), CommandError> {
    let mut list = Vec::new();
    for known in environments() {
        let env = known.make().failed_run(|| format!("cannot build {}", known.id))?;
        list.push(Json {
            id: known.id,
            summary: known.summary,
            observations: env.observation_space().to_string(),
            actions: env.action_space().to_string(),
            max_episode_steps: known.max_episode_steps,
            reward_threshold: known.reward_threshold,
        });
    }
    output.result_json(&list);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let header = ["name", "what to do", "is shown", "chooses", "steps", "solved at"];
    let table = list.iter().fold(Table::new(header), |table, known| {
        table.row([
            known.id.to_owned(),
            known.summary.to_owned(),
            known.observations.clone(),
            known.actions.clone(),
            or_dash(known.max_episode_steps.map(|steps| steps.to_string())),
            or_dash(known.reward_threshold.map(|threshold| threshold.to_string())),
        ])
    });
    output.line(terminal::table(&table).trim_end());
    Ok(())
}

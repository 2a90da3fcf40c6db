//! `etude mdp solve --horizon`: optimal values and policies by steps to go.

use std::time::Instant;

use etude_mdp::optimal::{FiniteHorizon, finite_horizon};
use etude_mdp::{ActionValues, Model};
use serde::Serialize;

use super::problem::{Problem, with_model};
use super::solve::time;
use super::{reject, view, watch};
use crate::error::CommandError;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Report, Section};
use crate::run_report::{Finished, Run};

/// The most values that are kept, one a state and step: with the actions some 3 GB.
const MOST_VALUES: usize = 1 << 28;

/// The steps to go that are shown, beside the horizon itself.
const SHOWN: [usize; 7] = [1, 2, 3, 5, 10, 20, 50];

/// What `--json` prints: stage by stage, by steps to go.
#[derive(Serialize)]
struct Json<'a> {
    method: &'static str,
    gamma: f64,
    horizon: usize,
    /// `values[t][s]` with t steps to go, from t = 0.
    values: &'a [Vec<f64>],
    /// `policies[t][s]`: the action, by label, with t + 1 steps to go; null where the state is terminal.
    policies: Vec<Vec<Option<u32>>>,
    seconds: f64,
}

pub(super) fn run(problem: &Problem, horizon: usize, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    let started = Instant::now();
    let FiniteHorizon { values, policies } = induce(problem, horizon, output)?;
    let seconds = started.elapsed().as_secs_f64();
    let label = |state: usize, action: u32| {
        with_model!(&problem.model, model => {
            (model.actions(state) > 0).then(|| model.action_label(state, action as usize))
        })
    };
    if output.is_json() {
        let labels = |policy: &Vec<u32>| (0..).zip(policy).map(|(state, &action)| label(state, action)).collect();
        output.result_json(&Json {
            method: "backward-induction",
            gamma: problem.gamma,
            horizon,
            values: &values,
            policies: policies.iter().map(labels).collect(),
            seconds,
        });
        if !run.writes() {
            return Ok(());
        }
    }
    output.line(&format!("{}: {}", problem.title, problem.describe()));
    let mut section = Section::new("Values by steps to go");
    let shown = SHOWN.into_iter().filter(|&steps| steps < horizon).chain([horizon]);
    for steps in shown {
        let caption = if steps == 1 {
            "1 step to go".into()
        } else {
            format!("{steps} steps to go")
        };
        let policy = |state: usize| vec![policies[steps - 1][state]];
        let q = with_model!(&problem.model, model => {
            ActionValues::from_values(model, problem.gamma, &values[steps - 1])
        });
        let table = view::value_table(problem, &values[steps], &q, &policy);
        let map = view::value_map(problem, &caption, &values[steps], &policy);
        if map.is_none() {
            output.line(&caption);
        }
        view::show(output, map.as_ref(), &table);
        section = match &map {
            Some(map) => section.item(map),
            None => section.text(&caption).item(&table),
        };
    }
    output.line(&format!("{horizon} steps by backward induction in {}", time(seconds)));
    let report = Report::new(format!("{}: finite horizon", problem.title))
        .subtitle(format!("{}, discount {}", problem.describe(), problem.gamma))
        .card("Method", "backward induction", "exact but for rounding")
        .card("Horizon", horizon.to_string(), "steps")
        .card("Time", time(seconds), "solving only")
        .section(section);
    let finished = Finished {
        command: "mdp solve",
        name: &problem.stem,
        config: &problem.config,
        seed: None,
        report,
    };
    run.finish(finished, |_| ())
}

/// Goes back step by step, so that a bar can move and Ctrl-C is heard in between.
fn induce(problem: &Problem, horizon: usize, output: &Output) -> Result<FiniteHorizon, CommandError> {
    let states = with_model!(&problem.model, model => model.states());
    if horizon.saturating_mul(states) > MOST_VALUES {
        return Err(CommandError::bad_input("cannot plan so many steps")
            .because(format!(
                "{horizon} steps for {states} states take more than {MOST_VALUES} values, one a state and step"
            ))
            .hint("ask for fewer steps, or plan for ever with a discount below 1"));
    }
    let bar = Progress::bar(output, "backward induction", horizon as u64);
    let mut values = vec![vec![0.0; states]];
    let mut policies = Vec::new();
    for step in 0..horizon {
        watch::check()?;
        let stage = with_model!(&problem.model, model => finite_horizon(model, problem.gamma, 1, &values[step]));
        let stage = stage.map_err(|error| reject(&error))?;
        values.extend(stage.values.into_iter().skip(1));
        policies.extend(stage.policies);
        bar.set(step as u64 + 1, "");
    }
    bar.finish();
    Ok(FiniteHorizon { values, policies })
}

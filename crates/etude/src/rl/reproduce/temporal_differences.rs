//! Chapter 7 in tables: the path task by all methods, and Q-learning that watches another policy.

use etude_mdp::{GridRewards, GridWorld};
use etude_rl::control::{
    ActionValues, ControlErrors, EpsilonGreedy, KnownControl, LinearActionValues, Settings, Target, TdControl,
};
use etude_rl::{Env, OneHot, Tabular, Transition, grid_world};
use etude_train::Seed;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::book::{self, ACTIONS, CELLS, DISCOUNT};
use super::check::{Basis, Check, Criterion};
use super::path::{self, EPISODES, LAST, Method, SHORTEST};
use super::{Part, Setting, Watch, broken};
use crate::error::CommandError;
use crate::report::{Plot, Section, Table};
use crate::tour::Curve;

/// alpha, in all of chapter 7.
const STEP_SIZE: f64 = 0.1;

fn table() -> LinearActionValues<OneHot> {
    LinearActionValues::new(OneHot { states: CELLS }, ACTIONS)
}

/// The median mean length of the last hundred episodes of the path task, at most.
const LENGTH: f64 = 20.0;
/// The share of the last hundred episodes after which the greedy policy goes a shortest way. Apart from these runs it was 0.83 to
/// 0.88 over ten seeds of Sarsa; single ones went down to 0.27.
const FOUND: f64 = 0.6;

/// Figures 7.2 and 7.3: from the top left cell to the target.
pub(super) fn paths(setting: &Setting<'_>) -> Result<Part, CommandError> {
    let grid = book::path_task(book::rewards(-10.0, -10.0, 0.0, -1.0))?;
    let methods = [
        ("Sarsa", Target::Sarsa, 1),
        ("expected Sarsa", Target::ExpectedSarsa, 1),
        ("3-step Sarsa", Target::Sarsa, 3),
        ("Q-learning", Target::QLearning, 1),
    ];
    let total = methods.len() as u64 * setting.runs * EPISODES as u64;
    let watch = Watch::new(setting.output, "chapter 7, paths", total);
    let methods = methods
        .into_iter()
        .map(|(name, target, steps)| {
            let settings = path::settings(target, steps, STEP_SIZE);
            path::learn(
                name,
                &grid,
                settings,
                table,
                setting.seed..setting.seed + setting.runs,
                &watch,
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    let header = [
        "method",
        "target",
        "steps to the target",
        "return",
        "a shortest way",
        "verdict",
    ];
    let summary = methods
        .iter()
        .zip(TARGETS)
        .fold(Table::new(header), |table, (method, target)| {
            table.row([
                method.name.to_owned(),
                target.to_owned(),
                format!("{:.1}", method.length()),
                format!("{:.1}", method.reward()),
                format!("{:.0} %", 100.0 * method.found()),
                super::check::verdict(path_checks(method).iter().all(Check::passes)).to_owned(),
            ])
        });
    let summary = summary.caption(format!(
        "Medians over {} runs of the last {LAST} of {EPISODES} episodes, in which one action in ten is still taken at random, and \
         the share of those episodes after which the greedy policy goes a shortest way, of {SHORTEST} steps",
        setting.runs
    ));
    let section = Section::new("Chapter 7: four methods, one task")
        .text(
            "From the top left cell to the target: -1 a step, -10 for a forbidden cell or the edge, nothing for the target, where \
             the episode ends. All methods move q(s, a) towards a target, q(s, a) ← q(s, a) + α (target − q(s, a)), and only \
             the target differs. α = 0.1, ε = 0.1, γ = 0.9, and q begins at zero.",
        )
        .item(&summary);
    let section = (methods.iter()).fold(section, |section, method| {
        let caption = format!("{}: greedy policy and values of the first run", method.name);
        section.item(&book::policy_map(caption, &grid, &method.runs[0].values))
    });
    let section = path::plots(&methods).iter().fold(section, Section::item).note(format!(
        "The book draws the curves and the policy of one run, and no number. Our limits, set before the run: a median length of at \
         most {LENGTH} steps, and a shortest way after at least {:.0} % of the last {LAST} episodes. Arrows are missing where \
         nothing was learnt.",
        100.0 * FOUND
    ));
    Ok(Part {
        sections: vec![section],
        checks: methods.iter().flat_map(path_checks).collect(),
        results: ("7.2, 7.3", Value::Array(methods.iter().map(Method::result).collect())),
        curves: methods.iter().flat_map(|method| method.curves("path")).collect(),
    })
}

/// The targets of the methods of [`paths`].
const TARGETS: [&str; 4] = [
    "r + γ q(s′, a′)",
    "r + γ Σ π(a|s′) q(s′, a)",
    "r₁ + γ r₂ + γ² r₃ + γ³ q(s₃, a₃)",
    "r + γ max q(s′, a)",
];

fn path_checks(method: &Method) -> [Check; 2] {
    let check = |what: &str, found, criterion| Check {
        figure: if method.name == "Q-learning" { "7.3" } else { "7.2" },
        what: format!("{} on the path task: {what}", method.name),
        found,
        criterion,
        basis: Basis::Drawn,
    };
    [
        check("steps to the target", method.length(), Criterion::AtMost(LENGTH)),
        check(
            "share of episodes after which the greedy way is a shortest one",
            method.found(),
            Criterion::AtLeast(FOUND),
        ),
    ]
}

/// Steps of the one episode of figure 7.4.
const STEPS: usize = 100_000;
/// Errors are recorded after every so many steps.
const EVERY: usize = 500;

/// Q-learning that watches some behaviour.
struct Watched {
    name: &'static str,
    epsilon: f64,
    /// All action values at the beginning.
    first: f64,
    /// Errors after so many steps.
    errors: Vec<(usize, ControlErrors)>,
    /// The share of the time spent in each cell.
    distribution: Vec<f64>,
    values: Vec<[f64; ACTIONS]>,
}

impl Watched {
    fn new(name: &'static str, epsilon: f64, first: f64) -> Self {
        Self {
            name,
            epsilon,
            first,
            errors: Vec::new(),
            distribution: vec![0.0; CELLS],
            values: vec![[0.0; ACTIONS]; CELLS],
        }
    }

    fn learn(mut self, grid: &GridWorld, known: &KnownControl, seed: u64, watch: &Watch) -> Result<Self, CommandError> {
        let settings = Settings {
            behaviour: EpsilonGreedy { epsilon: self.epsilon },
            ..path::settings(Target::QLearning, 1, STEP_SIZE)
        };
        let mut q = table();
        q.weights_mut().fill(self.first);
        let mut agent = TdControl::new(q, settings, Seed(seed).stream(self.name));
        let mut env = Tabular::new(grid_world(grid));
        let (mut here, mut next, mut action) = ([0.0], [0.0], [0.0]);
        env.reset(Some(seed), &mut here);
        for step in 1..=STEPS {
            agent.act(&here, &mut action);
            let reward = env.step(&action, &mut next).reward;
            agent.learn(&here, &action, reward, &next, Transition::Continues);
            self.distribution[here[0] as usize] += 1.0 / STEPS as f64;
            here = next;
            if step % EVERY == 0 {
                watch.step()?;
                let learnt = |state: usize, q: &mut [f64]| agent.values().values(&[state as f32], q);
                self.errors.push((step, known.errors(learnt, &self.distribution)));
            }
        }
        for (state, q) in self.values.iter_mut().enumerate() {
            agent.values().values(&[state as f32], q);
        }
        Ok(self)
    }

    /// Errors after `steps` steps.
    fn after(&self, steps: usize) -> ControlErrors {
        self.errors[steps / EVERY - 1].1
    }

    fn result(&self) -> Value {
        let last = self.after(STEPS);
        json!({
            "behaviour": self.name,
            "epsilon": self.epsilon,
            "first_values": self.first,
            "rmse": last.rmse,
            "sup": last.sup,
            "weighted_rmse": last.weighted_rmse,
            "bellman_error": last.bellman,
            "rmse_by_step": self.errors.iter().map(|(step, errors)| (step, errors.rmse)).collect::<Vec<_>>(),
            "values": self.values,
            "distribution": self.distribution,
        })
    }
}

/// The error of the values learnt under the uniform policy, at most. In six other runs it was 0.002 to 0.008.
const UNIFORM_ERROR: f64 = 0.03;
/// The same after a tenth of the steps, where all values begin at 10, which is near the truth. In three other runs it was 0.05 to
/// 0.09.
const EARLY_ERROR: f64 = 0.3;
/// How many times as great the errors are where less is explored, at least; in three other runs, 26 times and 500 times or more.
const TIMES: [f64; 2] = [5.0, 50.0];

/// Figure 7.4: the optimal values from a single episode of another policy.
pub(super) fn off_policy(setting: &Setting<'_>) -> Result<Part, CommandError> {
    let grid = book::grid(GridRewards::default())?;
    let known = KnownControl::new(&grid, DISCOUNT).map_err(|error| broken(&error))?;
    let behaviours = [
        Watched::new("uniform", 1.0, 0.0),
        Watched::new("uniform, q begins at 10", 1.0, 10.0),
        Watched::new("ε = 0.5", 0.5, 0.0),
        Watched::new("ε = 0.1", 0.1, 0.0),
    ];
    let total = behaviours.len() * STEPS / EVERY;
    let watch = Watch::new(setting.output, "figure 7.4", total as u64);
    let watched = behaviours
        .into_par_iter()
        .map(|behaviour| behaviour.learn(&grid, &known, setting.seed, &watch))
        .collect::<Result<Vec<_>, _>>()?;
    let checks = off_policy_checks(&watched, &known);

    let header = [
        "behaviour",
        "error",
        "greatest",
        "error where it was",
        "Bellman optimality error",
        "least time in a cell",
    ];
    let summary = watched.iter().fold(Table::new(header), |table, watched| {
        let last = watched.after(STEPS);
        let least = watched.distribution.iter().copied().fold(f64::INFINITY, f64::min);
        table.row([
            watched.name.to_owned(),
            format!("{:.4}", last.rmse),
            format!("{:.4}", last.sup),
            format!("{:.4}", last.weighted_rmse),
            format!("{:.4}", last.bellman),
            format!("{:.2} %", 100.0 * least),
        ])
    });
    let summary = summary.caption(format!(
        "After {STEPS} steps: root mean square and greatest error of max q(s, a) against v*, the same mean weighted by the time spent \
         in each cell, and how far q is from its own optimal backup"
    ));
    let plot = Plot::new("Root mean square error against v* by step", "step", "error").log_y();
    let plot = watched.iter().fold(plot, |plot, watched| {
        let points = watched.errors.iter().map(|(step, errors)| (*step as f64, errors.rmse));
        plot.series(watched.name, points)
    });
    let exact: Vec<[f64; ACTIONS]> = (known.action_values().iter())
        .map(|q| q.try_into().unwrap_or_default())
        .collect();
    let map = |caption: &str, values: &[[f64; ACTIONS]]| book::policy_map(caption, &grid, values).ends(0.0, 10.0);
    let section = Section::new("Figure 7.4: Q-learning from another policy's steps")
        .text(
            "Q-learning learns the optimal values whatever is done, as long as everything is tried. Here it sees one episode of \
             100,000 steps on the grid that never ends, with forbidden cells and the edge at -1 and the target at 1. Under the \
             uniform policy the error against the exact optimum vanishes; under policies that explore less it takes far \
             longer, and what is learnt is good only where the policy goes.",
        )
        .item(&map("The exact optimum", &exact))
        .item(&map("Learnt from the uniform policy", &watched[0].values))
        .item(&map("Learnt with ε = 0.1", &watched[3].values))
        .item(&plot)
        .item(&summary)
        .note(
            "The optimal values and the fact that the error goes to zero are the book's; the times are only drawn. The book's \
             behaviours with ε = 0.5 and 0.1 are policies that it draws; ours take, with probability 1 - ε, the action that \
             is best by the values learnt so far, so that the order of the errors can be compared, and not their size.",
        );
    Ok(Part {
        sections: vec![section],
        checks,
        results: (
            "7.4",
            json!({
                "optimal_values": known.values(),
                "behaviours": watched.iter().map(Watched::result).collect::<Vec<_>>(),
            }),
        ),
        curves: (watched.iter())
            .map(|watched| Curve {
                name: format!("off-policy/{}/rmse", watched.name),
                points: (watched.errors.iter())
                    .map(|(step, errors)| (*step as u64, errors.rmse))
                    .collect(),
            })
            .collect(),
    })
}

fn off_policy_checks(watched: &[Watched], known: &KnownControl) -> Vec<Check> {
    let furthest = (known.values().iter().zip(&book::OPTIMAL_VALUES))
        .fold(0.0, |furthest: f64, (ours, book)| furthest.max((ours - book).abs()));
    let uniform = watched[0].after(STEPS).rmse;
    let check = |what: String, found, criterion, basis| Check {
        figure: "7.4",
        what,
        found,
        criterion,
        basis,
    };
    let mut checks = vec![
        check(
            "optimal values, the greatest difference to three known digits".into(),
            furthest,
            Criterion::AtMost(5e-3),
            Basis::Exact,
        ),
        check(
            "Q-learning from the uniform policy: error against v*".into(),
            uniform,
            Criterion::AtMost(UNIFORM_ERROR),
            Basis::Exact,
        ),
        check(
            "the same after 10,000 steps, where q begins near the truth".into(),
            watched[1].after(STEPS / 10).rmse,
            Criterion::AtMost(EARLY_ERROR),
            Basis::Drawn,
        ),
    ];
    for (watched, times) in watched[2..].iter().zip(TIMES) {
        checks.push(check(
            format!("{}: error as a multiple of the uniform policy's", watched.name),
            watched.after(STEPS).rmse / uniform,
            Criterion::AtLeast(times),
            Basis::Drawn,
        ));
    }
    checks
}

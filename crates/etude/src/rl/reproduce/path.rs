//! Learning the way from a start to the target, over and over.

use etude_mdp::GridWorld;
use etude_rl::control::{ActionValues, EpsilonGreedy, Settings, Target, TdControl, greedy_action};
use etude_rl::{Env, Tabular, TabularModel, grid_world};
use etude_train::Seed;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::Watch;
use super::book::{ACTIONS, CELLS, DISCOUNT};
use crate::error::CommandError;
use crate::report::Plot;
use crate::tour::Curve;

/// Episodes of a run.
pub(super) const EPISODES: usize = 500;
/// Those at the end that a run is judged by.
pub(super) const LAST: usize = 100;
/// Steps after which a run is given up, several times what the longest take.
const PATIENCE: u64 = 3_000_000;
/// The steps of a shortest way.
pub(super) const SHORTEST: u32 = 11;

/// One run, episode by episode.
pub(super) struct Run {
    lengths: Vec<f64>,
    returns: Vec<f64>,
    /// Whether the greedy policy after the episode goes a shortest way, without a forbidden cell or the edge.
    found: Vec<bool>,
    /// q in the end.
    pub(super) values: Vec<[f64; ACTIONS]>,
}

/// The runs of one method.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) runs: Vec<Run>,
}

/// The book's policy while it learns, on top of what differs.
pub(super) fn settings(target: Target, steps: usize, step_size: f64) -> Settings {
    Settings {
        target,
        steps,
        behaviour: EpsilonGreedy { epsilon: 0.1 },
        discount: DISCOUNT,
        step_size,
    }
}

/// Lets as many agents as there are seeds learn the task of `grid`, each from the first.
pub(super) fn learn<Q: ActionValues>(
    name: &'static str,
    grid: &GridWorld,
    settings: Settings,
    first: impl Fn() -> Q + Sync,
    seeds: std::ops::Range<u64>,
    watch: &Watch,
) -> Result<Method, CommandError> {
    let runs = seeds
        .into_par_iter()
        .map(|seed| {
            let agent = TdControl::new(first(), settings, Seed(seed).stream(name));
            one(agent, grid, seed, watch)
        })
        .collect::<Result<_, _>>()?;
    Ok(Method { name, runs })
}

fn one<Q: ActionValues>(
    mut agent: TdControl<Q>,
    grid: &GridWorld,
    seed: u64,
    watch: &Watch,
) -> Result<Run, CommandError> {
    let model = grid_world(grid);
    let mut env = Tabular::new(model.clone());
    let mut run = Run {
        lengths: Vec::with_capacity(EPISODES),
        returns: Vec::with_capacity(EPISODES),
        found: Vec::with_capacity(EPISODES),
        values: vec![[0.0; ACTIONS]; CELLS],
    };
    let (mut here, mut next, mut action) = ([0.0], [0.0], [0.0]);
    let mut steps = 0;
    for episode in 0..EPISODES {
        env.reset((episode == 0).then_some(seed), &mut here);
        let (mut length, mut earned) = (0.0, 0.0);
        loop {
            agent.act(&here, &mut action);
            let step = env.step(&action, &mut next);
            agent.learn(&here, &action, step.reward, &next, step.transition());
            here = next;
            (length, earned, steps) = (length + 1.0, earned + step.reward, steps + 1);
            if step.ends() || steps == PATIENCE {
                break;
            }
            if steps % 10_000 == 0 {
                Watch::check()?;
            }
        }
        run.lengths.push(length);
        run.returns.push(earned);
        for (state, q) in run.values.iter_mut().enumerate() {
            agent.values().values(&[state as f32], q);
        }
        run.found.push(steps < PATIENCE && shortest(&model, &run.values));
        watch.step()?;
        if steps == PATIENCE {
            // What was never played counts as long, and as not found.
            run.lengths.resize(EPISODES, length);
            run.returns.resize(EPISODES, earned);
            run.found.resize(EPISODES, false);
            break;
        }
    }
    Ok(run)
}

/// Whether the greedy policy goes from the start to the target in as few steps as can be, and pays nothing for it that a good way
/// does not cost.
fn shortest(model: &TabularModel, values: &[[f64; ACTIONS]]) -> bool {
    let mut state = model.first_states()[0] as usize;
    for step in 1..=SHORTEST {
        let outcome = model.outcomes(state, greedy_action(&values[state]))[0];
        if outcome.reward <= -10.0 {
            return false;
        }
        if outcome.terminated {
            return step == SHORTEST;
        }
        state = outcome.next as usize;
    }
    false
}

impl Method {
    /// The median over the runs of the mean length of the last episodes.
    pub(super) fn length(&self) -> f64 {
        median(self.runs.iter().map(|run| mean(&run.lengths[EPISODES - LAST..])))
    }

    /// The median over the runs of the mean return of the last episodes.
    pub(super) fn reward(&self) -> f64 {
        median(self.runs.iter().map(|run| mean(&run.returns[EPISODES - LAST..])))
    }

    /// The share of the last episodes, of all runs, after which the greedy policy goes a shortest way.
    pub(super) fn found(&self) -> f64 {
        let found = self.runs.iter().flat_map(|run| &run.found[EPISODES - LAST..]);
        found.filter(|&&found| found).count() as f64 / (LAST * self.runs.len()) as f64
    }

    /// The numbers of all runs, for `--json`.
    pub(super) fn result(&self) -> Value {
        json!({
            "method": self.name,
            "length": self.length(),
            "return": self.reward(),
            "shortest": self.found(),
            "lengths": self.runs.iter().map(|run| &run.lengths).collect::<Vec<_>>(),
            "returns": self.runs.iter().map(|run| &run.returns).collect::<Vec<_>>(),
        })
    }

    /// Length and return by episode, means over the runs.
    fn by_episode(&self, of: impl Fn(&Run) -> &[f64]) -> impl Iterator<Item = f64> {
        (0..EPISODES).map(move |episode| {
            let sum: f64 = self.runs.iter().map(|run| of(run)[episode]).sum();
            sum / self.runs.len() as f64
        })
    }

    /// What the run's observers hear.
    pub(super) fn curves(&self, task: &str) -> [Curve; 2] {
        let curve = |name: &str, of: fn(&Run) -> &[f64]| Curve {
            name: format!("{task}/{}/{name}", self.name),
            points: (1..).zip(self.by_episode(of)).collect(),
        };
        [curve("length", |run| &run.lengths), curve("return", |run| &run.returns)]
    }
}

/// Length and return by episode, a curve a method.
pub(super) fn plots(methods: &[Method]) -> [Plot; 2] {
    let runs = methods.first().map_or(0, |method| method.runs.len());
    let plot = |what: &str, label: &str, of: fn(&Run) -> &[f64]| {
        let plot = Plot::new(format!("{what} by episode, mean over {runs} runs"), "episode", label);
        methods.iter().fold(plot, |plot, method| {
            plot.series(method.name, (1..).map(f64::from).zip(method.by_episode(of)))
        })
    };
    [
        plot("Steps of an episode", "steps", |run| &run.lengths)
            .log_y()
            .level(f64::from(SHORTEST)),
        plot("Return of an episode, without discount", "return", |run| &run.returns),
    ]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

#[cfg(test)]
mod tests {
    use etude_rl::control::KnownControl;

    use super::super::book;
    use super::*;

    #[test]
    fn the_optimal_way_is_a_shortest_one_and_others_are_not() {
        let grid = book::path_task(book::rewards(-10.0, -10.0, 0.0, -1.0)).unwrap();
        let model = grid_world(&grid);
        let optimum = KnownControl::new(&grid, DISCOUNT).unwrap();
        let mut values: Vec<[f64; ACTIONS]> = optimum
            .action_values()
            .iter()
            .map(|q| q.try_into().unwrap_or_default())
            .collect();
        assert!(shortest(&model, &values));
        // To stay, to bounce off the edge, to go down into a dead end.
        for action in [4, 0, 2] {
            values[0] = [0.0; ACTIONS];
            values[0][action] = 1.0;
            assert!(!shortest(&model, &values), "{action}");
        }
    }

    #[test]
    fn medians() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-12);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < 1e-12);
    }
}

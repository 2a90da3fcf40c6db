//! Episodes under a policy: what a model does, step by step, and what it pays.

mod sample;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::error::MdpError;
use crate::estimate::Estimate;
use crate::model::{Model, TERMINAL};
use crate::policy::Policy;
use sample::Draw;
pub use sample::Sample;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulationOptions {
    /// The state that every episode starts in; where absent, each starts in one drawn evenly from those not terminal.
    pub start: Option<usize>,
    /// Number of episodes; at least 1.
    pub episodes: usize,
    /// Steps after which an episode is cut off; at least 1.
    pub horizon: usize,
    /// How many trajectories to keep: those of the first episodes.
    pub trajectories: usize,
    /// Episode i draws from a stream of its own, chosen by this and i: the same on any number of threads.
    pub seed: u64,
}

/// One transition.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Step {
    /// The state.
    pub state: u32,
    /// The action taken, by its label.
    pub action: u32,
    /// The reward drawn.
    pub reward: f64,
    /// The next state; absent where a transition to the end has none.
    pub next: Option<u32>,
    /// Whether the episode ended with this step (`terminated` in Gymnasium's words).
    pub ended: bool,
}

/// One episode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trajectory {
    /// The steps, at most as many as the horizon; none where the start is terminal.
    pub steps: Vec<Step>,
    /// The discounted sum of their rewards.
    pub discounted_return: f64,
    /// Whether the horizon cut the episode off before its end (`truncated` in Gymnasium's words).
    pub truncated: bool,
}

/// What came of the episodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulation {
    /// The first episodes, step by step.
    pub trajectories: Vec<Trajectory>,
    /// The discounted return of each episode.
    pub returns: Vec<f64>,
    /// Their mean. What lies beyond the horizon is not in it.
    pub mean: f64,
    /// The standard error of the mean; absent for a single episode.
    pub standard_error: Option<f64>,
    /// A 95 % confidence interval of the expected return up to the horizon; absent for a single episode.
    pub interval: Option<[f64; 2]>,
    /// How many episodes the horizon cut off.
    pub truncated: usize,
}

/// Plays episodes under a policy, in parallel, the same whatever the number of threads.
///
/// # Errors
/// [`MdpError::Setting`] where an option is out of its range or no state can be a start, [`MdpError::Discount`], and
/// [`MdpError::Policy`] where the policy is not one of the model.
pub fn simulate(
    model: &impl Sample,
    policy: &Policy,
    discount: f64,
    options: &SimulationOptions,
) -> Result<Simulation, MdpError> {
    crate::discount::check_range(discount)?;
    policy.check_fits(model)?;
    for (name, found) in [("episodes", options.episodes), ("horizon", options.horizon)] {
        if found == 0 {
            return Err(MdpError::setting(name, found, "at least 1"));
        }
    }
    let starts = starts(model, options.start)?;
    let play_one = |episode: usize| {
        let mut random = stream(options.seed, EVERYWHERE, episode);
        let start = starts[random.random_range(0..starts.len())] as usize;
        let mut steps = Vec::new();
        let keep = episode < options.trajectories;
        let outcome = play(model, policy, start, discount, options.horizon, &mut random, |step| {
            if keep {
                steps.push(step);
            }
        });
        (outcome, steps)
    };
    let episodes: Vec<_> = (0..options.episodes).into_par_iter().map(play_one).collect();
    let truncated = episodes.iter().filter(|(outcome, _)| outcome.truncated).count();
    let returns: Vec<f64> = episodes.iter().map(|(outcome, _)| outcome.discounted_return).collect();
    let kept = episodes.into_iter().take(options.trajectories);
    let trajectories = kept.map(|(outcome, steps)| Trajectory {
        steps,
        discounted_return: outcome.discounted_return,
        truncated: outcome.truncated,
    });
    let estimate: Estimate = returns.iter().copied().collect();
    Ok(Simulation {
        trajectories: trajectories.collect(),
        mean: estimate.mean(),
        standard_error: estimate.standard_error(),
        interval: estimate.interval(),
        returns,
        truncated,
    })
}

/// The states in which an episode may start: the one asked for, or all that are not terminal.
fn starts(model: &impl Model, start: Option<usize>) -> Result<Vec<u32>, MdpError> {
    if let Some(start) = start {
        check_state(model, start)?;
        return Ok(vec![start as u32]);
    }
    let starts: Vec<u32> = (0..model.states() as u32)
        .filter(|&state| model.actions(state as usize) > 0)
        .collect();
    if starts.is_empty() {
        return Err(MdpError::setting(
            "start",
            "not given and every state is terminal",
            "a state with actions",
        ));
    }
    Ok(starts)
}

pub(crate) fn check_state(model: &impl Model, state: usize) -> Result<(), MdpError> {
    if state < model.states() {
        return Ok(());
    }
    Err(MdpError::setting("start", state, "a state of the model"))
}

/// In place of a start state, where the start is drawn.
const EVERYWHERE: usize = usize::MAX;

/// The random numbers of one episode: ChaCha8 under the key of four words (seed, start, 0, 0), stream `episode`.
pub(crate) fn stream(seed: u64, start: usize, episode: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(start as u64).to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(key);
    random.set_stream(episode as u64);
    random
}

pub(crate) struct Outcome {
    pub(crate) discounted_return: f64,
    pub(crate) truncated: bool,
}

/// Plays one episode and tells `record` each step.
pub(crate) fn play(
    model: &impl Sample,
    policy: &Policy,
    start: usize,
    discount: f64,
    horizon: usize,
    random: &mut impl Rng,
    mut record: impl FnMut(Step),
) -> Outcome {
    let mut outcome = Outcome {
        discounted_return: 0.0,
        truncated: false,
    };
    let mut state = start;
    let mut weight = 1.0;
    for _ in 0..horizon {
        let mut action = Draw::new(random);
        policy.for_each(state, |index, probability| action.offer(index, probability));
        let Some(action) = action.taken else {
            return outcome;
        };
        let (next, reward) = model.sample(state, action, random);
        let ended = next == TERMINAL || model.actions(next as usize) == 0;
        record(Step {
            state: state as u32,
            action: model.action_label(state, action),
            reward,
            next: (next != TERMINAL).then_some(next),
            ended,
        });
        outcome.discounted_return += weight * reward;
        if ended {
            return outcome;
        }
        weight *= discount;
        state = next as usize;
    }
    outcome.truncated = model.actions(state) > 0;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mdp, MdpBuilder, Next};

    const OPTIONS: SimulationOptions = SimulationOptions {
        start: Some(0),
        episodes: 10_000,
        horizon: 100,
        trajectories: 3,
        seed: 1,
    };

    /// From 0, action 5 leads to 1 or 2 and pays by where it leads, plus a random part; 1 is terminal, 2 ends.
    fn model() -> Mdp {
        let mut builder = MdpBuilder::new(3);
        builder.transition(0, 5, Next::State(1), 0.25, 1.0);
        builder.transition(0, 5, Next::State(2), 0.75, 2.0);
        builder.reward_distribution(0, 5, &[(10.0, 0.5), (20.0, 0.5)]);
        builder.transition(2, 0, Next::End, 1.0, 100.0);
        builder.terminal(1);
        builder.build().unwrap()
    }

    #[test]
    fn rewards_are_drawn_by_successor_and_at_random() {
        let model = model();
        let simulation = simulate(&model, &Policy::uniform(&model), 0.5, &OPTIONS).unwrap();
        let mut seen: Vec<u64> = simulation.returns.iter().map(|value| value.to_bits()).collect();
        seen.sort_unstable();
        seen.dedup();
        // To 1: 1 plus 10 or 20. To 2 and on: 2 plus 10 or 20, plus half of 100.
        assert_eq!(seen, [11.0, 21.0, 62.0, 72.0].map(f64::to_bits));
        let expected = 0.25 * 16.0 + 0.75 * 67.0;
        let error = (simulation.mean - expected).abs();
        assert!(error <= 5.0 * simulation.standard_error.unwrap(), "{}", simulation.mean);
    }

    #[test]
    fn steps_tell_what_happened() {
        let model = model();
        let simulation = simulate(&model, &Policy::uniform(&model), 0.5, &OPTIONS).unwrap();
        assert_eq!((simulation.trajectories.len(), simulation.truncated), (3, 0));
        for (trajectory, discounted) in simulation.trajectories.iter().zip(&simulation.returns) {
            assert_eq!(trajectory.discounted_return.to_bits(), discounted.to_bits());
            let first = trajectory.steps[0];
            assert_eq!((first.state, first.action), (0, 5));
            match trajectory.steps[1..] {
                [] => assert_eq!((first.next, first.ended), (Some(1), true)),
                [second] => {
                    assert_eq!((first.next, first.ended), (Some(2), false));
                    assert_eq!((second.state, second.next, second.ended), (2, None, true));
                }
                _ => panic!("an episode has at most two steps"),
            }
        }
    }

    #[test]
    fn the_horizon_cuts_off_and_says_so() {
        let model = model();
        let options = SimulationOptions { horizon: 1, ..OPTIONS };
        let simulation = simulate(&model, &Policy::uniform(&model), 0.5, &options).unwrap();
        let longer = simulation
            .returns
            .iter()
            .filter(|&&value| [12.0, 22.0].contains(&value))
            .count();
        assert_eq!(simulation.truncated, longer);
        assert!(
            simulation
                .trajectories
                .iter()
                .all(|trajectory| trajectory.steps.len() == 1)
        );
    }

    #[test]
    fn a_start_that_is_not_given_is_drawn_among_states_with_actions() {
        let model = model();
        let options = SimulationOptions {
            start: None,
            trajectories: 1000,
            ..OPTIONS
        };
        let simulation = simulate(&model, &Policy::uniform(&model), 0.5, &options).unwrap();
        let starts: Vec<u32> = simulation
            .trajectories
            .iter()
            .map(|trajectory| trajectory.steps[0].state)
            .collect();
        let from_0 = starts.iter().filter(|&&start| start == 0).count();
        assert!(
            starts.iter().all(|&start| start != 1) && (400..600).contains(&from_0),
            "{from_0}"
        );
        let terminal = SimulationOptions {
            start: Some(1),
            ..OPTIONS
        };
        let simulation = simulate(&model, &Policy::uniform(&model), 0.5, &terminal).unwrap();
        assert!(simulation.trajectories[0].steps.is_empty() && simulation.truncated == 0);
    }

    #[test]
    fn an_implicit_model_pays_its_expected_reward() {
        struct Walk;
        impl Model for Walk {
            fn states(&self) -> usize {
                2
            }
            fn actions(&self, _: usize) -> usize {
                1
            }
            fn reward(&self, state: usize, _: usize) -> f64 {
                1.0 + state as f64
            }
            fn successors(&self, state: usize, _: usize, mut visit: impl FnMut(u32, f64)) {
                visit(1, 0.5);
                visit(if state == 0 { 0 } else { TERMINAL }, 0.5);
            }
            fn max_successors(&self) -> usize {
                2
            }
            fn has_terminal(&self) -> bool {
                true
            }
        }
        impl Sample for Walk {}
        let simulation = simulate(&Walk, &Policy::uniform(&Walk), 1.0, &OPTIONS).unwrap();
        // Two steps of 1 and then two of 2 on average.
        let [low, high] = simulation.interval.unwrap();
        assert!((low - 0.1..high + 0.1).contains(&6.0), "{low} {high}");
    }

    #[test]
    fn options_out_of_range_are_named() {
        let model = model();
        let uniform = Policy::uniform(&model);
        for (options, expected) in [
            (
                SimulationOptions { episodes: 0, ..OPTIONS },
                "episodes is 0; expected at least 1",
            ),
            (
                SimulationOptions { horizon: 0, ..OPTIONS },
                "horizon is 0; expected at least 1",
            ),
            (
                SimulationOptions {
                    start: Some(3),
                    ..OPTIONS
                },
                "start is 3; expected a state of the model",
            ),
        ] {
            assert_eq!(
                simulate(&model, &uniform, 0.5, &options).unwrap_err().to_string(),
                expected
            );
        }
        assert!(matches!(
            simulate(&model, &uniform, 1.5, &OPTIONS),
            Err(MdpError::Discount(_))
        ));
    }
}

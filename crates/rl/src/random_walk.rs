//! A long walk without a choice, to predict values on.

use crate::render::{Scene, board, palette};
use crate::tabular::{Outcome, TabularModel};

const STATES: usize = 1000;
const START: u32 = 499;
const REACH: usize = 100;

/// The random walk of Sutton and Barto, example 9.1: 1,000 states in a row, from the middle one a step of 1 to 100 states to
/// either side, all equally likely. Beyond the left end the walk is over with -1, beyond the right end with 1. There is one
/// action.
pub fn random_walk() -> TabularModel {
    let each = 1.0 / (2 * REACH) as f64;
    let model = TabularModel::new(STATES, 1, vec![START], |state, _| {
        let inside = |next: usize| Outcome {
            probability: each,
            next: next as u32,
            reward: 0.0,
            terminated: false,
        };
        let beyond = |states: usize, reward: f64| {
            (states > 0).then_some(Outcome {
                probability: each * states as f64,
                // Shown where the walk left the row.
                next: if reward < 0.0 { 0 } else { STATES as u32 - 1 },
                reward,
                terminated: true,
            })
        };
        let left = state.saturating_sub(REACH)..state;
        let right = state + 1..(state + REACH + 1).min(STATES);
        let (fall_left, fall_right) = (REACH - left.len(), REACH - right.len());
        let outcomes = left.chain(right).map(inside);
        outcomes
            .chain(beyond(fall_left, -1.0))
            .chain(beyond(fall_right, 1.0))
            .collect::<Vec<_>>()
    });
    model.with_picture(picture)
}

/// The row as a line, with a mark at every hundredth state.
fn picture(state: u32) -> Scene {
    let mut scene = Scene::new([1000.0, 160.0], palette::PAPER);
    let height = 80.0;
    let across = |state: f64| 100.0 + 800.0 * state / (STATES - 1) as f64;
    scene.rectangle([40.0, height], [40.0, 80.0], 10.0, palette::RED);
    scene.rectangle([960.0, height], [40.0, 80.0], 10.0, palette::GREEN);
    scene.line([[100.0, height], [900.0, height]], 5.0, palette::SOFT);
    for mark in 0..=10 {
        let x = 100.0 + 80.0 * f64::from(mark);
        scene.line([[x, height - 14.0], [x, height + 14.0]], 5.0, palette::SOFT);
    }
    board::agent(&mut scene, [across(f64::from(state)), height]);
    scene
}

#[cfg(test)]
mod tests {
    use etude_mdp::policy_evaluation::{EvaluationOptions, evaluate};
    use etude_mdp::{Policy, silent};

    use super::*;

    #[test]
    fn values_rise_from_one_end_to_the_other() {
        let mdp = random_walk().to_mdp().unwrap();
        let policy = Policy::uniform(&mdp);
        let values = evaluate(&mdp, &policy, 1.0, &EvaluationOptions::default(), &mut silent)
            .unwrap()
            .values;
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
        // As symmetric as the walk; and nearly straight, as figure 9.1 shows it.
        for (state, value) in values.iter().enumerate() {
            assert!((value + values[STATES - 1 - state]).abs() < 1e-9);
            let straight = (2.0 * state as f64 - 999.0) / 1001.0;
            assert!((value - straight).abs() < 0.08, "{state}: {value} {straight}");
        }
    }
}

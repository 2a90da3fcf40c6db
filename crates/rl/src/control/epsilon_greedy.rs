//! Policies made of action values.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// With probability epsilon any action, all equally likely; else one of those of the greatest value, and where several have
/// it, each of them is as likely (Zhao, section 5.4; Sutton and Barto, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpsilonGreedy {
    /// From 0, the greedy policy, to 1, the uniform one.
    pub epsilon: f64,
}

impl EpsilonGreedy {
    /// Draws an action.
    pub fn draw(self, values: &[f64], random: &mut impl Rng) -> usize {
        if random.random::<f64>() < self.epsilon {
            return random.random_range(0..values.len());
        }
        let best = greatest(values);
        let ties = || (0..values.len()).filter(|&action| values[action] >= best);
        // None is the best where all values are NaN.
        let chosen = random.random_range(0..ties().count().max(1));
        ties().nth(chosen).unwrap_or(0)
    }

    /// Sum over a of pi(a|s) q(s, a): epsilon times the mean and 1 - epsilon times the greatest.
    pub fn expectation(self, values: &[f64]) -> f64 {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        self.epsilon * mean + (1.0 - self.epsilon) * greatest(values)
    }
}

/// The first action of the greatest value: the greedy policy where chance should have no hand in it.
pub fn greedy_action(values: &[f64]) -> usize {
    let best = greatest(values);
    values.iter().position(|&value| value >= best).unwrap_or(0)
}

/// max over a of q(s, a).
pub(super) fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use etude_train::Seed;

    use super::*;

    #[test]
    fn actions_are_drawn_as_often_as_their_probabilities_say() {
        let values = [1.0, 3.0, 3.0, 2.0];
        let mut random = Seed(1).stream("policy");
        let draws = 100_000;
        let mut counts = [0_u32; 4];
        for _ in 0..draws {
            counts[EpsilonGreedy { epsilon: 0.2 }.draw(&values, &mut random)] += 1;
        }
        // Two share what is left of the greedy choice; five standard errors.
        for (count, expected) in counts.iter().zip([0.05, 0.45, 0.45, 0.05]) {
            let share = f64::from(*count) / f64::from(draws);
            assert!((share - expected).abs() < 0.008, "{counts:?}");
        }
    }

    #[test]
    fn the_expectation_is_that_of_the_probabilities() {
        let expectation = EpsilonGreedy { epsilon: 0.2 }.expectation(&[1.0, 3.0, 3.0, 2.0]);
        let expected = 0.05 * 1.0 + 0.45 * 3.0 + 0.45 * 3.0 + 0.05 * 2.0;
        assert!((expectation - expected).abs() < 1e-12);
        let greedy = EpsilonGreedy { epsilon: 0.0 }.expectation(&[1.0, 4.0]);
        assert!((greedy - 4.0).abs() < 1e-12);
    }

    #[test]
    fn values_that_are_no_numbers_leave_an_action() {
        let values = [f64::NAN; 3];
        assert!(EpsilonGreedy { epsilon: 0.5 }.draw(&values, &mut Seed(1).stream("policy")) < 3);
        assert_eq!(greedy_action(&values), 0);
        assert_eq!(greedy_action(&[f64::NAN, 1.0, 2.0, 2.0]), 2);
    }
}

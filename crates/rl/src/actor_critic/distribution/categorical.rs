//! Choices among so many actions.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Row;
use crate::encoding::sum;

/// One choice, or several that are independent given the observation: pi(a|s) is proportional to exp of the network's output for
/// a (Zhao, section 9.1.2). Actions that are masked have probability 0 (Huang and Ontanon 2022).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categorical {
    counts: Vec<usize>,
    /// Whether the last numbers that the network sees say which actions may be taken.
    #[serde(default)]
    masked: bool,
}

/// One of the choices of a row.
struct Choice<'a> {
    logits: &'a [f32],
    mask: &'a [f32],
    greatest: f32,
    /// ln of the sum of exp(logit - greatest).
    log_sum: f32,
}

impl<'a> Choice<'a> {
    fn new(logits: &'a [f32], mask: &'a [f32]) -> Self {
        let mut choice = Self {
            logits,
            mask,
            greatest: 0.0,
            log_sum: 0.0,
        };
        choice.greatest = choice
            .allowed()
            .map(|(_, logit)| logit)
            .fold(f32::NEG_INFINITY, f32::max);
        let greatest = choice.greatest;
        choice.log_sum = choice
            .allowed()
            .map(|(_, logit)| (logit - greatest).exp())
            .sum::<f32>()
            .ln();
        choice
    }

    fn allows(&self, action: usize) -> bool {
        self.mask.get(action).is_none_or(|&may| may > 0.0)
    }

    fn allowed(&self) -> impl Iterator<Item = (usize, f32)> {
        let logits = self.logits.iter().copied().enumerate();
        logits.filter(|&(action, _)| self.allows(action))
    }

    /// ln pi(action|s).
    fn log_probability(&self, action: usize) -> f32 {
        if self.allows(action) {
            self.logits[action] - self.greatest - self.log_sum
        } else {
            f32::NEG_INFINITY
        }
    }

    fn entropy(&self) -> f32 {
        let terms = self.allowed().map(|(action, _)| {
            let log_probability = self.log_probability(action);
            -log_probability.exp() * log_probability
        });
        terms.sum()
    }

    fn mode(&self) -> usize {
        let better = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
        self.allowed().reduce(better).map_or(0, |(action, _)| action)
    }
}

impl Categorical {
    /// Among so many actions in each choice.
    pub fn new(counts: Vec<usize>) -> Self {
        Self { counts, masked: false }
    }

    /// The same one, whose network sees as its last numbers which actions may be taken: 1 for each that may, and 0 for the others.
    pub fn masked(self) -> Self {
        Self { masked: true, ..self }
    }

    /// How many of the last numbers that the network sees say which actions may be taken.
    pub(super) fn mask_length(&self) -> usize {
        if self.masked { self.outputs() } else { 0 }
    }

    /// How many actions there are in each choice.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    pub(super) fn outputs(&self) -> usize {
        sum(&self.counts)
    }

    fn choices<'a>(&self, row: Row<'a>) -> impl Iterator<Item = Choice<'a>> {
        let mut start = 0;
        self.counts.iter().map(move |count| {
            let places = start..start + count;
            start += count;
            Choice::new(&row.outputs[places.clone()], row.mask.get(places).unwrap_or(&[]))
        })
    }

    pub(super) fn sample(&self, row: Row<'_>, random: &mut ChaCha8Rng, action: &mut [f32]) {
        for (action, choice) in action.iter_mut().zip(self.choices(row)) {
            let mut left: f32 = random.random();
            // The last one of all, where rounding leaves something over.
            let mut drawn = choice.mode();
            for (candidate, _) in choice.allowed() {
                left -= choice.log_probability(candidate).exp();
                if left < 0.0 {
                    drawn = candidate;
                    break;
                }
            }
            *action = drawn as f32;
        }
    }

    pub(super) fn mode(&self, row: Row<'_>, action: &mut [f32]) {
        for (action, choice) in action.iter_mut().zip(self.choices(row)) {
            *action = choice.mode() as f32;
        }
    }

    pub(super) fn log_probability_and_entropy(&self, row: Row<'_>, action: &[f32]) -> [f32; 2] {
        let mut sums = [0.0; 2];
        for (&action, choice) in action.iter().zip(self.choices(row)) {
            sums[0] += choice.log_probability(action as usize);
            sums[1] += choice.entropy();
        }
        sums
    }

    /// d ln pi(a) / d logit_j = [j = a] - pi(j), and d entropy / d logit_j = -pi(j) (ln pi(j) + entropy).
    pub(super) fn gradient(
        &self,
        row: Row<'_>,
        action: &[f32],
        [by_log_probability, by_entropy]: [f32; 2],
        gradient: &mut [f32],
    ) {
        let mut rest = gradient;
        for (&action, choice) in action.iter().zip(self.choices(row)) {
            let (slopes, after) = rest.split_at_mut(choice.logits.len());
            rest = after;
            let entropy = if by_entropy == 0.0 { 0.0 } else { choice.entropy() };
            for (place, slope) in slopes.iter_mut().enumerate() {
                let log_probability = choice.log_probability(place);
                let probability = log_probability.exp();
                let taken = f32::from(place == action as usize);
                *slope = by_log_probability * (taken - probability);
                if by_entropy != 0.0 && probability > 0.0 {
                    *slope -= by_entropy * probability * (log_probability + entropy);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use etude_train::Seed;
    use proptest::prelude::*;

    use super::*;

    /// Outputs of one choice, and a mask that allows the first of its actions at least, in some order.
    fn masked() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let rows = prop::collection::vec((-50.0..50.0_f32, any::<bool>()), 1..8);
        let shuffled = rows.prop_map(|mut rows| {
            rows[0].1 = true;
            rows
        });
        shuffled.prop_shuffle().prop_map(|rows| {
            let allowed = rows.iter().map(|&(_, may)| f32::from(may));
            (rows.iter().map(|&(output, _)| output).collect(), allowed.collect())
        })
    }

    proptest! {
        #[test]
        fn what_is_masked_is_never_drawn_and_moves_nothing((outputs, mask) in masked(), seed in any::<u64>()) {
            let categorical = Categorical::new(vec![outputs.len()]).masked();
            let row = Row { outputs: &outputs, log_deviations: &[], mask: &mask };
            let (mut random, mut action) = (Seed(seed).stream("actions"), [0.0]);
            for _ in 0..100 {
                categorical.sample(row, &mut random, &mut action);
                prop_assert!(mask[action[0] as usize] > 0.0, "{action:?}");
            }
            categorical.mode(row, &mut action);
            prop_assert!(mask[action[0] as usize] > 0.0, "{action:?}");

            let probability = |index: usize| categorical.log_probability_and_entropy(row, &[index as f32])[0].exp();
            let sum: f32 = (0..outputs.len()).map(probability).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{sum}");
            let mut gradient = vec![f32::NAN; outputs.len()];
            categorical.gradient(row, &action, [1.5, 0.5], &mut gradient);
            prop_assert!(gradient.iter().all(|slope| slope.is_finite()), "{gradient:?}");
            for (index, _) in mask.iter().enumerate().filter(|&(_, &may)| may == 0.0) {
                prop_assert_eq!((probability(index), gradient[index]), (0.0, 0.0));
            }
        }
    }

    #[test]
    fn counts_from_a_file_may_be_any() {
        assert_eq!(Categorical::new(vec![usize::MAX, 2]).masked().mask_length(), usize::MAX);
    }

    #[test]
    fn actions_are_drawn_as_often_as_their_probabilities_say() {
        let categorical = Categorical::new(vec![3, 2]);
        let outputs = [0.0, 2.0_f32.ln(), 7.0, 1.0, 1.0];
        let row = Row {
            outputs: &outputs,
            log_deviations: &[],
            mask: &[1.0, 1.0, 0.0, 1.0, 1.0],
        };
        let (mut random, mut action) = (Seed(1).stream("actions"), [0.0; 2]);
        let mut counts = [[0_i32; 3]; 2];
        for _ in 0..30_000 {
            categorical.sample(row, &mut random, &mut action);
            for (counts, action) in counts.iter_mut().zip(action) {
                counts[action as usize] += 1;
            }
        }
        // Five deviations of a binomial are 410 at most.
        for (found, expected) in counts.as_flattened().iter().zip([10_000, 20_000, 0, 15_000, 15_000, 0]) {
            assert!((found - expected).abs() < 410, "{counts:?}");
        }
        categorical.mode(row, &mut action);
        assert_eq!(action[0] as usize, 1, "the mode of what is allowed");
    }
}

//! Scores of runs, and what sums them up.

use rand::{Rng, RngExt};

use crate::error::RlError;

/// What an algorithm scored: as many runs on each of its tasks, and only finite numbers.
///
/// Where there is more than one task, scores should be normalised, so that those of different tasks can be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Shape `[tasks, runs]`.
    all: Vec<f64>,
    runs: usize,
}

impl Scores {
    /// From the scores of each task's runs, shape `[tasks, runs]`.
    ///
    /// # Errors
    /// [`RlError::Scores`] where there are none, or not as many of each task; [`RlError::Score`] where one is no finite
    /// number.
    pub fn new(tasks: &[impl AsRef<[f64]>]) -> Result<Self, RlError> {
        let runs = tasks.first().map_or(0, |task| task.as_ref().len());
        if runs == 0 {
            return Err(RlError::Scores(
                "there are none; expected a run of a task at least".into(),
            ));
        }
        for (task, scores) in tasks.iter().enumerate() {
            let scores = scores.as_ref();
            if scores.len() != runs {
                let found = scores.len();
                return Err(RlError::Scores(format!(
                    "task 0 has {runs} runs and task {task} has {found}; expected as many of each"
                )));
            }
            if let Some(run) = scores.iter().position(|score| !score.is_finite()) {
                let value = scores[run];
                return Err(RlError::Score { task, run, value });
            }
        }
        let all = tasks.iter().flat_map(AsRef::as_ref).copied().collect();
        Ok(Self { all, runs })
    }

    /// The scores of one task after another.
    pub fn all(&self) -> &[f64] {
        &self.all
    }

    /// The scores of each task.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.all.chunks_exact(self.runs)
    }

    /// How many runs there are of each task.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Becomes a resample of `scores`, of the same shape: each task's runs are drawn from that task's, with
    /// replacement.
    pub(super) fn draw_from(&mut self, scores: &Self, random: &mut impl Rng) {
        for (drawn, task) in self.all.chunks_exact_mut(self.runs).zip(scores.tasks()) {
            drawn.fill_with(|| task[random.random_range(0..task.len())]);
        }
    }
}

/// The mean of what is left of all scores without the lowest and the highest quarter, each rounded down to whole scores
/// (Agarwal et al. 2021, section 4.3). Of fewer than four scores it leaves out none: it is their mean.
pub fn interquartile_mean(scores: &Scores) -> f64 {
    let mut sorted = scores.all.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let cut = sorted.len() / 4;
    let kept = &sorted[cut..sorted.len() - cut];
    kept.iter().sum::<f64>() / kept.len() as f64
}

/// By how much scores fall short of `optimum` on average (Agarwal et al. 2021, section 4.3). What exceeds it makes up
/// for nothing, so that a task that is solved beyond measure does not hide others that are not.
pub fn optimality_gap(scores: &Scores, optimum: f64) -> f64 {
    let missing = scores.all.iter().map(|score| optimum - score.min(optimum));
    missing.sum::<f64>() / scores.all.len() as f64
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small whole numbers among others, so that some are equal.
    fn any_score() -> impl Strategy<Value = f64> {
        prop_oneof![(-5..5_i8).prop_map(f64::from), -1e3..1e3]
    }

    /// Of so many tasks.
    pub(in super::super) fn any_scores(tasks: std::ops::Range<usize>) -> impl Strategy<Value = Scores> {
        (tasks, 1..9_usize).prop_flat_map(|(tasks, runs)| {
            prop::collection::vec(any_score(), tasks * runs).prop_map(move |all| Scores { all, runs })
        })
    }

    proptest! {
        #[test]
        fn the_order_of_scores_does_not_matter(
            (scores, shuffled) in any_scores(1..4).prop_flat_map(|scores| {
                let shuffled = Just(scores.all.clone()).prop_shuffle();
                (Just(scores), shuffled)
            }),
        ) {
            let shuffled = Scores { all: shuffled, ..scores };
            let means = [&scores, &shuffled].map(interquartile_mean);
            prop_assert_eq!(means[0].to_bits(), means[1].to_bits());
            let gaps = [&scores, &shuffled].map(|scores| optimality_gap(scores, 1.0));
            prop_assert!((gaps[0] - gaps[1]).abs() <= 1e-12 * gaps[0]);
        }

        #[test]
        fn the_interquartile_mean_lies_among_the_scores(scores in any_scores(1..4)) {
            let mean = interquartile_mean(&scores);
            let low = scores.all.iter().copied().fold(f64::MAX, f64::min);
            let high = scores.all.iter().copied().fold(f64::MIN, f64::max);
            prop_assert!(low - 1e-9 <= mean && mean <= high + 1e-9, "{mean} outside {low}..{high}");
        }

        #[test]
        fn the_optimality_gap_is_what_is_missing(scores in any_scores(1..4), optimum in -10.0..10.0) {
            let gap = optimality_gap(&scores, optimum);
            prop_assert!(gap >= 0.0);
            let solved = scores.all.iter().all(|&score| score >= optimum);
            prop_assert_eq!(gap <= 0.0, solved);
        }
    }

    #[test]
    fn one_outlier_of_four_or_more_runs_does_not_move_the_interquartile_mean() {
        let cases: [(&[f64], f64); _] = [
            (&[2.0, 10.0, 4.0, 3.0], 3.5),
            (&[2.0, 1e9, 4.0, 3.0], 3.5),
            // Fewer: the mean.
            (&[7.0], 7.0),
            (&[1.0, 3.0], 2.0),
            (&[1.0, 2.0, 9.0], 4.0),
        ];
        for (runs, expected) in cases {
            let mean = interquartile_mean(&Scores::new(&[runs]).unwrap());
            assert!((mean - expected).abs() < 1e-12, "{runs:?}: {mean}, expected {expected}");
        }
    }

    #[test]
    fn what_is_no_matrix_of_numbers_is_refused() {
        let refused = |tasks: &[Vec<f64>]| Scores::new(tasks).unwrap_err().to_string();
        assert_eq!(
            refused(&[]),
            "scores: there are none; expected a run of a task at least"
        );
        assert_eq!(
            refused(&[vec![]]),
            "scores: there are none; expected a run of a task at least"
        );
        assert_eq!(
            refused(&[vec![1.0, 2.0], vec![1.0]]),
            "scores: task 0 has 2 runs and task 1 has 1; expected as many of each"
        );
        for (value, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            assert_eq!(
                refused(&[vec![1.0, 2.0], vec![1.0, value]]),
                format!("the score of task 1, run 1 (both from 0) is {shown}; expected a finite number")
            );
        }
    }
}

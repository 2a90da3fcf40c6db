//! Whether one algorithm does better than another.

use etude_train::Seed;

use super::bootstrap::{Estimate, RESAMPLES, percentile_interval};
use super::scores::Scores;
use crate::error::RlError;

/// How likely a run of `x` scores higher than a run of `y` on a task picked at random, where equal scores count one
/// half, with its stratified bootstrap interval (Agarwal et al. 2021, section 4.3): the mean over tasks of Mann and
/// Whitney's U over the number of pairs. The two may have different numbers of runs; both are resampled.
///
/// # Errors
/// [`RlError::Scores`] where they are not scores of as many tasks.
pub fn probability_of_improvement(x: &Scores, y: &Scores, seed: Seed) -> Result<Estimate, RlError> {
    let tasks = [x, y].map(|scores| scores.tasks().len());
    if tasks[0] != tasks[1] {
        return Err(RlError::Scores(format!(
            "one algorithm has {} tasks and the other {}; expected the same tasks",
            tasks[0], tasks[1]
        )));
    }
    let (mut resampled_x, mut resampled_y) = (x.clone(), y.clone());
    let mut sorted = Vec::with_capacity(y.runs());
    let value = probability(x, y, &mut sorted);
    let interval = percentile_interval(seed, RESAMPLES, |random| {
        resampled_x.draw_from(x, random);
        resampled_y.draw_from(y, random);
        probability(&resampled_x, &resampled_y, &mut sorted)
    });
    Ok(Estimate { value, interval })
}

/// The probability itself; `sorted` is room for the runs of a task.
fn probability(x: &Scores, y: &Scores, sorted: &mut Vec<f64>) -> f64 {
    // Twice U, a whole number, so that nothing is rounded before the end.
    let mut wins = 0;
    for (x, y) in x.tasks().zip(y.tasks()) {
        sorted.clear();
        sorted.extend_from_slice(y);
        sorted.sort_unstable_by(f64::total_cmp);
        for score in x {
            wins += sorted.partition_point(|other| other < score) + sorted.partition_point(|other| other <= score);
        }
    }
    wins as f64 / (2 * x.all().len() * y.runs()) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bootstrap::Interval;
    use super::super::scores::tests::any_scores;
    use super::*;

    fn value(x: &Scores, y: &Scores) -> f64 {
        probability(x, y, &mut Vec::new())
    }

    proptest! {
        #[test]
        fn one_is_as_likely_better_as_the_other_is_worse(x in any_scores(2..3), y in any_scores(2..3)) {
            prop_assert!((value(&x, &y) + value(&y, &x) - 1.0).abs() < 1e-15);
            prop_assert!((value(&x, &x) - 0.5).abs() < 1e-15);
        }

        #[test]
        fn it_is_the_share_of_pairs_that_are_won(x in any_scores(2..3), y in any_scores(2..3)) {
            let share = |x: &[f64], y: &[f64]| {
                let pairs = x.iter().flat_map(|x| y.iter().map(move |y| x.total_cmp(y)));
                pairs.map(|order| f64::from(order as i8 + 1) / 2.0).sum::<f64>() / (x.len() * y.len()) as f64
            };
            let mean = x.tasks().zip(y.tasks()).map(|(x, y)| share(x, y)).sum::<f64>() / 2.0;
            prop_assert!((value(&x, &y) - mean).abs() < 1e-12);
        }
    }

    #[test]
    fn who_always_wins_does_so_in_every_resample() {
        let (x, y) = (
            Scores::new(&[[3.0, 4.0]]).unwrap(),
            Scores::new(&[[0.0, 1.0, 2.0]]).unwrap(),
        );
        let estimate = probability_of_improvement(&x, &y, Seed(1)).unwrap();
        let certain = Interval { low: 1.0, high: 1.0 };
        assert_eq!(
            estimate,
            Estimate {
                value: 1.0,
                interval: certain
            }
        );
    }

    #[test]
    fn different_tasks_are_refused() {
        let (x, y) = (Scores::new(&[[1.0], [2.0]]).unwrap(), Scores::new(&[[1.0]]).unwrap());
        assert_eq!(
            probability_of_improvement(&x, &y, Seed(1)).unwrap_err().to_string(),
            "scores: one algorithm has 2 tasks and the other 1; expected the same tasks"
        );
    }
}

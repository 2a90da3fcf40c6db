//! The whole distribution of scores.

use super::bootstrap::{Estimate, Interval, PERCENTILES};
use super::scores::Scores;
use crate::error::RlError;

/// The share of runs, over all tasks, whose score is above each of `thresholds` (the run-score distribution of Agarwal
/// et al. 2021, section 4.2), with a pointwise 95 % band.
///
/// The band is that of the stratified bootstrap with infinitely many resamples. Nothing has to be drawn for it: in a
/// resample each run of a task is above a threshold with the share p of that task's runs which are, so that the number
/// of those above is a sum of independent binomial numbers, whose distribution is computed. This takes as many
/// operations as the number of thresholds times the square of the number of scores.
///
/// # Errors
/// [`RlError::Threshold`] where a threshold is NaN.
pub fn performance_profile(scores: &Scores, thresholds: &[f64]) -> Result<Vec<Estimate>, RlError> {
    if thresholds.iter().any(|threshold| threshold.is_nan()) {
        return Err(RlError::Threshold);
    }
    Ok(thresholds
        .iter()
        .map(|&threshold| share_above(scores, threshold))
        .collect())
}

fn share_above(scores: &Scores, threshold: f64) -> Estimate {
    let (total, runs) = (scores.all().len(), scores.runs());
    let mut above = 0;
    // The chances of 0, 1, ... runs above the threshold in a resample, of which the first `drawn` are drawn so far.
    let mut chances = vec![0.0; total + 1];
    chances[0] = 1.0;
    let mut drawn = 0;
    for task in scores.tasks() {
        let above_here = task.iter().filter(|&&score| score > threshold).count();
        let chance = above_here as f64 / runs as f64;
        above += above_here;
        for _ in 0..runs {
            drawn += 1;
            for count in (1..=drawn).rev() {
                chances[count] += chance * (chances[count - 1] - chances[count]);
            }
            chances[0] *= 1.0 - chance;
        }
    }
    let share = |count: usize| count as f64 / total as f64;
    let [low, high] = PERCENTILES.map(|percentile| share(quantile(&chances, percentile)));
    Estimate {
        value: share(above),
        interval: Interval { low, high },
    }
}

/// The least count that is not exceeded with a chance of at least `share`.
fn quantile(chances: &[f64], share: f64) -> usize {
    let mut sum = 0.0;
    let reached = chances.iter().position(|chance| {
        sum += chance;
        sum >= share
    });
    reached.unwrap_or(chances.len() - 1)
}

#[cfg(test)]
mod tests {
    use etude_train::Seed;
    use proptest::prelude::*;

    use super::super::bootstrap::bootstrap;
    use super::super::scores::tests::any_scores;
    use super::*;

    proptest! {
        #[test]
        fn profiles_and_their_bands_fall_from_one_to_zero(
            scores in any_scores(1..4),
            mut thresholds in prop::collection::vec(-10.0..10.0_f64, 1..20),
        ) {
            thresholds.sort_by(f64::total_cmp);
            thresholds.insert(0, f64::NEG_INFINITY);
            thresholds.push(f64::INFINITY);
            let profile = performance_profile(&scores, &thresholds).unwrap();
            let certain = |value| Estimate { value, interval: Interval { low: value, high: value } };
            prop_assert_eq!(profile[0], certain(1.0));
            prop_assert_eq!(profile[profile.len() - 1], certain(0.0));
            for pair in profile.windows(2) {
                prop_assert!(pair[0].value >= pair[1].value);
                prop_assert!(pair[0].interval.low >= pair[1].interval.low);
                prop_assert!(pair[0].interval.high >= pair[1].interval.high);
            }
            for Estimate { value, interval } in profile {
                prop_assert!(interval.low <= value && value <= interval.high);
            }
        }
    }

    #[test]
    fn the_band_is_that_of_the_bootstrap() {
        let scores = Scores::new(&[[0.1, 0.4, 0.5, 0.7, 0.9], [0.2, 0.2, 0.3, 0.6, 1.0]]).unwrap();
        for threshold in [0.15, 0.35, 0.55] {
            let drawn = bootstrap(&scores, Seed(1), |scores| {
                let above = scores.all().iter().filter(|&&score| score > threshold);
                above.count() as f64 / scores.all().len() as f64
            });
            let computed = performance_profile(&scores, &[threshold]).unwrap();
            assert_eq!(computed, [drawn]);
        }
    }

    #[test]
    fn a_threshold_that_is_no_number_is_refused() {
        let scores = Scores::new(&[[1.0, 2.0]]).unwrap();
        let error = performance_profile(&scores, &[0.0, f64::NAN]).unwrap_err();
        assert!(matches!(error, RlError::Threshold));
    }
}

//! Values into buckets.

use super::messages::Histogram;

/// As many as `TensorBoard` draws by default.
const BUCKETS: u32 = 30;

impl Histogram {
    /// Buckets of equal width from the least to the greatest of the finite `values`; `None` if there are none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let min = finite().reduce(f64::min)?;
        let max = finite().reduce(f64::max)?;

        // A weighted mean of both ends, as their difference could overflow.
        let edge = |fraction: f64| (min * (1.0 - fraction) + max * fraction).clamp(min, max);
        let mut histogram = Self {
            min,
            max,
            bucket_limit: (1..=BUCKETS).map(|i| edge(f64::from(i) / f64::from(BUCKETS))).collect(),
            bucket: vec![0.0; BUCKETS as usize],
            ..Self::default()
        };
        for value in finite() {
            histogram.num += 1.0;
            histogram.sum += value;
            histogram.sum_squares += value * value;
            // A bucket holds its left edge and not its right one, save the last, which holds both.
            let limits = &histogram.bucket_limit;
            let bucket = limits.partition_point(|&limit| limit <= value);
            histogram.bucket[bucket.min(limits.len() - 1)] += 1.0;
        }
        Some(histogram)
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "whole numbers of this size are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_edge_opens_its_bucket() {
        let values: Vec<f64> = (0..=30).map(f64::from).collect();
        let histogram = Histogram::of(&values).unwrap_or_default();
        assert_eq!(histogram.bucket[..29], [1.0; 29]);
        assert_eq!(histogram.bucket[29], 2.0);
        assert_eq!((histogram.min, histogram.max), (0.0, 30.0));
        assert_eq!((histogram.num, histogram.sum), (31.0, 465.0));
        assert_eq!(histogram.sum_squares, 9455.0);
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        assert_eq!(Histogram::of(&[f64::NAN, f64::INFINITY]), None);
        assert_eq!(
            Histogram::of(&[f64::NAN, 1.0, f64::NEG_INFINITY, 2.0]),
            Histogram::of(&[1.0, 2.0])
        );
    }

    proptest! {
        #[test]
        fn every_finite_value_is_in_one_bucket(values in prop::collection::vec(any::<f64>(), 1..100)) {
            let histogram = Histogram::of(&values).unwrap_or_default();
            prop_assert_eq!(histogram.num, values.len() as f64);
            prop_assert_eq!(histogram.bucket.iter().sum::<f64>(), histogram.num);
            prop_assert!(histogram.bucket_limit.is_sorted());
            prop_assert_eq!(histogram.bucket_limit.last(), Some(&histogram.max));
        }
    }
}

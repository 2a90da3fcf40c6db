//! Importance sampling (Zhao, section 10.3.1): a mean under one distribution from samples of another.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// What a number of samples came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledMeans {
    /// The mean of x: what it is under the distribution of the samples.
    pub plain: f64,
    /// The mean of p0(x) / p1(x) x: what it is under the other one, as far as the samples get about.
    pub weighted: f64,
}

/// The means of `count` samples x of `behaviour`, p1, plain and weighted for `target`, p0. The distributions are over `values`, and an entry
/// that p1 never gives is never seen, whatever p0 says.
pub fn importance_sampling(
    values: &[f64],
    target: &[f64],
    behaviour: &[f64],
    count: usize,
    random: &mut ChaCha8Rng,
) -> SampledMeans {
    let mut sums = [0.0; 2];
    for _ in 0..count {
        let mut left: f64 = random.random();
        let mut drawn = None;
        for (index, &share) in behaviour.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            drawn = Some(index);
            left -= share;
            if left < 0.0 {
                break;
            }
        }
        let Some(index) = drawn else { continue };
        sums[0] += values[index];
        sums[1] += target[index] / behaviour[index] * values[index];
    }
    let [plain, weighted] = sums.map(|sum| sum / count as f64);
    SampledMeans { plain, weighted }
}

/// The variance of p0(x) / p1(x) x under p1, and the share of samples that this is worth, (mean w)^2 / mean w^2 (Kish's effective sample size).
pub fn importance_variance(values: &[f64], target: &[f64], behaviour: &[f64]) -> [f64; 2] {
    let rows = || {
        let pairs = target.iter().zip(behaviour).zip(values);
        pairs
            .filter(|((_, p1), _)| **p1 > 0.0)
            .map(|((p0, p1), x)| (*p1, p0 / p1, *x))
    };
    let mean: f64 = rows().map(|(p1, w, x)| p1 * w * x).sum();
    let square: f64 = rows().map(|(p1, w, x)| p1 * w * w * x * x).sum();
    let (weight, weight_square): (f64, f64) =
        rows().fold((0.0, 0.0), |sums, (p1, w, _)| (sums.0 + p1 * w, sums.1 + p1 * w * w));
    [square - mean * mean, weight * weight / weight_square]
}

#[cfg(test)]
mod tests {
    use etude_train::Seed;

    use super::*;

    #[test]
    fn the_books_coin() {
        let (values, target, behaviour) = ([1.0, -1.0], [0.5, 0.5], [0.8, 0.2]);
        let means = importance_sampling(&values, &target, &behaviour, 100_000, &mut Seed(1).stream("coin"));
        // Five deviations: 0.8 / sqrt(n) and sqrt(1.5625 / n).
        assert!(
            (means.plain - 0.6).abs() < 0.013 && means.weighted.abs() < 0.02,
            "{means:?}"
        );
        let [variance, share] = importance_variance(&values, &target, &behaviour);
        assert!((variance - 1.5625).abs() < 1e-12 && (share - 0.64).abs() < 1e-12);
    }

    #[test]
    fn what_is_never_drawn_is_never_counted() {
        let means = importance_sampling(
            &[1.0, -1.0],
            &[0.5, 0.5],
            &[1.0, 0.0],
            1000,
            &mut Seed(1).stream("coin"),
        );
        assert_eq!(
            means,
            SampledMeans {
                plain: 1.0,
                weighted: 0.5
            }
        );
    }
}

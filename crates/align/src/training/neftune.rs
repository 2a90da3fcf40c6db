//! NEFTune: noise in the embeddings of what is trained on (Jain et al. 2024, algorithm 1), so that answers are learnt less by heart.
//!
//! ```text
//! x + (alpha / sqrt(L d)) e        e uniform in [-1, 1) of each of the L d numbers of a sequence
//! ```
//!
//! L is the number of tokens of a sequence, wherever it lies; in transformers it is that of a padded batch or of a packed row, whose short
//! sequences then get less noise.

use rand::RngExt as _;

/// Noise for the embeddings of sequences beside each other, `[tokens, width]`, row by row.
pub(super) fn embedding_noise(alpha: f64, offsets: &[usize], width: usize, random: &mut impl rand::Rng) -> Vec<f32> {
    let mut noise = Vec::with_capacity(width * offsets.last().copied().unwrap_or(0));
    for ends in offsets.windows(2) {
        let numbers = (ends[1] - ends[0]) * width;
        let bound = (alpha / (numbers as f64).sqrt()) as f32;
        noise.extend((0..numbers).map(|_| bound * random.random_range(-1.0..1.0_f32)));
    }
    noise
}

#[cfg(test)]
mod tests {
    use etude_train::Seed;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn noise_keeps_within_the_bound_of_its_sequence(
            lengths in proptest::collection::vec(0_usize..40, 1..5), width in 1_usize..50, alpha in 0.1..20.0,
        ) {
            let offsets: Vec<usize> = std::iter::once(0)
                .chain(lengths.iter().scan(0, |end, length| {
                    *end += length;
                    Some(*end)
                }))
                .collect();
            let noise = embedding_noise(alpha, &offsets, width, &mut Seed(1).stream("noise"));
            prop_assert_eq!(noise.len(), width * lengths.iter().sum::<usize>());
            for ends in offsets.windows(2) {
                let bound = alpha / (((ends[1] - ends[0]) * width) as f64).sqrt();
                for number in &noise[ends[0] * width..ends[1] * width] {
                    prop_assert!(f64::from(number.abs()) <= 1.000_001 * bound);
                }
            }
        }
    }

    /// The length of a sequence's noise, all of its numbers together, is alpha / sqrt(3) on average, however long it is.
    #[test]
    fn noise_is_uniform() {
        for tokens in [50, 500] {
            let noise = embedding_noise(5.0, &[0, tokens], 64, &mut Seed(2).stream("noise"));
            let numbers = noise.len() as f64;
            let mean = noise.iter().map(|&number| f64::from(number)).sum::<f64>() / numbers;
            let squares: f64 = noise.iter().map(|&number| f64::from(number).powi(2)).sum();
            let bound = 5.0 / numbers.sqrt();
            assert!(mean.abs() < 0.05 * bound, "{mean}");
            assert!((squares.sqrt() * 3.0_f64.sqrt() / 5.0 - 1.0).abs() < 0.02, "{squares}");
            let below = noise.iter().filter(|number| f64::from(**number) < -0.5 * bound).count();
            assert!((below as f64 / numbers - 0.25).abs() < 0.03, "{below} of {numbers}");
        }
    }
}

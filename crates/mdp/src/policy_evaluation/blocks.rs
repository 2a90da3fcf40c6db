//! Vector arithmetic in fixed blocks, so that the bytes of a result do not depend on the number of threads.

use rayon::prelude::*;

/// Entries of a vector that one task handles: 32 KiB, so that it pays to hand it to another thread.
pub(crate) const BLOCK: usize = 4096;

/// Sum of a_i b_i. Each block is summed by itself and the sums are added in order.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    if a.len() <= BLOCK {
        return dot_block(a, b);
    }
    let blocks = a.par_chunks(BLOCK).zip(b.par_chunks(BLOCK));
    let sums: Vec<f64> = blocks.map(|(a, b)| dot_block(a, b)).collect();
    sums.iter().sum()
}

/// Eight sums side by side fill the vector registers; one alone would wait for each addition.
fn dot_block(a: &[f64], b: &[f64]) -> f64 {
    let (a_lanes, a_rest) = a.as_chunks::<8>();
    let (b_lanes, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// The Euclidean norm, also where its square overflows or vanishes.
pub(crate) fn norm(a: &[f64]) -> f64 {
    let square = dot(a, a);
    let scale = largest(a);
    if square.is_normal() || scale == 0.0 {
        return square.sqrt();
    }
    let scaled: Vec<f64> = a.iter().map(|entry| entry / scale).collect();
    scale * dot(&scaled, &scaled).sqrt()
}

/// y_i = f(y_i, a_i, b_i).
pub(crate) fn combine(y: &mut [f64], a: &[f64], b: &[f64], f: impl Fn(f64, f64, f64) -> f64 + Sync) {
    let block = |((y, a), b): ((&mut [f64], &[f64]), &[f64])| {
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = f(*y, a, b);
        }
    };
    if y.len() <= BLOCK {
        return block(((y, a), b));
    }
    y.par_chunks_mut(BLOCK)
        .zip(a.par_chunks(BLOCK))
        .zip(b.par_chunks(BLOCK))
        .for_each(block);
}

/// Largest absolute value; zero for an empty vector.
pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_neither_overflow_nor_vanish() {
        for scale in [1.0, 1e300, 1e-300] {
            let found = norm(&[3.0 * scale, 0.0, -4.0 * scale]) / scale;
            assert!((found - 5.0).abs() <= 1e-14, "{found}");
        }
        assert!(norm(&[0.0; 3]) == 0.0 && norm(&[f64::INFINITY, 1.0]).is_nan());
    }

    #[test]
    fn sums_and_combinations_span_blocks() {
        let n = 2 * BLOCK + 13;
        let a: Vec<f64> = (0..n).map(|i| (i % 7) as f64).collect();
        let b: Vec<f64> = (0..n).map(|i| (i % 3) as f64).collect();
        // Sums of whole numbers are exact.
        let expected: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        assert_eq!(dot(&a, &b).to_bits(), expected.to_bits());
        let mut y = vec![1.0; n];
        combine(&mut y, &a, &b, |y, a, b| y + 10.0 * a + 100.0 * b);
        let expected: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 1.0 + 10.0 * a + 100.0 * b).collect();
        assert_eq!(y, expected);
        assert_eq!(
            [largest(&y), largest(&[])].map(f64::to_bits),
            [261.0, 0.0].map(f64::to_bits)
        );
    }
}

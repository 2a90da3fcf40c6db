//! A series in one line of text.

use crate::report::number;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A series as one line of bars at most `width` characters long, from its smallest to its largest value.
///
/// A longer series is averaged in equal pieces. A value that is not finite leaves a space; a constant series is a flat
/// line.
///
/// ```
/// assert_eq!(etude::terminal::sparkline(&[0.0, 1.0, 2.0, 4.0], 80), "▁▃▅█");
/// ```
pub fn sparkline(values: &[f64], width: usize) -> String {
    let count = values.len().min(width);
    let pieces: Vec<f64> = (0..count)
        .map(|i| mean(&values[i * values.len() / count..(i + 1) * values.len() / count]))
        .collect();
    let finite = || pieces.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    let bar = |value: &f64| {
        if value.is_finite() {
            number::pick(&BARS, number::fraction(*value, low, high))
        } else {
            ' '
        }
    };
    pieces.iter().map(bar).collect()
}

/// The mean of the finite values, not a number where there is none.
fn mean(values: &[f64]) -> f64 {
    let finite = || values.iter().filter(|value| value.is_finite());
    finite().sum::<f64>() / finite().count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn shapes() {
        let decay: Vec<f64> = (0..1000).map(|k| 0.995f64.powi(k)).collect();
        assert_snapshot!(sparkline(&decay, 32), @"█▇▆▅▅▄▄▃▃▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁");
        assert_eq!(sparkline(&[2.0, 2.0], 8), "▅▅");
        assert_eq!(sparkline(&[0.0, f64::NAN, f64::INFINITY, 7.0], 8), "▁  █");
        assert_eq!(sparkline(&[], 8), "");
        assert_eq!(sparkline(&[1.0], 0), "");
        assert_eq!(sparkline(&[f64::MIN, f64::MAX], 8).chars().count(), 2);
    }
}

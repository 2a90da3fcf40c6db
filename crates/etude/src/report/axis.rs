//! One axis of a plot: where values lie, and where its ticks are.

use super::number;

/// A labelled place on an axis.
pub(super) struct Tick {
    /// From 0 (the low end) to 1 (the high end).
    pub(super) place: f64,
    pub(super) label: String,
    /// What stands raised behind the label: the exponent of a power of ten, else nothing.
    pub(super) exponent: String,
}

/// A range of values, in the coordinates in which the axis is straight: log10 of the value on a logarithmic axis.
pub(super) struct Axis {
    low: f64,
    high: f64,
    pub(super) ticks: Vec<Tick>,
}

impl Axis {
    /// An axis that ends exactly where the values end.
    pub(super) fn tight(range: (f64, f64)) -> Self {
        let (low, high) = widened(range);
        Self::with_step(low, high, nice_step(high - low, 6))
    }

    /// An axis that ends on ticks, so that curves have air above and below.
    pub(super) fn rounded(range: (f64, f64)) -> Self {
        let (low, high) = widened(range);
        let step = nice_step(high - low, 5);
        Self::with_step((low / step).floor() * step, (high / step).ceil() * step, step)
    }

    /// A logarithmic axis over whole decades, for a range of decimal logarithms.
    pub(super) fn decades((low, high): (f64, f64)) -> Self {
        let (low, high) = (
            low.floor(),
            if high.ceil() > low.floor() {
                high.ceil()
            } else {
                low.floor() + 1.0
            },
        );
        let stride = ((high - low) / 7.0).ceil().max(1.0);
        let count = ((high - low) / stride).floor();
        let ticks = integers(0.0, count).map(|i| {
            let power = low + i * stride;
            let (label, exponent) = power_of_ten(power);
            Tick {
                place: (power - low) / (high - low),
                label,
                exponent,
            }
        });
        Self {
            low,
            high,
            ticks: ticks.collect(),
        }
    }

    /// Where a value lies, from 0 to 1 within the axis.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    fn with_step(low: f64, high: f64, step: f64) -> Self {
        let reach = low.abs().max(high.abs());
        // Rounding must not lose the tick at either end.
        let slack = 1e-9;
        let ticks = integers((low / step - slack).ceil(), (high / step + slack).floor()).map(|i| Tick {
            place: (i * step - low) / (high - low),
            label: tick_label(i * step, step, reach),
            exponent: String::new(),
        });
        Self {
            low,
            high,
            ticks: ticks.collect(),
        }
    }
}

/// The whole numbers from `first` to `last`, as floating-point numbers; never many, whatever the input.
fn integers(first: f64, last: f64) -> impl Iterator<Item = f64> {
    (0..32)
        .map(move |i| first + f64::from(i))
        .take_while(move |value| *value <= last)
}

/// A range with some width, even around a single value.
fn widened((low, high): (f64, f64)) -> (f64, f64) {
    // Narrower than this, neighbouring ticks would be the same floating-point number.
    let least = 1e-9 * low.abs().max(high.abs());
    if high - low > least {
        return (low, high);
    }
    let half = if low == 0.0 { 0.5 } else { low.abs() / 10.0 };
    (low - half, high + half)
}

/// The step of 1, 2 or 5 times a power of ten that cuts `span` into about `count` pieces.
fn nice_step(span: f64, count: u32) -> f64 {
    let raw = span / f64::from(count);
    let power = 10f64.powf(raw.log10().floor());
    let step = match raw / power {
        ..1.5 => 1.0,
        ..3.2 => 2.0,
        ..7.1 => 5.0,
        _ => 10.0,
    };
    step * power
}

/// A tick's number, with the decimals that its step needs and with thousands set apart.
fn tick_label(value: f64, step: f64, reach: f64) -> String {
    if !(1e-3..1e5).contains(&reach) {
        return number::typeset(&number::short(if value.abs() < step / 2.0 { 0.0 } else { value }));
    }
    #[expect(clippy::cast_sign_loss, reason = "clamped to be non-negative")]
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    number::typeset(&grouped(&number::with_decimals(value, Some(decimals))))
}

/// `12345.5` as `12 345.5`, with narrow spaces that do not break.
fn grouped(text: &str) -> String {
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = whole.trim_start_matches('-');
    let mut out = whole.strip_suffix(digits).unwrap_or_default().to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if digits.len() > 4 && i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Ten to a power, plainly `1` and `10` where that is shorter.
fn power_of_ten(exponent: f64) -> (String, String) {
    let (label, exponent) = match exponent.to_string().as_str() {
        "0" => ("1", String::new()),
        "1" => ("10", String::new()),
        exponent => ("10", number::typeset(exponent)),
    };
    (label.to_owned(), exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks
            .iter()
            .map(|tick| format!("{}{}", tick.label, tick.exponent))
            .collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(
            labels(&Axis::tight((0.0, 133.0))),
            ["0", "20", "40", "60", "80", "100", "120"]
        );
        assert_eq!(
            labels(&Axis::rounded((-0.31, 0.9))),
            ["−0.4", "−0.2", "0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(&Axis::tight((0.0, 90_000.0)))[1], "20\u{202f}000");
    }

    #[test]
    fn decades_are_powers_of_ten() {
        assert_eq!(labels(&Axis::decades((-1.7, 1.2))), ["10−2", "10−1", "1", "10", "102"]);
        assert!(Axis::decades((-300.0, 300.0)).ticks.len() <= 8);
    }

    #[test]
    fn every_range_gets_a_few_ticks_within_the_axis() {
        let ranges = [
            (0.0, 0.0),
            (5.0, 5.0),
            (-1e300, 1e300),
            (1.0, 1.0 + 1e-15),
            (1e-12, 3e-12),
            (-7.0, -6.0),
        ];
        for range in ranges {
            for axis in [Axis::tight(range), Axis::rounded(range)] {
                assert!((1..20).contains(&axis.ticks.len()), "{range:?}: {:?}", labels(&axis));
                assert!(
                    axis.ticks.iter().all(|tick| (-0.01..=1.01).contains(&tick.place)),
                    "{range:?}"
                );
            }
        }
    }
}

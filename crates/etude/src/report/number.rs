//! Numbers as people read them, in maps, on axes and beside colour bars.

/// A number in about four significant digits: `0`, `12.5`, `-3.487`, `0.002`, `1.2e-7`, `3.5e6`.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !value.is_finite() {
        value.to_string()
    } else if (1e-3..1e5).contains(&size) {
        let decimals = match size {
            ..1.0 => 4,
            ..10.0 => 3,
            ..100.0 => 2,
            ..1000.0 => 1,
            _ => 0,
        };
        without_trailing_zeros(&format!("{value:.decimals$}"))
    } else {
        let text = format!("{value:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{exponent}", without_trailing_zeros(digits))
    }
}

/// The decimals with which a set of values, the largest of them `reach` in size, is printed in a column or a map;
/// `None` where only the exponential form is short enough.
pub(crate) fn shared_decimals(reach: f64) -> Option<usize> {
    match reach {
        0.0 => Some(0),
        0.01..100.0 => Some(2),
        100.0..1000.0 => Some(1),
        1000.0..1e6 => Some(0),
        _ => None,
    }
}

/// A value with the decimals of its set, without a minus sign on what rounds to zero.
pub(crate) fn with_decimals(value: f64, decimals: Option<usize>) -> String {
    let Some(decimals) = decimals else {
        return if value == 0.0 {
            "0".to_owned()
        } else {
            format!("{value:.1e}")
        };
    };
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|b| matches!(b, b'0' | b'.')) => digits.to_owned(),
        _ => text,
    }
}

/// An error or a residual: `0`, `1.2e-7`.
pub(crate) fn magnitude(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else {
        format!("{value:.1e}")
    }
}

/// A count with its digits in groups of three: `1,500,000`.
pub(crate) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The same text with a true minus sign, as wide as a plus, for the page.
pub(crate) fn typeset(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

/// Whether a table cell reads as a quantity: a number, perhaps with a sign of comparison before and a unit after.
pub(crate) fn is_quantity(cell: &str) -> bool {
    let mut words = cell
        .split_whitespace()
        .filter(|word| !matches!(*word, "<" | "≤" | ">" | "≥" | "≈" | "±"));
    let Some(word) = words.next() else { return false };
    if words.count() > 1 {
        return false;
    }
    let digits = word
        .trim_start_matches(['<', '≤', '>', '≥', '≈', '~', '±'])
        .trim_end_matches(['%', '×', 'x'])
        .replace('\u{2212}', "-")
        .replace([',', '_'], "");
    digits.parse::<f64>().is_ok()
}

/// Whether a cell holds nothing: empty, or a dash in place of a value.
pub(crate) fn is_blank(cell: &str) -> bool {
    matches!(cell.trim(), "" | "-" | "–" | "—")
}

/// Where a value lies between two bounds, from 0 to 1; 0.5 between equal bounds.
pub(crate) fn fraction(value: f64, low: f64, high: f64) -> f64 {
    // Halves first: the difference of two finite numbers may overflow.
    let span = high / 2.0 - low / 2.0;
    if span > 0.0 {
        ((value / 2.0 - low / 2.0) / span).clamp(0.0, 1.0)
    } else {
        0.5
    }
}

/// The character for a fraction from 0 to 1, of several that stand for equal parts of that range.
#[expect(clippy::cast_sign_loss, reason = "a fraction is not negative")]
pub(crate) fn pick(characters: &[char], fraction: f64) -> char {
    let index = (fraction * characters.len() as f64) as usize;
    characters.get(index).or(characters.last()).copied().unwrap_or(' ')
}

fn without_trailing_zeros(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keeps_about_four_digits() {
        let cases = [
            (0.0, "0"),
            (-3.486_784, "-3.487"),
            (10.0, "10"),
            (12345.6, "12346"),
            (0.002, "0.002"),
            (1.5e6, "1.5e6"),
            (-1.234e-7, "-1.23e-7"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn counts_are_grouped_and_magnitudes_short() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_500_000, "1,500,000")] {
            assert_eq!(grouped(count), text);
        }
        assert_eq!(
            (magnitude(0.0).as_str(), magnitude(1.25e-15).as_str()),
            ("0", "1.2e-15")
        );
    }

    #[test]
    fn what_rounds_to_zero_has_no_sign() {
        assert_eq!(with_decimals(-0.001, Some(2)), "0.00");
        assert_eq!(with_decimals(-0.01, Some(2)), "-0.01");
    }

    #[test]
    fn quantities_are_recognised() {
        for cell in [
            "12", "-1.5e-9", "1,234", "3.2 ms", "98.5%", "< 1e-9", "≤1e-9", "5.2×", "inf",
        ] {
            assert!(is_quantity(cell), "{cell}");
        }
        for cell in ["", "value iteration", "4x4", "v1.2", "-", "9 down, 14 left"] {
            assert!(!is_quantity(cell), "{cell}");
        }
    }
}

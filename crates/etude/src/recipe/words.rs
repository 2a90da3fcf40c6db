//! The wording that the error messages share.

use serde::de::{Expected, Unexpected};

/// The one of `known` that a misspelt `found` most likely means.
pub(crate) fn nearest<'a, S: AsRef<str>>(found: &str, known: &'a [S]) -> Option<&'a str> {
    /// Below it, two words look alike by chance.
    const ALIKE: f64 = 0.8;
    /// Nobody misspells a word of this length, and the comparison takes its square.
    const LONGEST: usize = 100;
    if found.len() > LONGEST {
        return None;
    }
    let likeness = |word: &&str| strsim::jaro_winkler(found, word);
    let best = known
        .iter()
        .map(AsRef::as_ref)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|word| likeness(word) > ALIKE)
}

/// "`a`, `b` and `c`".
pub(super) fn listed(words: &[&str]) -> String {
    joined(words, "and")
}

/// "`a`", "`a` or `b`", or "one of `a`, `b` or `c`".
pub(super) fn either(words: &[&str]) -> String {
    let lead = if words.len() > 2 { "one of " } else { "" };
    format!("{lead}{}", joined(words, "or"))
}

fn joined(words: &[&str], last: &str) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((end, start)) if !start.is_empty() => format!("{} {last} {end}", start.join(", ")),
        _ => words.concat(),
    }
}

/// "1 value", "2 values".
pub(super) fn values(count: usize) -> String {
    format!("{count} value{}", if count == 1 { "" } else { "s" })
}

/// `text` in quotes, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", short(text))
}

/// `text`, cut where it is long.
pub(crate) fn short(text: &str) -> String {
    const LONGEST: usize = 60;
    text.char_indices()
        .nth(LONGEST)
        .map_or_else(|| text.to_owned(), |(end, _)| format!("{}...", &text[..end]))
}

/// What serde found, as a user would say it.
pub(super) fn found_in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(truth) => truth.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Float(number) => format!("{number:?}"),
        Unexpected::Str(text) => format!("the text {}", quoted(text)),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a table".into(),
        Unexpected::UnitVariant => "the choice alone".into(),
        other => other.to_string(),
    }
}

/// What serde wanted, as a user would say it; the crates' own wording is taken as it is.
pub(super) fn wanted_in_words(wanted: &dyn Expected) -> String {
    let wanted = wanted.to_string();
    let count = wanted.split(' ').find_map(|word| word.parse().ok());
    match wanted.as_str() {
        "f32" | "f64" => "a number".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "a boolean" => "true or false".into(),
        "a string" | "str" => "text in quotes".into(),
        "path string" => "a path in quotes".into(),
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        "newtype variant" | "struct variant" | "tuple variant" => "a table whose only key is the choice".into(),
        text if text.starts_with("struct ") => "a table".into(),
        text if text.starts_with("a nonzero") => "a whole number, 1 or more".into(),
        text if text.starts_with("an array of length")
            || text.starts_with("a tuple of size")
            || text.ends_with("in sequence") =>
        {
            count.map_or_else(|| "a list".into(), |count| format!("a list of {}", values(count)))
        }
        _ => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_is_recognised_and_another_word_is_not() {
        let known = ["gamma", "method", "tolerance", "max_iterations"];
        for (found, meant) in [
            ("gama", "gamma"),
            ("mehtod", "method"),
            ("tol", "tolerance"),
            ("max_iters", "max_iterations"),
        ] {
            assert_eq!(nearest(found, &known), Some(meant));
        }
        for found in ["", "size", "discount", &"gamma".repeat(100)] {
            assert_eq!(nearest(found, &known), None, "{found}");
        }
    }

    #[test]
    fn lists_of_words_read_well() {
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(either(&["a", "b"]), "`a` or `b`");
        assert_eq!(either(&["a", "b", "c"]), "one of `a`, `b` or `c`");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(quoted(&"é".repeat(61)), format!("\"{}...\"", "é".repeat(60)));
        assert_eq!(quoted("é"), "\"é\"");
    }
}

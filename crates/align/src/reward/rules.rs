//! Scores by rules.

use etude_lm::chat_template::TemplateValue;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{Answer, RewardFunction};
use crate::AlignError;
use crate::data::Record;
use crate::error::require;

/// What an answer has to be like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// It is what a column of the record says, apart from white space around both.
    Equals {
        /// The column.
        column: String,
        /// What it is worth.
        #[serde(default = "one")]
        weight: f64,
    },
    /// Its last number is the last one of a column of the record, such as GSM8K's answers after `####`. Commas within numbers do not
    /// count.
    LastNumber {
        /// The column.
        column: String,
        /// What it is worth.
        #[serde(default = "one")]
        weight: f64,
    },
    /// A regular expression is found in it.
    Matches {
        /// The expression.
        pattern: String,
        /// What it is worth.
        #[serde(default = "one")]
        weight: f64,
    },
}

fn one() -> f64 {
    1.0
}

/// A rule, ready to be applied: an answer that follows it scores its weight, and another one 0.
#[derive(Debug, Clone)]
pub struct RuleReward {
    name: String,
    weight: f32,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Equals(String),
    LastNumber(String),
    Matches(Regex),
}

impl RuleReward {
    /// The rule, checked.
    ///
    /// # Errors
    /// The weight is no finite number, or the pattern no regular expression.
    pub fn new(rule: &Rule) -> Result<Self, AlignError> {
        let (name, weight, test) = match rule {
            Rule::Equals { column, weight } => (format!("equals {column}"), *weight, Test::Equals(column.clone())),
            Rule::LastNumber { column, weight } => (
                format!("last number of {column}"),
                *weight,
                Test::LastNumber(column.clone()),
            ),
            Rule::Matches { pattern, weight } => {
                let regex = Regex::new(pattern).map_err(|error| AlignError::Setting {
                    name: "pattern",
                    found: format!("{pattern:?}"),
                    expected: format!("a regular expression ({error})"),
                })?;
                (format!("matches {pattern}"), *weight, Test::Matches(regex))
            }
        };
        require(weight.is_finite(), "weight", &weight, "a finite number")?;
        Ok(Self {
            name,
            weight: weight as f32,
            test,
        })
    }

    fn holds(&self, answer: &Answer<'_>) -> Result<bool, AlignError> {
        Ok(match &self.test {
            Test::Equals(name) => answer.text.trim() == column(answer.record, name)?.trim(),
            Test::LastNumber(name) => {
                let expected = last_number(&column(answer.record, name)?);
                expected.is_some() && last_number(answer.text) == expected
            }
            Test::Matches(regex) => regex.is_match(answer.text),
        })
    }
}

impl RewardFunction for RuleReward {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Result<Vec<f32>, AlignError> {
        let reward = |answer| Ok(if self.holds(answer)? { self.weight } else { 0.0 });
        answers.iter().map(reward).collect()
    }
}

/// The text of a record's column.
fn column(record: &Record, name: &str) -> Result<String, AlignError> {
    let found = record.other.iter().find(|(column, _)| column == name);
    match found {
        Some((_, value)) if !value.is_undefined() && !value.is_none() => Ok(TemplateValue::to_string(value)),
        _ => Err(AlignError::Field {
            place: record.place.clone(),
            field: name.to_owned(),
            found: "missing".to_owned(),
            expected: "what the answer is compared with",
        }),
    }
}

/// The last number of a text.
fn last_number(text: &str) -> Option<f64> {
    let in_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ',');
    let end = text.rfind(|letter: char| letter.is_ascii_digit())? + 1;
    let start = text[..end].rfind(|letter| !in_number(letter)).map_or(0, |place| {
        place + text[place..].chars().next().map_or(1, char::len_utf8)
    });
    let sign = if text[..start].ends_with('-') { -1.0 } else { 1.0 };
    let digits = text[start..end].replace(',', "");
    let number: f64 = digits.trim_start_matches('.').parse().ok()?;
    Some(sign * number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_number_is_found_however_it_is_written() {
        for (text, number) in [
            ("#### 42", Some(42.0)),
            ("It costs $1,234.50.", Some(1234.5)),
            ("from 3 to -7 degrees", Some(-7.0)),
            ("so 12.", Some(12.0)),
            ("é5", Some(5.0)),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(last_number(text), number, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[0-9.,é -]{0,12}|.{0,20}") {
            let _ = last_number(&text);
        }
    }
}

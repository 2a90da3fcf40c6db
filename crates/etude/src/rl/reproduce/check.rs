//! What the figures are held to.

use serde::{Serialize, Serializer};

use crate::report::Table;
use crate::report::number::short;

/// What a number has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Criterion {
    Near { expected: f64, tolerance: f64 },
    AtMost(f64),
    AtLeast(f64),
}

/// Where that is from.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Basis {
    /// The book prints the number.
    Printed,
    /// The number is known exactly, by another way than the one that is checked.
    Exact,
    /// The book only draws it: the limit is ours, set before the run.
    Drawn,
}

/// One number of a figure, and what it is held to.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) figure: &'static str,
    pub(super) what: String,
    pub(super) found: f64,
    pub(super) criterion: Criterion,
    pub(super) basis: Basis,
}

impl Check {
    /// Whether it is as it should be; never where it is no number.
    pub(super) fn passes(&self) -> bool {
        match self.criterion {
            Criterion::Near { expected, tolerance } => (self.found - expected).abs() <= tolerance,
            Criterion::AtMost(limit) => self.found <= limit,
            Criterion::AtLeast(limit) => self.found >= limit,
        }
    }

    /// `✓` or `✗`, and a word beside it.
    pub(super) fn verdict(&self) -> &'static str {
        verdict(self.passes())
    }

    fn expected(&self) -> String {
        match self.criterion {
            Criterion::Near { expected, tolerance } => format!("{} ± {}", short(expected), short(tolerance)),
            Criterion::AtMost(limit) => format!("≤ {}", short(limit)),
            Criterion::AtLeast(limit) => format!("≥ {}", short(limit)),
        }
    }
}

pub(super) fn verdict(passes: bool) -> &'static str {
    if passes { "✓ pass" } else { "✗ FAIL" }
}

/// All checks, a row each.
pub(super) fn table(checks: &[Check]) -> Table {
    let header = ["figure", "what", "found", "expected", "from", "verdict"];
    checks.iter().fold(Table::new(header), |table, check| {
        let from = match check.basis {
            Basis::Printed => "the book's numbers",
            Basis::Exact => "the exact answer",
            Basis::Drawn => "a drawing; our limit",
        };
        table.row([
            check.figure.to_owned(),
            check.what.clone(),
            short(check.found),
            check.expected(),
            from.to_owned(),
            check.verdict().to_owned(),
        ])
    })
}

/// As `--json` prints it.
#[derive(Serialize)]
struct Json {
    figure: &'static str,
    what: String,
    found: f64,
    expected: Option<f64>,
    tolerance: Option<f64>,
    at_most: Option<f64>,
    at_least: Option<f64>,
    basis: Basis,
    passes: bool,
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Json::from(self).serialize(serializer)
    }
}

impl From<&Check> for Json {
    fn from(check: &Check) -> Self {
        let mut json = Self {
            figure: check.figure,
            what: check.what.clone(),
            found: check.found,
            expected: None,
            tolerance: None,
            at_most: None,
            at_least: None,
            basis: check.basis,
            passes: check.passes(),
        };
        match check.criterion {
            Criterion::Near { expected, tolerance } => {
                (json.expected, json.tolerance) = (Some(expected), Some(tolerance));
            }
            Criterion::AtMost(limit) => json.at_most = Some(limit),
            Criterion::AtLeast(limit) => json.at_least = Some(limit),
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_passes_nothing() {
        let near = Criterion::Near {
            expected: 1.0,
            tolerance: 0.5,
        };
        for (criterion, passing, failing) in [
            (near, 1.5, 1.6),
            (Criterion::AtMost(2.0), 2.0, 2.1),
            (Criterion::AtLeast(2.0), 2.0, 1.9),
        ] {
            let check = |found| Check {
                figure: "8.6",
                what: String::new(),
                found,
                criterion,
                basis: Basis::Exact,
            };
            assert!(check(passing).passes() && !check(failing).passes() && !check(f64::NAN).passes());
        }
    }
}

//! The tour's stop at boxes: a small form of the simulation.

use serde_json::{json, to_value};

use super::descent::Simulation;
use super::recipe::Recipe;
use super::{JsonLoss, page};
use crate::error::CommandError;
use crate::output::Output;
use crate::recipe::Override;
use crate::report::number::short;
use crate::terminal;
use crate::tour::{Curve, Stop};

/// What is smaller than in the paper: fewer places and shapes, 18,000 boxes in all.
const SMALL: [(&str, &str); 3] = [("points", "2000"), ("areas", "[1]"), ("ratios", "[0.25, 1, 4]")];

/// System 6: what each loss of the IoU family does to boxes far and near.
pub(crate) fn boxes(output: &Output) -> Result<Stop, CommandError> {
    let overrides = SMALL.map(|(key, value)| Override::from_flag("the tour", key, value));
    let recipe = Recipe::load(None, &overrides)?.value;
    let simulation = Simulation::run(&recipe, output)?;
    output.line(&format!("{}:", page::describe(&simulation, &recipe)));
    output.line(terminal::table(&page::table(&simulation.courses)).trim_end());
    let losses: Vec<_> = simulation.courses.iter().map(JsonLoss::from).collect();
    let best = simulation.courses.iter().min_by(|a, b| a.error().total_cmp(&b.error()));
    Ok(Stop {
        sections: page::sections(&simulation, &recipe)?,
        card: [
            "Boxes".into(),
            best.map_or_else(String::new, |course| short(course.error())),
            best.map_or_else(String::new, |course| {
                format!("mean error under {}", course.loss.title())
            }),
        ],
        results: vec![json!({ "cases": simulation.cases, "losses": to_value(losses).unwrap_or_default() })],
        curves: (simulation.courses.iter().flat_map(super::Course::curves))
            .map(|(name, points)| Curve { name, points })
            .collect(),
    })
}

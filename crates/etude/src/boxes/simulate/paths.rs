//! One box on its way under each loss, drawn.

use std::fmt::Write as _;

use etude_boxes::BoxError;

use super::descent::{CENTRE, Descent, Simulation, Slopes};
use super::recipe::Recipe;
use crate::report::Picture;

/// The anchor is a square to the left of its target and a little above it, too far to meet it; the target lies flat.
const ANCHOR: [f64; 4] = [CENTRE - 2.6, CENTRE - 0.6, 1.0, 1.0];
const TARGET: [f64; 4] = [CENTRE, CENTRE, 2.0, 0.5];
/// The share of the iterations after which the box is drawn.
const SHOWN: [f64; 6] = [0.0, 0.05, 0.15, 0.3, 0.6, 1.0];
/// A panel's size, how many stand side by side, and its pixels to a unit of length.
const PANEL: [f64; 2] = [300.0, 190.0];
const ACROSS: usize = 3;
const SCALE: f64 = 62.0;
/// What is in the middle of a panel.
const MIDDLE: [f64; 2] = [CENTRE - 1.05, CENTRE - 0.2];

/// A panel for each loss.
pub(super) fn picture(simulation: &Simulation, recipe: &Recipe) -> Result<Picture, BoxError> {
    let rows = simulation.courses.len().div_ceil(ACROSS);
    let [width, height] = [PANEL[0] * ACROSS as f64, PANEL[1] * rows as f64];
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\">");
    for (index, course) in simulation.courses.iter().enumerate() {
        let [x, y] = [index % ACROSS, index / ACROSS].map(|at| at as f64);
        // Writing to a `String` cannot fail.
        let _ = write!(
            svg,
            "<svg x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><text x=\"8\" y=\"18\" font-size=\"14\">{}</text>",
            x * PANEL[0],
            y * PANEL[1],
            PANEL[0] - 8.0,
            PANEL[1] - 8.0,
            course.loss.title()
        );
        svg.push_str(&outline(
            TARGET,
            "fill=\"currentColor\" fill-opacity=\".22\" stroke=\"none\"",
            "s5",
        ));
        let mut descent = Descent::new(Slopes::Exact(course.loss), vec![ANCHOR], vec![TARGET])?;
        let iterations = recipe.iterations.get();
        let shown = SHOWN.map(|share| (share * iterations as f64).round() as usize);
        for iteration in 0..=iterations {
            if iteration > 0 {
                descent.step(recipe.rate(iteration))?;
            }
            if let Some(stage) = shown.iter().position(|shown| *shown == iteration) {
                let opacity = 0.2 + 0.8 * stage as f64 / (SHOWN.len() - 1) as f64;
                let style =
                    format!("fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.8\" opacity=\"{opacity:.2}\"");
                let drawn = descent
                    .boxes
                    .iter()
                    .map(|drawn| outline(*drawn, &style, "s0") + &dot(*drawn, opacity));
                svg.extend(drawn);
            }
        }
        svg.push_str("</svg>");
    }
    svg.push_str("</svg>");
    Ok(Picture::svg(
        format!(
            "The box after {} of the iterations",
            SHOWN.map(|share| format!("{:.0} %", 100.0 * share)).join(", ")
        ),
        svg,
    ))
}

/// Where a point is in its panel.
fn at([x, y]: [f64; 2]) -> [f64; 2] {
    let at = |value: f64, middle: f64, size: f64| (value - middle) * SCALE + size / 2.0;
    [at(x, MIDDLE[0], PANEL[0]), at(y, MIDDLE[1], PANEL[1])]
}

fn outline([x, y, w, h]: [f64; 4], style: &str, class: &str) -> String {
    let (w, h) = (w.max(0.0), h.max(0.0));
    let [left, top] = at([x - w / 2.0, y - h / 2.0]);
    let (width, height) = (w * SCALE, h * SCALE);
    format!(
        "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {style}/>"
    )
}

fn dot([x, y, ..]: [f64; 4], opacity: f64) -> String {
    let [x, y] = at([x, y]);
    format!(
        "<circle class=\"s0\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"currentColor\" opacity=\"{opacity:.2}\"/>"
    )
}

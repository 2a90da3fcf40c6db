//! Figures 8.7 and 8.8, the page: surfaces, maps, curves, and the three objectives side by side.

use etude_mdp::GridRewards;
use etude_rl::{KnownChain, Objectives};
use serde_json::{Value, json};

use super::book;
use super::check::{Basis, Check, Criterion, verdict};
use super::prediction::{self, AVERAGED_FROM, EPISODES, LONGER, Outcome, STEP_SIZE, Weights};
use super::surface::{Surface, picture};
use super::{Part, Setting};
use crate::error::CommandError;
use crate::report::{Plot, Section, Table};
use crate::tour::Curve;

/// How far the averaged values may be from those of the fixed point. In twenty runs apart from this one they were 0.006 away on
/// average, 0.013 with cosines of order 5, and never more than 0.020.
const TD_TOLERANCE: f64 = 0.03;
/// How far the error of the averaged values may be from the floor; it was never more than 0.001 in those runs.
const FLOOR_TOLERANCE: f64 = 0.003;
/// How far LSTD's values may be from those of the fixed point, from the book's 250,000 steps. In twenty other runs they were 0.015
/// away on average, and never more than 0.026.
const LSTD_TOLERANCE: f64 = 0.04;
/// The same where LSTD has seen every state and action equally often; what is left is its first matrix.
const BALANCED_TOLERANCE: f64 = 1e-5;
/// How far the exact errors may be from their known digits.
const DIGITS: f64 = 6e-7;
/// Points along a side of a surface.
const MESH: usize = 25;

fn checks(outcome: &Outcome) -> Vec<Check> {
    let Outcome { features, .. } = outcome;
    let floor = features.floors[0];
    let check = |what: String, found, criterion| Check {
        figure: features.figure,
        what: format!("{}: {what}", features.name),
        found,
        criterion,
        basis: Basis::Exact,
    };
    let mut checks = vec![
        check(
            "errors of fixed point, projection and least residual, furthest from their known digits".into(),
            outcome.floors(),
            Criterion::AtMost(DIGITS),
        ),
        check(
            "TD from its fixed point".into(),
            outcome.distance(&outcome.averaged),
            Criterion::AtMost(TD_TOLERANCE),
        ),
        check(
            "LSTD from the fixed point".into(),
            outcome.distance(&outcome.lstd),
            Criterion::AtMost(LSTD_TOLERANCE),
        ),
        check(
            "LSTD from the fixed point, all states and actions seen equally often".into(),
            outcome.distance(&outcome.balanced),
            Criterion::AtMost(BALANCED_TOLERANCE),
        ),
    ];
    // An error of zero is its own distance, which is there already.
    if floor > 0.0 {
        checks.push(check(
            "error of TD".into(),
            outcome.averaged.objectives.value_error,
            Criterion::Near {
                expected: floor,
                tolerance: FLOOR_TOLERANCE,
            },
        ));
    }
    checks
}

pub(super) fn play(setting: &Setting<'_>) -> Result<Part, CommandError> {
    let (chain, outcomes) = prediction::learn(setting)?;
    let figure = |figure: &str| -> Vec<&Outcome> {
        (outcomes.iter())
            .filter(|outcome| outcome.features.figure == figure)
            .collect()
    };
    let checks = outcomes.iter().flat_map(checks).collect();
    let (polynomials, cosines) = (figure("8.7"), figure("8.8"));
    let sections = vec![
        family(
            "Figure 8.7: polynomials",
            "TD with linear functions of x and y, of their squares and products, and of their cubes: 3, 6 and 10 numbers in place \
             of 25 values. Rows and columns lie between -1 and 1.",
            &chain,
            &polynomials,
        )?,
        family(
            "Figure 8.8: cosines",
            "The same with cos(π(c₁x + c₂y)) for all whole numbers up to an order: 4, 9 and 16 numbers, and 36 for order 5, which \
             the book does not draw here. Of those, 25 are independent: they can express every value, in many ways, and the \
             matrix of TD has no inverse; TD and LSTD end at the exact values all the same. Rows and columns lie between 0 \
             and 1.",
            &chain,
            &cosines,
        )?,
        arrival(&outcomes),
        objectives(&outcomes),
    ];
    let curves = (outcomes.iter())
        .map(|outcome| Curve {
            name: format!("td-linear/{}/rmse", outcome.features.name),
            points: (1..).zip(outcome.errors.iter().copied()).collect(),
        })
        .collect();
    Ok(Part {
        sections,
        checks,
        results: ("8.7, 8.8", Value::Array(outcomes.iter().map(result).collect())),
        curves,
    })
}

/// The surfaces, the curves and the maps of one kind of features.
fn family(heading: &str, text: &str, chain: &KnownChain, outcomes: &[&Outcome]) -> Result<Section, CommandError> {
    let grid = book::grid(GridRewards::default())?;
    let exact = chain.values();
    let surfaces: Vec<Surface> = (outcomes.iter())
        .map(|outcome| Surface {
            title: outcome.features.name.to_owned(),
            note: format!("error {:.3}", outcome.averaged.objectives.value_error),
            heights: outcome.features.mesh(&outcome.averaged.weights, MESH),
            side: MESH,
        })
        .collect();
    let plot = Plot::new(
        format!(
            "Root mean square error of TD by episode, at a constant step size of {STEP_SIZE}; the thin lines are the exact \
             errors of the fixed points"
        ),
        "episode",
        "error",
    )
    .log_y();
    let plot = outcomes.iter().fold(plot, |plot, outcome| {
        let points = (1..).map(f64::from).zip(outcome.errors.iter().copied());
        let plot = plot.series(outcome.features.name, points);
        match outcome.features.floors[0] {
            0.0 => plot,
            floor => plot.level(floor),
        }
    });
    let values = |outcome: &Outcome| outcome.features.matrix.values(&outcome.averaged.weights);
    let (low, high) = (outcomes.iter())
        .flat_map(|outcome| values(outcome))
        .chain(exact.iter().copied())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    let map = |caption: &str, values: &[f64]| book::map(caption, &grid, values).ends(low, high);
    let section = Section::new(heading)
        .text(text)
        .item(&picture(
            "What TD has learnt, as a surface between the cells, and the exact value of every cell: a filled dot lies above the \
             surface, a hollow one below",
            &surfaces,
            &exact,
        ))
        .item(&plot)
        .item(&map("The exact values", &exact));
    Ok(outcomes.iter().fold(section, |section, outcome| {
        section.item(&map(&format!("TD, {}", outcome.features.name), &values(outcome)))
    }))
}

/// Where TD and LSTD end, and how that is judged.
fn arrival(outcomes: &[Outcome]) -> Section {
    let header = [
        "features",
        "numbers",
        "fixed point",
        "projection",
        "least residual",
        "TD after 500",
        "TD averaged",
        "TD from fixed point",
        "LSTD from fixed point",
        "verdict",
    ];
    let table = outcomes.iter().fold(Table::new(header), |table, outcome| {
        let error = |weights: &Weights| format!("{:.6}", weights.objectives.value_error);
        table.row([
            outcome.features.name.to_owned(),
            outcome.features.dimension().to_string(),
            error(&outcome.fixed_point),
            error(&outcome.projection),
            error(&outcome.residual),
            format!("{:.4}", outcome.last.objectives.value_error),
            format!("{:.4}", outcome.averaged.objectives.value_error),
            format!("{:.4}", outcome.distance(&outcome.averaged)),
            format!("{:.4}", outcome.distance(&outcome.lstd)),
            verdict(checks(outcome).iter().all(Check::passes)).to_owned(),
        ])
    });
    Section::new("Where TD and LSTD end")
        .text(
            "The first three columns of errors are exact, from the model: at the fixed point that TD must end in, at the best that \
             the features can express (the projection), and at the least Bellman residual. They are held to six known \
             digits. The others are learnt.",
        )
        .item(&table.caption("Root mean square errors over the 25 cells, and distances between values in the same measure"))
        .note(format!(
            "How it is judged. At a constant step size TD does not come to rest: it moves around its fixed point for ever. After \
             the book's {EPISODES} episodes the slowest features have not even arrived there: polynomials of degree 3 are \
             still 0.07 away on average over many runs. So the run goes on to episode {LONGER}, and the weights are averaged \
             from episode {AVERAGED_FROM} on. Their values must be within {TD_TOLERANCE} of the fixed point's, and their error \
             within {FLOOR_TOLERANCE} of the floor. Both limits were set beforehand, from twenty runs of another program with \
             other random numbers, which were never more than 0.020 away. LSTD sees the first {EPISODES} episodes, and must be \
             within {LSTD_TOLERANCE} (0.026 at most in twenty runs); from every state and action once it must give the fixed \
             point itself."
        ))
}

/// The three objectives, on the way and in the end.
fn objectives(outcomes: &[Outcome]) -> Section {
    let names = ["value error", "Bellman error", "projected Bellman error"];
    let of = |at: &Objectives| [at.value_error, at.bellman_error, at.projected_bellman_error];
    let mut section = Section::new("Three objectives side by side").text(
        "Linear prediction can be after three things: values that are close to the exact ones (value error), values that agree \
         with themselves one step on (Bellman error), or values that agree as far as the features can express it (projected \
         Bellman error). Each is least at other weights, and TD brings down the last: its fixed point is where that is zero. \
         All are root mean squares, weighted by the share of time in each state.",
    );
    for outcome in outcomes
        .iter()
        .filter(|outcome| ["polynomials of degree 3", "cosines of order 3"].contains(&outcome.features.name))
    {
        let plot = Plot::new(
            format!(
                "TD with {}: the objectives by episode; the thin lines are their values at the fixed point",
                outcome.features.name
            ),
            "episode",
            "",
        )
        .log_y();
        let levels = of(&outcome.fixed_point.objectives);
        let plot = names.iter().enumerate().fold(plot, |plot, (index, name)| {
            let points = outcome
                .objectives
                .iter()
                .map(|(episode, at)| (*episode as f64, of(at)[index]));
            let plot = plot.series(*name, points);
            if index < 2 { plot.level(levels[index]) } else { plot }
        });
        section = section.item(&plot);
    }
    let header = ["features", "weights", names[0], names[1], names[2]];
    let table = outcomes.iter().fold(Table::new(header), |table, outcome| {
        [
            ("learnt by TD", &outcome.averaged),
            ("fixed point of TD", &outcome.fixed_point),
            ("least value error", &outcome.projection),
            ("least Bellman error", &outcome.residual),
        ]
        .into_iter()
        .fold(table, |table, (name, weights)| {
            let [value, bellman, projected] = of(&weights.objectives).map(|error| format!("{error:.4}"));
            table.row([
                outcome.features.name.to_owned(),
                name.to_owned(),
                value,
                bellman,
                projected,
            ])
        })
    });
    section.item(&table)
}

fn result(outcome: &Outcome) -> Value {
    let matrix = &outcome.features.matrix;
    let at = |weights: &Weights| {
        json!({
            "weights": weights.weights,
            "values": matrix.values(&weights.weights),
            "value_error": weights.objectives.value_error,
            "bellman_error": weights.objectives.bellman_error,
            "projected_bellman_error": weights.objectives.projected_bellman_error,
        })
    };
    json!({
        "features": outcome.features.name,
        "dimension": outcome.features.dimension(),
        "fixed_point": at(&outcome.fixed_point),
        "projection": at(&outcome.projection),
        "least_residual": at(&outcome.residual),
        "td_after_500_episodes": at(&outcome.last),
        "td_averaged": at(&outcome.averaged),
        "lstd": at(&outcome.lstd),
        "td_distance": outcome.distance(&outcome.averaged),
        "lstd_distance": outcome.distance(&outcome.lstd),
        "errors": outcome.errors,
    })
}

//! Figures 8.5 and 8.6: a stationary distribution, and the exact values that are to be approximated.

use etude_mdp::{GridRewards, GridWorld, GridWorldSpec, Policy};
use etude_rl::KnownChain;
use serde_json::json;

use super::book::{self, CELLS, DISCOUNT};
use super::check::{Basis, Check, Criterion};
use super::{Part, Setting, broken};
use crate::error::CommandError;
use crate::report::Section;

/// The stationary distribution of the example, as the book prints it.
const PRINTED: [f64; 4] = [0.0345, 0.1084, 0.1330, 0.7241];

/// The chain of the uniform policy on the book's grid.
pub(super) fn chain(grid: &GridWorld) -> Result<KnownChain, CommandError> {
    KnownChain::new(grid, &Policy::uniform(grid), DISCOUNT).map_err(|error| broken(&error))
}

/// The example of figure 8.5: four cells, and a policy with epsilon = 0.5 around down, down, right and stay.
fn example() -> Result<(GridWorld, KnownChain), CommandError> {
    let grid = GridWorld::new(&GridWorldSpec {
        rows: 2,
        columns: 2,
        forbidden: vec![[1, 2]],
        targets: vec![[2, 2]],
        ..GridWorldSpec::default()
    })
    .map_err(|error| broken(&error))?;
    let policy = [2, 2, 1, 4].map(|greedy| {
        let mut chances = vec![0.1; 5];
        chances[greedy] = 0.6;
        chances
    });
    let policy = Policy::stochastic(&grid, &policy).map_err(|error| broken(&error))?;
    let chain = KnownChain::new(&grid, &policy, DISCOUNT).map_err(|error| broken(&error))?;
    Ok((grid, chain))
}

/// The greatest difference.
fn furthest(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .fold(0.0, |furthest: f64, (a, b)| furthest.max((a - b).abs()))
}

pub(super) fn play(_: &Setting<'_>) -> Result<Part, CommandError> {
    let (small, example) = example()?;
    let grid = book::grid(GridRewards::default())?;
    let chain = chain(&grid)?;
    let values = chain.values();
    let checks = vec![
        Check {
            figure: "8.5",
            what: "stationary distribution, the greatest difference to the four printed digits".into(),
            found: furthest(example.distribution(), &PRINTED),
            criterion: Criterion::AtMost(5.1e-5),
            basis: Basis::Printed,
        },
        Check {
            figure: "8.6",
            what: "values of the uniform policy, the greatest difference in a cell".into(),
            found: furthest(&values, &book::UNIFORM_VALUES),
            criterion: Criterion::AtMost(6e-7),
            basis: Basis::Exact,
        },
        Check {
            figure: "8.6",
            what: "the same against the one decimal that the book prints".into(),
            found: furthest(&values, &book::PRINTED_UNIFORM_VALUES),
            criterion: Criterion::AtMost(0.05),
            basis: Basis::Printed,
        },
        Check {
            figure: "8.6",
            what: "share of time in every cell, the greatest difference to 1/25".into(),
            found: furthest(chain.distribution(), &[1.0 / CELLS as f64; CELLS]),
            criterion: Criterion::AtMost(1e-12),
            basis: Basis::Exact,
        },
    ];
    let section = Section::new("Figures 8.5 and 8.6: what is to be approximated")
        .text(
            "Chapter 8 predicts the values of the policy that takes all five actions with the same probability, where forbidden \
             cells and the edge cost 1 and the target earns 1. They are known exactly, v = (I − γP)⁻¹ r, and so is the share of \
             time that the policy spends in each cell, which weighs the errors: on this grid every cell is entered as often \
             as it is left, so that all shares are equal. The example of figure 8.5 shows that this need not be so.",
        )
        .item(&book::map("Figure 8.6: exact values of the uniform policy", &grid, &values))
        .item(&book::map(
            "Share of time in each cell, the stationary distribution",
            &grid,
            chain.distribution(),
        ))
        .item(&book::map(
            "Figure 8.5: share of time under a policy with ε = 0.5 on four cells",
            &small,
            example.distribution(),
        ));
    Ok(Part {
        sections: vec![section],
        checks,
        results: (
            "8.5, 8.6",
            json!({
                "example_distribution": example.distribution(),
                "values": values,
                "distribution": chain.distribution(),
            }),
        ),
        curves: Vec::new(),
    })
}

//! Chapter 10 without learning: importance sampling, with and without support, and the baseline of least variance.

use etude_rl::control::KnownControl;
use etude_rl::zhao::{gradient_variance, importance_sampling, importance_variance, optimal_baseline};
use etude_train::Seed;
use serde_json::json;

use super::book::{self, ACTIONS, CELLS, DISCOUNT};
use super::check::{Basis, Check, Criterion};
use super::{Part, Setting, Watch, broken};
use crate::error::CommandError;
use crate::report::{Plot, Section, Table};

/// Samples behind the means.
const SAMPLES: usize = 100_000;
/// A coin: X is 1 or -1. p0 is fair, p1 is not, and p2 never shows -1.
const VALUES: [f64; 2] = [1.0, -1.0];
const FAIR: [f64; 2] = [0.5, 0.5];
const UNFAIR: [f64; 2] = [0.8, 0.2];
const ONE_SIDED: [f64; 2] = [1.0, 0.0];

pub(super) fn play(setting: &Setting<'_>) -> Result<Part, CommandError> {
    let (mut checks, coin) = coin(setting);
    Watch::check()?;
    let (more, variances) = baselines()?;
    checks.extend(more);
    let table = Table::new(["baseline", "variance of the gradient, mean over cells"])
        .row(["none", &format!("{:.3}", variances[0])])
        .row(["v(s)", &format!("{:.3}", variances[1])])
        .row(["the best one", &format!("{:.3}", variances[2])]);
    let section = Section::new("Sections 10.2 and 10.3: baselines and importance sampling")
        .text(
            "A coin that shows 1 four times in five is to tell the mean of a fair one. The plain mean of its tosses tells its \
             own, 0.6. Weighed by how much more often the fair coin shows each side, they tell 0, with more scatter; where a \
             side never comes up, no weight can make up for it, and the mean ends at 0.5.",
        )
        .item(&running_means(setting))
        .text(format!(
            "The policy gradient stays the same in the mean if a number is taken from all action values, and scatters less. The \
             best number weighs each action value by the length of its gradient; v(s) is nearly as good. Here in all cells of \
             the grid, for the optimal action values and a policy that prefers one of {ACTIONS} actions.",
        ))
        .item(&table);
    Ok(Part {
        sections: vec![section],
        checks,
        results: ("10.2, 10.3", json!({ "means": coin, "baselines": variances })),
        curves: Vec::new(),
    })
}

/// Importance sampling: the checks, and the means that were found, plain, weighted and weighted without support.
fn coin(setting: &Setting<'_>) -> (Vec<Check>, [f64; 3]) {
    let mut random = Seed(setting.seed).stream("importance sampling");
    let coin = importance_sampling(&VALUES, &FAIR, &UNFAIR, SAMPLES, &mut random);
    let blind = importance_sampling(&VALUES, &FAIR, &ONE_SIDED, SAMPLES, &mut random);
    let [variance, share] = importance_variance(&VALUES, &FAIR, &UNFAIR);
    // Five deviations of such means.
    let deviations = |variance: f64| 5.0 * (variance / SAMPLES as f64).sqrt();
    let (printed, exact) = (Basis::Printed, Basis::Exact);
    let checks = [
        (
            "the plain mean, which is of p1",
            coin.plain,
            0.6,
            deviations(0.64),
            printed,
        ),
        (
            "the weighted mean, which is of p0",
            coin.weighted,
            0.0,
            deviations(1.5625),
            printed,
        ),
        ("variance of a weighted sample", variance, 1.5625, 1e-12, exact),
        ("what a sample is worth", share, 0.64, 1e-12, exact),
        ("the weighted mean without support", blind.weighted, 0.5, 1e-12, exact),
    ]
    .map(|(what, found, expected, tolerance, basis)| Check {
        figure: "10.3",
        what: format!("importance sampling: {what}"),
        found,
        criterion: Criterion::Near { expected, tolerance },
        basis,
    });
    (checks.to_vec(), [coin.plain, coin.weighted, blind.weighted])
}

/// The baselines of a policy that takes all actions alike but for one, in every cell of the grid: the checks, and the variances without a baseline, with
/// v(s) and with the best one.
fn baselines() -> Result<(Vec<Check>, [f64; 3]), CommandError> {
    let grid = book::grid(book::rewards(-1.0, -1.0, 1.0, 0.0))?;
    let optimum = KnownControl::new(&grid, DISCOUNT).map_err(|error| broken(&error))?;
    let probabilities = [0.4, 0.15, 0.15, 0.15, 0.15];
    let mut variances = [0.0; 3];
    let mut lowest = 0;
    for cell in 0..CELLS {
        let q = optimum.action_values().of(cell);
        let value: f64 = probabilities.iter().zip(q).map(|(p, q)| p * q).sum();
        let best = optimal_baseline(&probabilities, q);
        let of = [0.0, value, best].map(|baseline| gradient_variance(&probabilities, q, baseline));
        for (sum, variance) in variances.iter_mut().zip(of) {
            *sum += variance / CELLS as f64;
        }
        // No other baseline between the least and the greatest value does better.
        let (least, most) = (q.iter()).fold((f64::MAX, f64::MIN), |(low, high), q| (low.min(*q), high.max(*q)));
        let mut others = (0..=1000).map(|step| least + (most - least) * f64::from(step) / 1000.0);
        let is_lowest = others.all(|other| gradient_variance(&probabilities, q, other) >= of[2] - 1e-12);
        lowest += usize::from(is_lowest);
    }
    let check = |what: &str, found, criterion, basis| Check {
        figure: "10.2",
        what: format!("baseline: {what}"),
        found,
        criterion,
        basis,
    };
    let checks = vec![
        check(
            "cells where none of a thousand others has less variance",
            lowest as f64,
            Criterion::AtLeast(CELLS as f64),
            Basis::Exact,
        ),
        check(
            "variance with v(s), as a part of that without",
            variances[1] / variances[0],
            Criterion::AtMost(0.2),
            Basis::Drawn,
        ),
    ];
    Ok((checks, variances))
}

/// The means in the course of two hundred samples, as the book draws them.
fn running_means(setting: &Setting<'_>) -> Plot {
    let curve = |behaviour: &[f64; 2], weighted: bool| {
        let points = (1..=200_usize).map(|count| {
            // The same tosses each time.
            let mut random = Seed(setting.seed).stream("tosses");
            let means = importance_sampling(&VALUES, &FAIR, behaviour, count, &mut random);
            (count as f64, if weighted { means.weighted } else { means.plain })
        });
        points.collect::<Vec<_>>()
    };
    Plot::new("Means of the tosses so far", "toss", "mean")
        .series("plain", curve(&UNFAIR, false))
        .series("weighted", curve(&UNFAIR, true))
        .series("weighted, without support", curve(&ONE_SIDED, true))
}

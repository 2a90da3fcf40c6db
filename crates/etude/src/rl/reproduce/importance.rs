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
    let mut random = Seed(setting.seed).stream("importance sampling");
    let coin = importance_sampling(&VALUES, &FAIR, &UNFAIR, SAMPLES, &mut random);
    let blind = importance_sampling(&VALUES, &FAIR, &ONE_SIDED, SAMPLES, &mut random);
    let [variance, share] = importance_variance(&VALUES, &FAIR, &UNFAIR);
    Watch::check()?;
    let mut checks = Vec::new();
    let mut check = |what: &str, found, expected, tolerance, basis| {
        checks.push(Check {
            figure: "10.3",
            what: what.to_owned(),
            found,
            criterion: Criterion::Near { expected, tolerance },
            basis,
        });
    };
    // Five deviations of such means.
    let deviations = |variance: f64| 5.0 * (variance / SAMPLES as f64).sqrt();
    check(
        "importance sampling: the plain mean, which is of p1",
        coin.plain,
        0.6,
        deviations(0.64),
        Basis::Printed,
    );
    check(
        "importance sampling: the weighted mean, which is of p0",
        coin.weighted,
        0.0,
        deviations(1.5625),
        Basis::Printed,
    );
    check(
        "importance sampling: variance of a weighted sample",
        variance,
        1.5625,
        1e-12,
        Basis::Exact,
    );
    check(
        "importance sampling: what a sample is worth",
        share,
        0.64,
        1e-12,
        Basis::Exact,
    );
    check(
        "importance sampling without support: the weighted mean",
        blind.weighted,
        0.5,
        1e-12,
        Basis::Exact,
    );

    // The policy that takes all actions alike but for one, in every cell of the grid.
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
        let (least, most) = q
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), q| (low.min(*q), high.max(*q)));
        let others = (0..=1000).map(|step| least + (most - least) * f64::from(step) / 1000.0);
        lowest += usize::from(
            others
                .map(|b| gradient_variance(&probabilities, q, b))
                .all(|v| v >= of[2] - 1e-12),
        );
    }
    checks.push(Check {
        figure: "10.2",
        what: "baseline: cells where none of a thousand others has less variance".into(),
        found: lowest as f64,
        criterion: Criterion::AtLeast(CELLS as f64),
        basis: Basis::Exact,
    });
    checks.push(Check {
        figure: "10.2",
        what: "baseline: variance with v(s), as a part of that without".into(),
        found: variances[1] / variances[0],
        criterion: Criterion::AtMost(0.2),
        basis: Basis::Drawn,
    });
    let table = Table::new(["baseline", "variance of the gradient, mean over cells"])
        .row(["none", &format!("{:.3}", variances[0])])
        .row(["v(s)", &format!("{:.3}", variances[1])])
        .row(["the best one", &format!("{:.3}", variances[2])]);
    let plot = running_means(setting);
    let section = Section::new("Sections 10.2 and 10.3: baselines and importance sampling")
        .text(
            "A coin that shows 1 four times in five is to tell the mean of a fair one. The plain mean of its tosses tells its own, 0.6. Weighed by how \
             much more often the fair coin shows each side, they tell 0, with more scatter; where a side never comes up, no weight can \
             make up for it, and the mean ends at 0.5.",
        )
        .item(&plot)
        .text(format!(
            "The policy gradient stays the same in the mean if a number is taken from all action values, and scatters less. The best number weighs \
             each action value by the length of its gradient; v(s) is nearly as good. Here in all cells of the grid, for the optimal action \
             values and a policy that prefers one of {ACTIONS} actions.",
        ))
        .item(&table);
    let results = json!({ "plain": coin.plain, "weighted": coin.weighted, "without_support": blind.weighted, "baselines": variances });
    Ok(Part {
        sections: vec![section],
        checks,
        results: ("10.2, 10.3", results),
        curves: Vec::new(),
    })
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

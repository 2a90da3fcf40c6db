//! Statistics of evaluation against SciPy and rliable; see `scripts/rl_statistics_fixtures.py`.

use std::{fs, path::Path};

use etude_rl::statistics::{
    Estimate, Interval, Scores, bootstrap, interquartile_mean, optimality_gap, performance_profile,
    probability_of_improvement,
};
use etude_train::Seed;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixtures {
    interquartile_means: Vec<Mean>,
    experiments: Vec<Experiment>,
}

#[derive(Deserialize)]
struct Mean {
    scores: Vec<f64>,
    mean: f64,
}

#[derive(Deserialize)]
struct Experiment {
    x: Vec<Vec<f64>>,
    y: Vec<Vec<f64>>,
    optimum: f64,
    interquartile_mean: f64,
    interquartile_mean_interval: Resampled,
    interquartile_mean_rliable: [f64; 2],
    optimality_gap: f64,
    optimality_gap_interval: Resampled,
    improvement: f64,
    improvement_interval: Resampled,
    profile: Vec<Point>,
}

/// An interval, and the standard errors of the difference between its ends and those of 50,000 resamples.
#[derive(Deserialize)]
struct Resampled {
    ends: [f64; 2],
    errors: [f64; 2],
}

#[derive(Deserialize)]
struct Point {
    threshold: f64,
    value: f64,
    exact: [f64; 2],
    rliable: [f64; 2],
}

fn fixtures() -> Fixtures {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/statistics.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: {found}, expected {expected} up to {tolerance}"
    );
}

/// The value to rounding, the interval to so many standard errors.
fn agree(what: &str, found: Estimate, value: f64, ends: [f64; 2], errors: [f64; 2]) {
    let Interval { low, high } = found.interval;
    close(what, found.value, value, 1e-12);
    close(&format!("{what}, low end"), low, ends[0], 5.0 * errors[0] + 1e-12);
    close(&format!("{what}, high end"), high, ends[1], 5.0 * errors[1] + 1e-12);
}

#[test]
fn interquartile_means_are_scipys_trimmed_means() {
    for Mean { scores, mean } in fixtures().interquartile_means {
        let count = scores.len();
        let found = interquartile_mean(&Scores::new(&[scores]).unwrap());
        close(&format!("of {count} scores"), found, mean, 1e-12 * mean.abs());
    }
}

#[test]
fn aggregates_agree_with_rliable_and_scipy() {
    for (seed, case) in (1..).map(Seed).zip(fixtures().experiments) {
        let x = Scores::new(&case.x).unwrap();
        let Resampled { ends, errors } = case.interquartile_mean_interval;
        let estimate = bootstrap(&x, seed, interquartile_mean);
        agree("interquartile mean", estimate, case.interquartile_mean, ends, errors);
        let (value, ends) = (case.interquartile_mean, case.interquartile_mean_rliable);
        agree("interquartile mean by rliable", estimate, value, ends, errors);
        let Resampled { ends, errors } = case.optimality_gap_interval;
        let estimate = bootstrap(&x, seed, |scores| optimality_gap(scores, case.optimum));
        agree("optimality gap", estimate, case.optimality_gap, ends, errors);
    }
}

#[test]
fn probabilities_of_improvement_agree_with_rliable_and_scipy() {
    for (seed, case) in (1..).map(Seed).zip(fixtures().experiments) {
        let (x, y) = (Scores::new(&case.x).unwrap(), Scores::new(&case.y).unwrap());
        let Resampled { ends, errors } = case.improvement_interval;
        let estimate = probability_of_improvement(&x, &y, seed).unwrap();
        agree("improvement", estimate, case.improvement, ends, errors);
    }
}

#[test]
fn profiles_agree_with_rliable_and_scipy() {
    for case in fixtures().experiments {
        let x = Scores::new(&case.x).unwrap();
        let thresholds: Vec<f64> = case.profile.iter().map(|point| point.threshold).collect();
        // Where a percentile falls on the border of two shares, the random numbers of rliable decide between them.
        let share = 1.0 / x.all().len() as f64;
        for (found, point) in performance_profile(&x, &thresholds)
            .unwrap()
            .into_iter()
            .zip(case.profile)
        {
            let what = format!("profile at {}", point.threshold);
            agree(&what, found, point.value, point.exact, [0.0; 2]);
            agree(&what, found, point.value, point.rliable, [share / 5.0; 2]);
        }
    }
}

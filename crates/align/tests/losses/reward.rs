//! Reward models, against TRL's trainer and the formulas.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use etude_align::preference::Pairs;
use etude_align::reward::{Calibration, Comparisons, RewardModelMetrics, bradley_terry, centering};
use proptest::prelude::*;
use serde::Deserialize;

use crate::common::{assert_close, assert_near, numbers, tensor, with_gradient};

#[derive(Deserialize)]
struct Fixture {
    pairs: Vec<Case>,
    ranked: Ranked,
    calibration: Calibrated,
}

#[derive(Deserialize)]
struct Case {
    rewards: Vec<f32>,
    margin: Option<Vec<f32>>,
    centering: Option<f64>,
    loss: f64,
    gradient: Vec<f32>,
    metrics: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Ranked {
    ranks: Vec<Vec<u32>>,
    rewards: Vec<f32>,
    losses: Vec<f32>,
    gradient: Vec<f32>,
    margins: Vec<f32>,
    centering: f64,
    losses_with_margins: Vec<f32>,
    gradient_with_margins: Vec<f32>,
    metrics: BTreeMap<String, f64>,
}

impl Ranked {
    /// What each prompt costs, with margins and centring or without.
    fn losses(&self, rewards: Tensor<1>, with_margins: bool) -> Tensor<1> {
        let comparisons = Comparisons::of_ranks(&self.ranks);
        let pairs = comparisons.pairs(rewards);
        comparisons.means(if with_margins {
            let margins = comparisons.spread(tensor(&self.margins));
            bradley_terry(pairs.clone(), Some(margins)) + centering(pairs) * self.centering
        } else {
            bradley_terry(pairs, None)
        })
    }
}

#[derive(Deserialize)]
struct Calibrated {
    margins: Vec<f32>,
    bins: usize,
    counts: Vec<usize>,
    expected_error: f64,
    log_likelihood: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/reward.json")).unwrap()
}

#[test]
fn losses_gradients_and_metrics_are_those_of_trl() {
    for case in fixture().pairs {
        let (loss, gradient) = with_gradient(&case.rewards, |rewards| {
            let rewards = Pairs::split(rewards);
            let losses = bradley_terry(rewards.clone(), case.margin.as_deref().map(tensor));
            match case.centering {
                Some(coefficient) => losses + centering(rewards) * coefficient,
                None => losses,
            }
            .mean()
        });
        assert_near(f64::from(loss[0]), case.loss, "the loss");
        assert_close(&gradient, &case.gradient, "the gradient");
        let (chosen, rejected) = case.rewards.split_at(case.rewards.len() / 2);
        for (name, found, _) in RewardModelMetrics::new(&case.rewards, chosen, rejected).named() {
            assert_near(found, case.metrics[name], name);
        }
    }
}

#[test]
fn all_comparisons_of_a_prompt_are_one_mean() {
    let ranked = fixture().ranked;
    let comparisons = Comparisons::of_ranks(&ranked.ranks);
    assert_eq!(comparisons.len(), 6 + 1 + 9 + 2);
    let expected = [
        (&ranked.losses, &ranked.gradient),
        (&ranked.losses_with_margins, &ranked.gradient_with_margins),
    ];
    for (with_margins, (expected, expected_gradient)) in [false, true].into_iter().zip(expected) {
        let mut losses = Vec::new();
        let (_, gradient) = with_gradient(&ranked.rewards, |rewards| {
            let of_prompts = ranked.losses(rewards, with_margins);
            losses = numbers(of_prompts.clone());
            of_prompts.mean()
        });
        assert_close(&losses, expected, "the losses");
        assert_close(&gradient, expected_gradient, "the gradient");
    }
    let pairs = comparisons.pairs(tensor(&ranked.rewards));
    let metrics = RewardModelMetrics::new(&ranked.rewards, &numbers(pairs.chosen), &numbers(pairs.rejected));
    for (name, found, of) in metrics.named() {
        assert_near(found, ranked.metrics[name], name);
        let comparing = ["accuracy", "margin"].contains(&name);
        assert_eq!(
            of,
            if comparing {
                comparisons.len()
            } else {
                ranked.rewards.len()
            }
        );
    }
}

#[test]
fn the_gradient_of_ranked_answers_is_the_slope_of_their_loss() {
    const STEP: f32 = 1e-2;
    let ranked = fixture().ranked;
    let loss = |rewards: &[f32]| numbers(ranked.losses(tensor(rewards), true).mean())[0];
    let (_, gradient) = with_gradient(&ranked.rewards, |rewards| ranked.losses(rewards, true).mean());
    for (answer, gradient) in gradient.iter().enumerate() {
        let at = |step: f32| {
            let mut rewards = ranked.rewards.clone();
            rewards[answer] += step;
            loss(&rewards)
        };
        let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        assert!((slope - gradient).abs() < 2e-4, "answer {answer}: {slope}, {gradient}");
    }
}

#[test]
fn calibration_is_that_of_the_formula() {
    let expected = fixture().calibration;
    let found = Calibration::new(&expected.margins, expected.bins);
    assert_eq!(
        found.bins.iter().map(|bin| bin.pairs).collect::<Vec<_>>(),
        expected.counts
    );
    assert_near(
        found.expected_error,
        expected.expected_error,
        "the expected calibration error",
    );
    assert_near(found.log_likelihood, expected.log_likelihood, "the log-likelihood");
}

#[test]
fn a_model_that_knows_nothing_is_half_sure_and_half_right() {
    let found = Calibration::new(&[0.0; 10], 5);
    assert!(found.expected_error < 1e-12);
    assert_near(found.log_likelihood, -std::f64::consts::LN_2, "the log-likelihood");
    // One that is certain falls into the last bin, and is as wrong as it was certain.
    let found = Calibration::new(&[1e4, -1e4], 5);
    assert_eq!(found.bins[4].pairs, 2);
    assert_near(found.expected_error, 0.5, "the expected calibration error");
    assert_near(found.log_likelihood, -5e3, "the log-likelihood");
}

proptest! {
    #[test]
    fn two_answers_are_a_pair(rewards in proptest::collection::vec(-20f32..20.0, 2)) {
        let comparisons = Comparisons::of_ranks(&[vec![0, 1]]);
        let ranked = comparisons.means(bradley_terry(comparisons.pairs(tensor(&rewards)), None));
        let paired = bradley_terry(Pairs::split(tensor(&rewards)), None);
        prop_assert_eq!(numbers(ranked), numbers(paired));
    }

    #[test]
    fn rewards_may_drift_together(rewards in proptest::collection::vec(-20f32..20.0, 8), drift in -8f32..8.0) {
        let comparisons = Comparisons::of_ranks(&[vec![0, 1, 2], vec![1, 0, 1, 3, 2]]);
        let moved: Vec<f32> = rewards.iter().map(|reward| reward + drift).collect();
        let losses = |rewards: &Vec<f32>| bradley_terry(comparisons.pairs(tensor(rewards)), None);
        let [one, other] = [&rewards, &moved].map(|rewards| numbers(comparisons.means(losses(rewards))));
        for (one, other) in one.iter().zip(&other) {
            prop_assert!((one - other).abs() < 1e-4);
        }
    }

    #[test]
    fn errors_of_calibration_are_from_0_to_1(margins in proptest::collection::vec(-1e3f32..1e3, 1..50), bins in 1usize..20) {
        let found = Calibration::new(&margins, bins);
        prop_assert!((0.0..=1.0).contains(&found.expected_error));
        prop_assert_eq!(found.bins.iter().map(|bin| bin.pairs).sum::<usize>(), margins.len());
        for bin in found.bins.iter().filter(|bin| bin.pairs > 0) {
            prop_assert!((0.5..=1.0).contains(&bin.confidence) && (0.0..=1.0).contains(&bin.accuracy));
        }
    }
}

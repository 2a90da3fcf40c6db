//! What has to be true of the losses on pairs.

use burn::tensor::Tensor;
use etude_align::preference::{
    Aggregation, FDivergence, Orpo, OrpoOptions, Pairs, PreferenceBatch, PreferenceLoss, PreferenceOptions,
    ReferenceSync, RewardMetrics, loss, preference_loss, sequence_log_probabilities,
};
use proptest::prelude::*;

use crate::common::{LOSSES, assert_close, assert_near, numbers, tensor, with_gradient};

/// Pairs of answers of one token each.
fn batch(policy: Tensor<1>, reference: &[f32]) -> PreferenceBatch {
    PreferenceBatch::new(policy, tensor(reference), &vec![1; reference.len()], Aggregation::Sum)
}

fn options(loss: PreferenceLoss, beta: f64) -> PreferenceOptions {
    let label_smoothing = if loss == PreferenceLoss::ExoPair { 0.01 } else { 0.0 };
    PreferenceOptions {
        loss_type: vec![loss],
        beta,
        label_smoothing,
        ..PreferenceOptions::default()
    }
}

#[test]
fn a_policy_that_is_the_reference_has_the_loss_of_knowing_nothing() {
    let said = [-3.0, -7.5, -0.25, -4.0];
    let beta = 0.1;
    for (name, expected) in [
        (PreferenceLoss::Sigmoid, std::f64::consts::LN_2),
        (PreferenceLoss::Conservative, std::f64::consts::LN_2),
        (PreferenceLoss::Robust, std::f64::consts::LN_2),
        (PreferenceLoss::SigmoidNorm, std::f64::consts::LN_2),
        (PreferenceLoss::Aot, std::f64::consts::LN_2),
        (PreferenceLoss::AotUnpaired, std::f64::consts::LN_2),
        (PreferenceLoss::BcoPair, 2.0 * std::f64::consts::LN_2),
        (PreferenceLoss::NcaPair, 2.0 * std::f64::consts::LN_2),
        (PreferenceLoss::Hinge, 1.0),
        (PreferenceLoss::ApoZero, 1.0),
        (PreferenceLoss::ApoDown, 1.0),
        (PreferenceLoss::SppoHard, 1.0 / (2.0 * beta * beta)),
        (PreferenceLoss::Ipo, 1.0 / (4.0 * beta * beta)),
        (PreferenceLoss::IpoSum, 1.0 / (4.0 * beta * beta)),
        (PreferenceLoss::Discopop, 0.5 * std::f64::consts::LN_2 + 0.5),
    ] {
        for found in numbers(preference_loss(&batch(tensor(&said), &said), &options(name, beta))) {
            assert!(
                (f64::from(found) - expected).abs() < 1e-6 * expected.max(1.0),
                "{name:?}: found {found}, expected {expected}"
            );
        }
    }
}

#[test]
fn gradients_are_finite_however_far_the_policy_is() {
    let divergences = [
        FDivergence::ReverseKl,
        FDivergence::ForwardKl,
        FDivergence::JsDivergence,
        FDivergence::AlphaDivergence,
    ];
    for loss in LOSSES {
        for far in [
            [1e4, -1e4],
            [-1e4, 1e4],
            [-1e4, -1e4],
            [0.0, -1e4],
            [0.0, 1e4],
            [1e4, 0.0],
        ] {
            for divergence in divergences {
                let mut options = options(loss, 1.0);
                options.f_divergence_type = divergence;
                if options.clone().checked().is_err() {
                    continue;
                }
                let (losses, slopes) =
                    with_gradient(&far, |policy| preference_loss(&batch(policy, &[0.0, 0.0]), &options));
                let finite = losses.iter().chain(&slopes).all(|number| number.is_finite());
                assert!(finite, "{loss:?}, {divergence:?} at {far:?}: {losses:?}, {slopes:?}");
            }
        }
    }
    for average in [-1e4, -200.0, -0.7, -1e-3, -1e-8, 0.0] {
        let (losses, slopes) = with_gradient(&[average, -1.0], |averages| {
            let orpo = Orpo::new(OrpoOptions::default()).unwrap();
            orpo.losses(Pairs::split(averages.clone()), -averages.narrow(0, 0, 1))
        });
        assert!(
            losses.iter().chain(&slopes).all(|number| number.is_finite()),
            "ORPO at {average}: {losses:?}, {slopes:?}"
        );
    }
}

#[test]
fn a_pair_that_is_wrong_is_still_pulled_at() {
    // Where log(sigmoid(x)) by itself would have lost the gradient.
    for (beta, z) in [(1.0, -1e4), (0.1, -1e4)] {
        let (_, slopes) = with_gradient(&[z], |z| loss::sigmoid(z, beta));
        assert_close(&slopes, &[-beta as f32], "the slope of DPO");
    }
}

#[test]
fn smoothing_moves_the_optimum() {
    let (beta, smoothing) = (0.3, 0.1_f64);
    // s(beta z) = 1 - e.
    let optimum = ((1.0 - smoothing) / smoothing).ln() / beta;
    for loss in [loss::conservative, loss::exo_pair] {
        let (_, slopes) = with_gradient(&[optimum as f32], |z| loss(z, beta, smoothing));
        assert!(slopes[0].abs() < 1e-6, "{slopes:?}");
        let (_, around) = with_gradient(&[optimum as f32 - 1.0, optimum as f32 + 1.0], |z| {
            loss(z, beta, smoothing)
        });
        assert!(around[0] < 0.0 && around[1] > 0.0, "{around:?}");
    }
    let optimum = (0.5 / beta) as f32;
    let (losses, slopes) = with_gradient(&[optimum], |z| loss::ipo(z, beta));
    assert!(
        losses[0] < 1e-9 && slopes[0].abs() < 1e-5,
        "IPO: {losses:?}, {slopes:?}"
    );
}

#[test]
fn an_alpha_divergence_is_either_kl_divergence_at_its_ends() {
    let ratios = [-2.0, -0.3, 0.0, 0.4, 3.0];
    for (alpha, divergence) in [(1.0, FDivergence::ReverseKl), (0.0, FDivergence::ForwardKl)] {
        let [found, expected] =
            [FDivergence::AlphaDivergence, divergence].map(|of| numbers(of.score(tensor(&ratios), alpha)));
        assert_close(&found, &expected, "scores");
    }
}

#[test]
fn answers_of_the_same_length_are_not_desensitized() {
    let tokens = [-1.0, -2.0, -3.0, -0.5, -0.25, -4.0];
    let with = |alpha, lengths: &[usize]| {
        numbers(sequence_log_probabilities(
            tensor(&tokens),
            lengths,
            Aggregation::LengthDesensitized { alpha },
        ))
    };
    assert_close(&with(0.0, &[3, 3]), &[-6.0, -4.75], "of three tokens each");
    assert_close(&with(0.5, &[2, 4]), &[-3.0, -3.5 - 0.5 * 4.25], "of two and four");
    assert_close(&with(0.0, &[0, 6]), &[0.0, 0.0], "of none");
}

#[test]
fn a_reference_follows_every_so_many_steps() {
    let sync = ReferenceSync { alpha: 0.6, steps: 3 };
    let sync = sync.checked().unwrap();
    assert_eq!((0..8).filter(|step| sync.is_due(*step)).collect::<Vec<_>>(), [3, 6]);
    for (alpha, steps, name) in [
        (0.0, 3, "alpha"),
        (1.1, 3, "alpha"),
        (f64::NAN, 3, "alpha"),
        (0.6, 0, "steps"),
    ] {
        let error = ReferenceSync { alpha, steps }.checked().unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

fn log_probabilities(count: usize) -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(-50f32..0.0, count)
}

proptest! {
    #[test]
    fn swapping_the_answers_flips_the_margin(
        policy in log_probabilities(8), reference in log_probabilities(8), beta in 0.01f64..2.0,
    ) {
        let swapped = |said: &[f32]| [&said[4..], &said[..4]].concat();
        let metrics = |policy: &[f32], reference: &[f32]| {
            let batch = batch(tensor(policy), reference);
            RewardMetrics::new(&batch.policy, &batch.reference, beta)
        };
        let [one, other] = [metrics(&policy, &reference), metrics(&swapped(&policy), &swapped(&reference))];
        assert_near(one.margin, -other.margin, "the margin");
        assert_near(one.chosen, other.rejected, "the reward");
        prop_assert!(one.accuracy + other.accuracy <= 1.0);
    }

    /// The loss of a pair does not depend on the pairs beside it, except where the batch is sorted or tokens are counted.
    #[test]
    fn pairs_do_not_see_one_another(policy in log_probabilities(6), reference in log_probabilities(6), beta in 0.01f64..2.0) {
        for loss in LOSSES {
            if matches!(loss, PreferenceLoss::Aot | PreferenceLoss::AotUnpaired | PreferenceLoss::Sft) {
                continue;
            }
            let options = options(loss, beta);
            let together = numbers(preference_loss(&batch(tensor(&policy), &reference), &options));
            for pair in 0..3 {
                let one = |said: &[f32]| [said[pair], said[pair + 3]];
                let alone = numbers(preference_loss(&batch(tensor(&one(&policy)), &one(&reference)), &options));
                prop_assert_eq!(alone[0].to_bits(), together[pair].to_bits());
            }
        }
    }

    #[test]
    fn robust_dpo_has_the_loss_without_flips_in_expectation(z in -20f32..20.0, beta in 0.05f64..1.0, smoothing in 0.0f64..0.45) {
        let robust = |z| f64::from(numbers(loss::robust(tensor(&[z]), beta, smoothing))[0]);
        let clean = f64::from(numbers(loss::sigmoid(tensor(&[z]), beta))[0]);
        let expectation = (1.0 - smoothing) * robust(z) + smoothing * robust(-z);
        prop_assert!((expectation - clean).abs() < 1e-4 * (1.0 + clean), "{} {}", expectation, clean);
    }

    #[test]
    fn gradients_are_slopes(policy in log_probabilities(4), reference in log_probabilities(4), beta in 0.05f64..0.5) {
        // In the middle of each loss, where 32 bits can tell differences.
        let policy: Vec<f32> = policy.iter().map(|number| number / 10.0).collect();
        let reference: Vec<f32> = reference.iter().map(|number| number / 10.0).collect();
        let step = 0.02;
        for loss in LOSSES {
            let options = options(loss, beta);
            let at = |moved: f32| {
                let moved: Vec<f32> = policy.iter().enumerate().map(|(index, at)| if index == 1 { at + moved } else { *at }).collect();
                let (losses, slopes) = with_gradient(&moved, |policy| preference_loss(&batch(policy, &reference), &options));
                (losses.iter().map(|loss| f64::from(*loss)).sum::<f64>(), f64::from(slopes[1]))
            };
            let [(before, slope_before), (after, slope_after)] = [at(-step), at(step)];
            let slope = at(0.0).1;
            // Not where it is bent, as a hinge and a sorted batch are.
            if (slope_before - slope_after).abs() < 0.02 * (1.0 + slope.abs()) {
                let difference = (after - before) / (2.0 * f64::from(step));
                prop_assert!((difference - slope).abs() < 0.02 * (1.0 + slope.abs()), "{:?}: {} {}", loss, difference, slope);
            }
        }
    }
}

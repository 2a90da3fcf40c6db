//! What PPO computes, against PyTorch, in the padded layout of TRL.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use etude_align::ppo::{
    Advantages, KlCoefficient, KlEstimator, MinibatchStatistics, MinibatchTokens, MissingEos, RewardNormalization,
    RolloutStatistics, Variance, clipped_policy_loss, clipped_value_loss, entropy, full_kl, generalized_advantages,
    masked_mean, ratio_variance, ratios, token_rewards, whiten,
};
use proptest::prelude::*;
use serde::Deserialize;

use crate::common::{assert_close, assert_near, device, numbers, tensor, with_gradient};

#[derive(Deserialize)]
struct Fixture {
    rollouts: Vec<Rollout>,
    distributions: Distributions,
}

#[derive(Deserialize)]
struct Rollout {
    lengths: Vec<usize>,
    gamma_lambda: [f64; 2],
    coefficient: f64,
    ranges: [f64; 2],
    old: Vec<f32>,
    reference: Vec<f32>,
    scores: Vec<f32>,
    old_values: Vec<f32>,
    kl: BTreeMap<String, Vec<f32>>,
    rewards: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
    whitened: Vec<Whitened>,
    objective: BTreeMap<String, f64>,
    minibatches: Vec<Minibatch>,
    averages: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Whitened {
    of: String,
    shift_mean: bool,
    variance: Variance,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Minibatch {
    log_probabilities: Vec<f32>,
    values: Vec<f32>,
    entropies: Vec<f32>,
    policy_gradient: Vec<f32>,
    value_gradient: Vec<f32>,
    #[serde(rename = "loss/policy_avg")]
    policy_loss: f64,
    #[serde(rename = "loss/value_avg")]
    value_loss: f64,
}

#[derive(Deserialize)]
struct Distributions {
    logits: Vec<[f32; 7]>,
    reference: Vec<[f32; 7]>,
    full_kl: Vec<f32>,
    full_kl_gradient: Vec<f32>,
    entropy: Vec<f32>,
    entropy_gradient: Vec<f32>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/ppo.json")).unwrap()
}

fn estimates(estimator: KlEstimator, old: &[f32], reference: &[f32]) -> Vec<f32> {
    let both = old.iter().zip(reference);
    both.map(|(old, reference)| estimator.estimate(*old, *reference))
        .collect()
}

#[test]
fn rewards_and_advantages_are_those_of_padded_answers() {
    for rollout in fixture().rollouts {
        let Rollout {
            lengths,
            old,
            reference,
            scores,
            coefficient,
            ..
        } = &rollout;
        let mask = vec![true; old.len()];
        for (name, expected) in &rollout.kl {
            let estimator: KlEstimator = serde_json::from_str(&format!("\"{name}\"")).unwrap();
            assert_close(&estimates(estimator, old, reference), expected, name);
        }
        let kl = estimates(KlEstimator::K1, old, reference);
        let rewards = token_rewards(&kl, &mask, lengths, scores, *coefficient);
        assert_close(&rewards, &rollout.rewards, "rewards");
        let found = generalized_advantages(&rewards, &rollout.old_values, &mask, lengths, rollout.gamma_lambda);
        assert_close(&found.advantages, &rollout.advantages, "advantages");
        assert_close(&found.returns, &rollout.returns, "returns");
        for whitened in &rollout.whitened {
            let mut values = if whitened.of == "rewards" {
                rewards.clone()
            } else {
                found.advantages.clone()
            };
            whiten(&mut values, &mask, whitened.shift_mean, whitened.variance);
            assert_close(&values, &whitened.values, &whitened.of);
        }
        for (name, found) in RolloutStatistics::new(&kl, old, &mask, scores, *coefficient).named() {
            assert_near(found, rollout.objective[name], name);
        }
    }
}

#[test]
fn losses_gradients_and_statistics_are_those_of_pytorch() {
    for rollout in fixture().rollouts {
        let [range, value_range] = rollout.ranges;
        let mask = vec![true; rollout.old.len()];
        let counts = tensor(&vec![1.0; rollout.old.len()]);
        let mut statistics = Vec::new();
        for minibatch in &rollout.minibatches {
            let (loss, gradient) = with_gradient(&minibatch.log_probabilities, |new| {
                let rho = ratios(new, tensor(&rollout.old));
                masked_mean(
                    clipped_policy_loss(rho, tensor(&rollout.advantages), range),
                    counts.clone(),
                )
            });
            assert_near(f64::from(loss[0]), minibatch.policy_loss, "the policy's loss");
            assert_close(&gradient, &minibatch.policy_gradient, "the policy's gradient");
            let (loss, gradient) = with_gradient(&minibatch.values, |values| {
                let [old, returns] = [&rollout.old_values, &rollout.returns].map(|numbers| tensor(numbers));
                masked_mean(clipped_value_loss(values, old, returns, value_range), counts.clone())
            });
            assert_near(f64::from(loss[0]), minibatch.value_loss, "the values' loss");
            assert_close(&gradient, &minibatch.value_gradient, "the values' gradient");
            let tokens = MinibatchTokens {
                log_probabilities: &minibatch.log_probabilities,
                old_log_probabilities: &rollout.old,
                advantages: &rollout.advantages,
                values: &minibatch.values,
                old_values: &rollout.old_values,
                returns: &rollout.returns,
                entropies: &minibatch.entropies,
                mask: &mask,
            };
            statistics.push(MinibatchStatistics::new(&tokens, range, value_range));
        }
        let mut ratios = Vec::new();
        let mut means: BTreeMap<&str, f64> = BTreeMap::new();
        for minibatch in &statistics {
            ratios.push(minibatch.ratio);
            for (name, value) in minibatch.named() {
                *means.entry(name).or_default() += value / statistics.len() as f64;
            }
        }
        means.insert("val/ratio_var", ratio_variance(&ratios));
        assert_eq!(means.len(), rollout.averages.len());
        for (name, found) in means {
            assert_near(found, rollout.averages[name], name);
        }
    }
}

#[test]
#[expect(clippy::float_cmp, reason = "1 and 0 exactly are what is promised")]
fn on_the_first_minibatch_the_ratio_is_exactly_1() {
    for rollout in fixture().rollouts {
        let first = &rollout.minibatches[0];
        assert_eq!(first.log_probabilities, rollout.old);
        let rho = numbers(ratios(tensor(&first.log_probabilities), tensor(&rollout.old)));
        assert!(rho.iter().all(|rho| *rho == 1.0), "{rho:?}");
        let mask = vec![true; rollout.old.len()];
        let tokens = MinibatchTokens {
            log_probabilities: &first.log_probabilities,
            old_log_probabilities: &rollout.old,
            advantages: &rollout.advantages,
            values: &rollout.old_values,
            old_values: &rollout.old_values,
            returns: &rollout.returns,
            entropies: &first.entropies,
            mask: &mask,
        };
        let found = MinibatchStatistics::new(&tokens, 0.2, 0.2);
        assert_eq!((found.ratio, found.approximate_kl), (1.0, 0.0));
        assert_eq!((found.clip_fraction, found.value_clip_fraction), (0.0, 0.0));
    }
}

#[test]
fn divergences_and_entropies_of_whole_distributions_are_pytorchs() {
    let Distributions { logits, reference, .. } = fixture().distributions;
    let expected = fixture().distributions;
    let shaped = |flat: Tensor<1>| flat.reshape([logits.len(), 7]);
    let reference = Tensor::<2>::from_data(TensorData::new(reference.concat(), [reference.len(), 7]), &device());
    let (found, gradient) = with_gradient(&logits.concat(), |logits| full_kl(shaped(logits), reference));
    assert_close(&found, &expected.full_kl, "KL divergences");
    assert_close(&gradient, &expected.full_kl_gradient, "their gradient");
    let (found, gradient) = with_gradient(&logits.concat(), |logits| entropy(shaped(logits)));
    assert_close(&found, &expected.entropy, "entropies");
    assert_close(&gradient, &expected.entropy_gradient, "their gradient");
}

#[test]
fn the_coefficient_follows_the_divergence() {
    // lm-human-preferences: 0.15, a target of 6, a horizon of 10 000 episodes, 512 at a time.
    let mut coefficient = KlCoefficient::Adaptive {
        coefficient: 0.15,
        target: 6.0,
        horizon: 1e4,
    };
    for (divergence, factor) in [
        (6.0, 1.0),
        (6.6, 1.0 + 0.1 * 0.0512),
        (60.0, 1.0 + 0.2 * 0.0512),
        (0.0, 1.0 - 0.2 * 0.0512),
    ] {
        let before = coefficient.value();
        coefficient.update(divergence, 512);
        assert!((coefficient.value() / before - factor).abs() < 1e-12, "at {divergence}");
    }
    let mut fixed = KlCoefficient::Fixed(0.05);
    fixed.update(100.0, 512);
    assert_eq!(fixed, KlCoefficient::Fixed(0.05));
}

#[test]
#[expect(clippy::float_cmp, reason = "small whole numbers are exact")]
fn scores_are_normalised_and_pay_for_what_does_not_end() {
    let scores = [1.0, 3.0, 5.0, 7.0];
    let normalization = RewardNormalization::fit(&scores).unwrap();
    let normalized = scores.map(|score| f64::from(normalization.apply(score)));
    assert_near(normalized.iter().sum(), 0.0, "the sum");
    assert_near(
        normalized.iter().map(|score| score * score).sum::<f64>() / 4.0,
        1.0,
        "the variance",
    );
    assert_eq!(RewardNormalization::fit(&[2.0, 2.0]), None);
    assert_eq!(RewardNormalization::fit(&[1.0, f32::NAN]), None);
    assert_eq!(MissingEos::Subtract(1.0).apply(3.0, false), 2.0);
    assert_eq!(MissingEos::Replace(-1.0).apply(3.0, false), -1.0);
    assert_eq!(MissingEos::Replace(-1.0).apply(3.0, true), 3.0);
}

#[test]
fn the_names_of_old_penalties_still_work() {
    for (name, expected) in [
        ("kl", KlEstimator::K1),
        ("mse", KlEstimator::K2),
        ("abs", KlEstimator::Abs),
    ] {
        assert_eq!(
            serde_json::from_str::<KlEstimator>(&format!("\"{name}\"")).unwrap(),
            expected
        );
    }
}

/// Answers of some lengths, with for each token a reward, a value, and whether it counts.
fn answers() -> impl Strategy<Value = (Vec<usize>, Vec<(f32, f32, bool)>)> {
    let token = (-3f32..3.0, -3f32..3.0, proptest::bool::weighted(0.7));
    let tokens = proptest::collection::vec(proptest::collection::vec(token, 0..6), 1..5);
    tokens.prop_map(|answers| (answers.iter().map(Vec::len).collect(), answers.concat()))
}

proptest! {
    /// What does not count might as well not be there.
    #[test]
    fn masked_tokens_are_as_good_as_cut_out((lengths, tokens) in answers(), gamma in 0.5f64..1.0, lambda in 0.0f64..1.0) {
        let rewards: Vec<f32> = tokens.iter().map(|token| token.0).collect();
        let values: Vec<f32> = tokens.iter().map(|token| token.1).collect();
        let mask: Vec<bool> = tokens.iter().map(|token| token.2).collect();
        let kept = |numbers: &[f32]| -> Vec<f32> {
            numbers.iter().zip(&mask).filter(|(_, counts)| **counts).map(|(number, _)| *number).collect()
        };
        let mut first = 0;
        let short: Vec<usize> = lengths.iter().map(|length| {
            first += length;
            mask[first - length..first].iter().filter(|counts| **counts).count()
        }).collect();
        let everything = vec![true; kept(&rewards).len()];
        let Advantages { advantages, returns } = generalized_advantages(&rewards, &values, &mask, &lengths, [gamma, lambda]);
        let cut = generalized_advantages(&kept(&rewards), &kept(&values), &everything, &short, [gamma, lambda]);
        prop_assert_eq!(kept(&advantages), cut.advantages);
        prop_assert_eq!(kept(&returns), cut.returns);
        let scores = vec![1.0; lengths.len()];
        let all = token_rewards(&rewards, &mask, &lengths, &scores, 0.1);
        prop_assert_eq!(kept(&all), token_rewards(&kept(&rewards), &everything, &short, &scores, 0.1));
        let mut whitened = rewards.clone();
        whiten(&mut whitened, &mask, true, Variance::Unbiased);
        let mut alone = kept(&rewards);
        whiten(&mut alone, &everything, true, Variance::Unbiased);
        prop_assert_eq!(kept(&whitened), alone);
    }

    /// With lambda = 1 and no discount, an advantage is what remains of the rewards, less the value.
    #[test]
    fn without_discount_returns_are_sums((lengths, tokens) in answers()) {
        let rewards: Vec<f32> = tokens.iter().map(|token| token.0).collect();
        let values: Vec<f32> = tokens.iter().map(|token| token.1).collect();
        let mask = vec![true; tokens.len()];
        let found = generalized_advantages(&rewards, &values, &mask, &lengths, [1.0, 1.0]);
        let mut first = 0;
        for length in lengths {
            for token in first..first + length {
                let rest: f32 = rewards[token..first + length].iter().sum();
                prop_assert!((found.returns[token] - rest).abs() < 1e-4);
                prop_assert!((found.advantages[token] - rest + values[token]).abs() < 1e-4);
            }
            first += length;
        }
    }

    #[test]
    fn whitened_numbers_have_the_variance_1(values in proptest::collection::vec(-10f32..10.0, 3..40)) {
        let mean = |numbers: &[f32]| numbers.iter().map(|number| f64::from(*number)).sum::<f64>() / numbers.len() as f64;
        let before = mean(&values);
        let spread = values.iter().map(|value| (f64::from(*value) - before).powi(2)).sum::<f64>() / values.len() as f64;
        prop_assume!(spread > 0.1);
        for (shift_mean, variance) in [(true, Variance::Biased), (true, Variance::Unbiased), (false, Variance::Biased), (false, Variance::Unbiased)] {
            let mut whitened = values.clone();
            whiten(&mut whitened, &vec![true; values.len()], shift_mean, variance);
            let after = mean(&whitened);
            let expected = if shift_mean { 0.0 } else { before };
            prop_assert!((after - expected).abs() < 1e-4);
            let degrees = values.len() as f64 - if variance == Variance::Biased { 0.0 } else { 1.0 };
            let squares: f64 = whitened.iter().map(|value| (f64::from(*value) - after).powi(2)).sum();
            prop_assert!((squares / degrees - 1.0).abs() < 1e-4);
        }
    }

    /// k2 and k3 are never negative, and in expectation k1 and k3 are the divergence.
    #[test]
    fn estimates_are_of_the_divergence(logits in proptest::collection::vec(-3f32..3.0, 10)) {
        let log_softmax = |logits: &[f32]| -> Vec<f32> {
            let sum = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
            logits.iter().map(|logit| (f64::from(*logit) - sum) as f32).collect()
        };
        let (policy, reference) = (log_softmax(&logits[..5]), log_softmax(&logits[5..]));
        let expectation = |estimator: KlEstimator| -> f64 {
            let estimates = estimates(estimator, &policy, &reference);
            policy.iter().zip(estimates).map(|(log, estimate)| f64::from(*log).exp() * f64::from(estimate)).sum()
        };
        let shaped = |numbers: &[f32]| Tensor::<2>::from_data(TensorData::new(numbers.to_vec(), [1, 5]), &device());
        let exact = f64::from(numbers(full_kl(shaped(&policy), shaped(&reference)))[0]);
        prop_assert!((expectation(KlEstimator::K1) - exact).abs() < 1e-5);
        prop_assert!((expectation(KlEstimator::K3) - exact).abs() < 1e-5);
        for estimator in [KlEstimator::K2, KlEstimator::K3, KlEstimator::Abs] {
            prop_assert!(estimates(estimator, &policy, &reference).iter().all(|estimate| *estimate >= 0.0));
        }
    }
}

//! Bandits: one prompt, answers of one token, a policy that is a softmax of a table. Its optimum is known in closed form, and each method
//! has to reach it.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use etude_align::ppo::{
    KlEstimator, clipped_policy_loss, clipped_value_loss, generalized_advantages, masked_mean, ratios, token_rewards,
};
use etude_align::preference::{Aggregation, PreferenceBatch, PreferenceLoss, PreferenceOptions, preference_loss};

use crate::common::{device, numbers, tensor};

/// What each answer earns, and how probable the reference takes it to be.
const REWARDS: [f64; 5] = [1.0, 0.2, -0.5, 0.6, 0.0];
const REFERENCE: [f64; 5] = [0.1, 0.3, 0.2, 0.15, 0.25];

/// pi proportional to pi_ref e^(of answer).
fn tilted(of_answer: impl Fn(usize) -> f64) -> Vec<f64> {
    let weights: Vec<f64> = REFERENCE
        .iter()
        .enumerate()
        .map(|(answer, p)| p * of_answer(answer).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// The probability that an answer is preferred to another one, by Bradley and Terry.
fn preferred(one: usize, other: usize) -> f64 {
    1.0 / (1.0 + (REWARDS[other] - REWARDS[one]).exp())
}

fn log_reference() -> Vec<f32> {
    REFERENCE.iter().map(|p| p.ln() as f32).collect()
}

fn probabilities(logits: Tensor<1>) -> Vec<f64> {
    numbers(log_softmax(logits, 0))
        .iter()
        .map(|log| f64::from(*log).exp())
        .collect()
}

fn answers(of: &[usize]) -> Tensor<1, Int> {
    let indices: Vec<i64> = of.iter().map(|answer| *answer as i64).collect();
    Tensor::from_data(TensorData::new(indices, [of.len()]), &device())
}

fn assert_reached(found: &[f64], optimum: &[f64], within: f64) {
    for (found, expected) in found.iter().zip(optimum) {
        assert!(
            (found - expected).abs() < within,
            "found {found:?}, expected {optimum:?}"
        );
    }
}

/// The policy that gradient descent ends at on the expected loss over all pairs of two answers drawn from `drawn`, of which either is
/// preferred as often as the rewards say.
fn trained_on_preferences(loss: PreferenceLoss, beta: f64, drawn: [f64; 5], rate: f64, steps: usize) -> Vec<f64> {
    let options = PreferenceOptions {
        loss_type: vec![loss],
        beta,
        ..PreferenceOptions::default()
    };
    let ordered = (0..5).flat_map(|one| (0..5).map(move |other| (one, other)));
    let pairs: Vec<(usize, usize)> = ordered.filter(|(one, other)| one != other).collect();
    let both: Vec<usize> = pairs
        .iter()
        .map(|pair| pair.0)
        .chain(pairs.iter().map(|pair| pair.1))
        .collect();
    let shares: Vec<f32> = pairs
        .iter()
        .map(|(one, other)| (drawn[*one] * drawn[*other] * preferred(*one, *other)) as f32)
        .collect();
    let reference = tensor(&log_reference()).select(0, answers(&both));
    let mut logits = tensor(&log_reference());
    for _ in 0..steps {
        logits = logits.detach().require_grad();
        let said = log_softmax(logits.clone(), 0).select(0, answers(&both));
        let batch = PreferenceBatch::new(said, reference.clone(), &vec![1; both.len()], Aggregation::Sum);
        let gradients = (preference_loss(&batch, &options) * tensor(&shares)).sum().backward();
        logits = logits.clone() - logits.grad(&gradients).unwrap() * rate;
    }
    probabilities(logits)
}

/// Of preferences by Bradley and Terry, DPO's optimum is that of the rewards under the KL penalty (Rafailov et al. 2023, equation 4),
/// whichever answers are compared.
#[test]
fn dpo_reaches_the_optimum_of_the_rewards() {
    for (beta, drawn) in [(0.5, [0.2; 5]), (1.0, REFERENCE)] {
        let found = trained_on_preferences(PreferenceLoss::Sigmoid, beta, drawn, 10.0 / (beta * beta), 300);
        assert_reached(&found, &tilted(|answer| REWARDS[answer] / beta), 1e-3);
    }
}

/// IPO's optimum is that of the probability to be preferred to an answer that is drawn (Azar et al. 2023, section 5).
#[test]
fn ipo_reaches_the_optimum_of_preferences() {
    for (beta, drawn) in [(0.2, [0.2; 5]), (0.5, REFERENCE)] {
        let wins = |answer: usize| (0..5).map(|other| drawn[other] * preferred(answer, other)).sum::<f64>();
        for loss in [PreferenceLoss::Ipo, PreferenceLoss::IpoSum] {
            let found = trained_on_preferences(loss, beta, drawn, 0.5, 300);
            assert_reached(&found, &tilted(|answer| wins(answer) / beta), 1e-3);
        }
    }
}

/// PPO's is that of the rewards again. There, the reward less the KL penalty is the same for every answer, so that advantages vanish and
/// the policy comes to rest although it learns from samples: whitened, they would not.
#[test]
fn ppo_reaches_the_optimum_of_the_rewards() {
    let (coefficient, count) = (0.5, 400);
    let reference = log_reference();
    let mut logits = tensor(&reference);
    let mut value = tensor(&[0.0]);
    for iteration in 0..150_u32 {
        let policy = probabilities(logits.clone());
        // Systematic sampling: each answer about as often as it should be, with an offset that moves.
        let offset = f64::from(iteration) * 0.618_034 % 1.0;
        let (mut answer, mut below) = (0, policy[0]);
        let drawn: Vec<usize> = (0..count)
            .map(|sample| {
                while (f64::from(sample) + offset) / f64::from(count) > below && answer < 4 {
                    answer += 1;
                    below += policy[answer];
                }
                answer
            })
            .collect();
        let old = numbers(log_softmax(logits.clone(), 0).select(0, answers(&drawn)));
        let kl: Vec<f32> = drawn
            .iter()
            .zip(&old)
            .map(|(answer, log)| KlEstimator::K1.estimate(*log, reference[*answer]))
            .collect();
        let scores: Vec<f32> = drawn.iter().map(|answer| REWARDS[*answer] as f32).collect();
        let (mask, lengths) = (vec![true; drawn.len()], vec![1; drawn.len()]);
        let rewards = token_rewards(&kl, &mask, &lengths, &scores, coefficient);
        let values = vec![numbers(value.clone())[0]; drawn.len()];
        let estimated = generalized_advantages(&rewards, &values, &mask, &lengths, [1.0, 0.95]);
        let everything = tensor(&vec![1.0; drawn.len()]);
        for _ in 0..4 {
            (logits, value) = (logits.detach().require_grad(), value.detach().require_grad());
            let said = log_softmax(logits.clone(), 0).select(0, answers(&drawn));
            let policy_loss = clipped_policy_loss(ratios(said, tensor(&old)), tensor(&estimated.advantages), 0.2);
            let predicted = value.clone().expand([drawn.len()]);
            let value_loss = clipped_value_loss(predicted, tensor(&values), tensor(&estimated.returns), 0.2);
            let gradients = masked_mean(policy_loss + value_loss, everything.clone()).backward();
            logits = logits.clone() - logits.grad(&gradients).unwrap() * 1.0;
            value = value.clone() - value.grad(&gradients).unwrap() * 0.3;
        }
    }
    assert_reached(
        &probabilities(logits),
        &tilted(|answer| REWARDS[answer] / coefficient),
        2e-3,
    );
    let log_partition = (0..5)
        .map(|answer| REFERENCE[answer] * (REWARDS[answer] / coefficient).exp())
        .sum::<f64>()
        .ln();
    let found = f64::from(numbers(value)[0]);
    assert!(
        (found - coefficient * log_partition).abs() < 2e-3,
        "the value: found {found}, expected c ln Z"
    );
}

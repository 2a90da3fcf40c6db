//! The loss of a batch: one of the losses, or several with weights.

use burn::tensor::{Tensor, TensorData};

use super::{Aggregation, Pairs, PreferenceLoss, PreferenceOptions, loss, sequence_log_probabilities};

/// What policy and reference say of a batch of pairs.
#[derive(Debug, Clone)]
pub struct PreferenceBatch {
    /// ln pi of the answers, as the options aggregate it.
    pub policy: Pairs,
    /// ln pi_ref of the answers, aggregated in the same way.
    pub reference: Pairs,
    /// The numbers of tokens of the answers.
    pub lengths: Pairs,
    /// ln pi of the chosen answers as a sum over their tokens, whatever the aggregation, `[pairs]`: for `sft`.
    pub chosen_likelihood: Tensor<1>,
    /// The weight of each pair in the mean over the batch, `[pairs]`, such as [`wpo_weights`] gives; without, all weigh 1.
    pub weights: Option<Tensor<1>>,
}

impl PreferenceBatch {
    /// From the policy's log-probabilities of all tokens of all answers, `[tokens]`: those of the chosen answers one after the other, then
    /// those of the rejected ones, with `lengths` tokens each, `[2 pairs]`. The reference's log-probabilities are of answers, `[2 pairs]`, and
    /// have been aggregated in the same way.
    ///
    /// # Panics
    /// The lengths do not add up to the number of tokens, there is an odd number of them, or the reference has another number.
    pub fn new(tokens: Tensor<1>, reference: Tensor<1>, lengths: &[usize], aggregation: Aggregation) -> Self {
        let answers = lengths.len();
        assert!(
            reference.dims() == [answers],
            "the reference: found {:?}, expected {answers} answers",
            reference.dims()
        );
        let numbers: Vec<f32> = lengths.iter().map(|length| *length as f32).collect();
        let numbers = Tensor::from_data(TensorData::new(numbers, [answers]), &tokens.device());
        let policy = Pairs::split(sequence_log_probabilities(tokens.clone(), lengths, aggregation));
        let chosen_likelihood = match aggregation {
            Aggregation::Sum => policy.chosen.clone(),
            _ => Pairs::split(sequence_log_probabilities(tokens, lengths, Aggregation::Sum)).chosen,
        };
        Self {
            policy,
            reference: Pairs::split(reference),
            lengths: Pairs::split(numbers),
            chosen_likelihood,
            weights: None,
        }
    }

    /// ln (pi / pi_ref) of both answers.
    pub fn log_ratios(&self) -> Pairs {
        self.policy
            .clone()
            .zip(self.reference.clone(), |policy, reference| policy - reference)
    }
}

/// The loss of each pair, `[pairs]`; the loss of the batch is their mean. Of several losses it is their sum with the options' weights.
///
/// `sft` is the same for each pair, since it is a mean over all tokens of the batch, and what is sorted (AOT) is of the batch too.
///
/// # Panics
/// There are fewer weights than losses, which [`PreferenceOptions::checked`] does not let through.
pub fn preference_loss(batch: &PreferenceBatch, options: &PreferenceOptions) -> Tensor<1> {
    let batch = &if options.reference_free {
        let reference = batch.reference.clone().map(|reference| reference.zeros_like());
        PreferenceBatch {
            reference,
            ..batch.clone()
        }
    } else {
        batch.clone()
    };
    let weighted = options.loss_type.iter().enumerate().map(|(index, loss)| {
        let weight = options.loss_weights.as_ref().map_or(1.0, |weights| weights[index]);
        one_loss(*loss, batch, options) * weight
    });
    let sum = weighted.reduce(|sum, losses| sum + losses);
    let losses = sum.unwrap_or_else(|| batch.policy.chosen.zeros_like());
    match &batch.weights {
        Some(weights) => losses * weights.clone(),
        None => losses,
    }
}

fn one_loss(name: PreferenceLoss, batch: &PreferenceBatch, options: &PreferenceOptions) -> Tensor<1> {
    let &PreferenceOptions {
        beta,
        label_smoothing: smoothing,
        discopop_tau: tau,
        ..
    } = options;
    let ratios = batch.log_ratios();
    let score = |ratios| options.f_divergence_type.score(ratios, options.f_alpha_divergence_coef);
    let scores = || ratios.clone().map(score);
    let z = || scores().margins();
    let per_token = || {
        scores()
            .zip(batch.lengths.clone(), |score, length| score / length.clamp_min(1.0))
            .margins()
    };
    match name {
        PreferenceLoss::Sigmoid => loss::sigmoid(z(), beta),
        PreferenceLoss::Conservative => loss::conservative(z(), beta, smoothing),
        PreferenceLoss::Hinge => loss::hinge(z(), beta),
        PreferenceLoss::Ipo => loss::ipo(per_token(), beta),
        PreferenceLoss::IpoSum => loss::ipo(z(), beta),
        PreferenceLoss::ExoPair => loss::exo_pair(z(), beta, smoothing),
        PreferenceLoss::NcaPair => loss::nca_pair(ratios, beta),
        PreferenceLoss::Robust => loss::robust(z(), beta, smoothing),
        PreferenceLoss::BcoPair => loss::bco_pair(ratios, beta),
        PreferenceLoss::SppoHard => loss::sppo_hard(ratios, beta),
        PreferenceLoss::Aot => loss::aot(batch.policy.clone(), batch.reference.clone(), beta, smoothing),
        PreferenceLoss::AotUnpaired => loss::aot_unpaired(ratios, beta, smoothing),
        PreferenceLoss::ApoZero => loss::apo_zero(ratios, beta),
        PreferenceLoss::ApoDown => loss::apo_down(ratios, beta),
        PreferenceLoss::Discopop => loss::discopop(z(), beta, tau),
        PreferenceLoss::Sft => loss::sft(batch.chosen_likelihood.clone(), batch.lengths.chosen.clone()),
        PreferenceLoss::SigmoidNorm => loss::sigmoid(per_token(), beta),
    }
}

/// How much each pair weighs in WPO, `[pairs]`, without gradients (Zhou et al. 2024, equation 2, aligned): the
/// product over both answers of e^mean( ln pi(y_t) - ln sum over v of pi(v)^2 ), where the sum is what the policy would on average
/// have given a token of its own.
///
/// Both inputs are of all tokens of all answers, `[tokens]`, in the order of [`PreferenceBatch::new`].
///
/// # Panics
/// The lengths do not add up to the number of tokens, or there is an odd number of them.
pub fn wpo_weights(tokens: Tensor<1>, log_sum_squares: Tensor<1>, lengths: &[usize]) -> Tensor<1> {
    let aligned = (tokens - log_sum_squares).detach();
    let Pairs { chosen, rejected } = Pairs::split(sequence_log_probabilities(aligned, lengths, Aggregation::Average));
    (chosen + rejected).exp()
}

//! TR-DPO: a reference that follows the policy.
//!
//! Every so many steps the reference moves towards the policy, pi_ref <- alpha pi + (1 - alpha) pi_ref, parameter by parameter
//! (Gorbatovski et al. 2024: soft with alpha below 1, hard with alpha = 1). It is therefore a model beside the policy, asked in every
//! batch: a forward pass more in each, and the memory of a second model, without gradients and moments.

use burn::module::Module;
use burn::tensor::Tensor;
use etude_kernels::burn::blend;
use etude_lm::decoder::Decoder;

use super::{Dpo, PreferenceExample, PreferenceSequences};
use crate::AlignError;
use crate::error::require;
use crate::training::{Metrics, Objective, Sequences as _, Trained};

/// When the reference moves, and how far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReferenceSync {
    /// The policy's share, above 0 and at most 1: TRL's `ref_model_mixup_alpha`.
    pub alpha: f64,
    /// From one update to the next; at least 1: TRL's `ref_model_sync_steps`.
    pub steps: u64,
}

impl ReferenceSync {
    /// These constants, if they are within their ranges.
    ///
    /// # Errors
    /// Names the first one that is not.
    pub fn checked(self) -> Result<Self, AlignError> {
        let share = self.alpha > 0.0 && self.alpha <= 1.0;
        require(share, "ref_model_mixup_alpha", &self.alpha, "above 0 and at most 1")?;
        require(self.steps > 0, "ref_model_sync_steps", &self.steps, "at least 1")?;
        Ok(self)
    }

    /// Whether the reference moves after this step of the optimiser; the first one is step 1.
    pub fn is_due(&self, step: u64) -> bool {
        step > 0 && step.is_multiple_of(self.steps)
    }
}

/// A policy and the reference that follows it.
#[derive(Module, Debug)]
pub struct SyncedPolicy {
    policy: Decoder,
    reference: Decoder,
    #[module(skip)]
    sync: ReferenceSync,
}

impl SyncedPolicy {
    /// No gradient is computed of the reference, a model of the same configuration.
    pub fn new(policy: Decoder, reference: Decoder, sync: ReferenceSync) -> Self {
        let reference = reference.no_grad();
        Self {
            policy,
            reference,
            sync,
        }
    }

    /// What the policy is held to at present.
    pub fn reference(&self) -> &Decoder {
        &self.reference
    }
}

impl Trained for SyncedPolicy {
    fn decoder(&self) -> &Decoder {
        &self.policy
    }

    fn stepped(self, step: u64) -> Self {
        if !self.sync.is_due(step) {
            return self;
        }
        Self {
            reference: blend(self.reference, &self.policy, self.sync.alpha),
            ..self
        }
    }
}

/// DPO and its family with a reference that follows.
#[derive(Debug, Clone)]
pub struct TrDpo(pub Dpo);

impl Objective for TrDpo {
    type Model = SyncedPolicy;
    /// What it knows of a reference is not looked at.
    type Example = PreferenceExample;
    type Batch = PreferenceSequences;

    fn batch(&self, examples: &[&PreferenceExample]) -> PreferenceSequences {
        self.0.batch(examples)
    }

    fn weight(&self, batch: &PreferenceSequences) -> f64 {
        self.0.weight(batch)
    }

    fn loss(
        &self,
        model: &SyncedPolicy,
        hidden: Tensor<2>,
        batch: &PreferenceSequences,
        share: f64,
        metrics: &mut Metrics,
    ) -> Tensor<1> {
        let reference = model.reference.valid();
        let of_reference = reference.hidden(batch.tokens(), batch.offsets());
        let aggregation = self.0.options().aggregation();
        let said = batch.answers.log_probabilities(&reference, of_reference, aggregation);
        let batch = PreferenceSequences {
            reference: said.to_data().iter().collect(),
            ..batch.clone()
        };
        self.0.loss(&model.policy, hidden, &batch, share, metrics)
    }
}

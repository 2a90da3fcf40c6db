//! TR-DPO: a reference that follows the policy.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Every so many steps the reference moves towards the policy, pi_ref <- alpha pi + (1 - alpha) pi_ref, parameter by parameter
/// (Gorbatovski et al. 2024: soft with alpha below 1, hard with alpha = 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReferenceSync {
    /// The policy's share, above 0 and at most 1.
    #[serde(rename = "ref_model_mixup_alpha")]
    pub alpha: f64,
    /// From one update to the next; at least 1.
    #[serde(rename = "ref_model_sync_steps")]
    pub steps: u64,
}

impl Default for ReferenceSync {
    fn default() -> Self {
        Self { alpha: 0.6, steps: 512 }
    }
}

impl ReferenceSync {
    /// Whether the reference moves after this step of the optimiser; the first one is step 1.
    pub fn is_due(&self, step: u64) -> bool {
        step > 0 && step.is_multiple_of(self.steps)
    }

    /// A parameter of the reference after the update, without gradients.
    pub fn update<const D: usize>(&self, reference: Tensor<D>, policy: Tensor<D>) -> Tensor<D> {
        (policy * self.alpha + reference * (1.0 - self.alpha)).detach()
    }
}

//! How much memory and time a run will take, and how much it has taken.

use std::time::Instant;

use etude_kernels::Precision;
use etude_kernels::matrix::{Matrix, product};
use etude_lm::Memory;
use serde::Serialize;

/// The share of a training step that is products with weights, from runs of 135 million parameters.
const PRODUCTS: f64 = 0.7;

/// Bytes and seconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Estimate {
    pub(super) bytes: u64,
    pub(super) seconds: f64,
}

/// What a run is made of.
pub(super) struct Work {
    pub(super) memory: Memory,
    /// Of one model.
    pub(super) parameters: u64,
    /// Models that are trained: one, or policy and critic.
    pub(super) models: u64,
    /// As many of them as do not share their parameters with another one.
    pub(super) bases: u64,
    /// Tokens of all steps, of one process.
    pub(super) tokens: f64,
    /// Tokens that are read, or drawn, and not learnt from.
    pub(super) read_tokens: f64,
    /// Tokens of the largest batch that there could be.
    pub(super) largest_batch: usize,
    pub(super) precision: Precision,
    /// Activations are computed again.
    pub(super) checkpointing: bool,
    /// Only adapters are trained.
    pub(super) adapters: bool,
    /// Forward passes without a graph, beside the one with.
    pub(super) more_passes: u64,
    /// Models that are held beside the one that is trained: a reference, an average.
    pub(super) models_beside: u64,
    /// Parameters that Muon steps, with one number for each where AdamW has two.
    pub(super) with_muon: u64,
}

impl Work {
    /// From the operations that the products with weights need, 2 for each parameter and token in each of the forward pass and the two
    /// products of the backward pass, how many a second this machine makes, and the share of a step that such products have.
    pub(super) fn estimate(&self) -> Estimate {
        let passes = 3 + u64::from(self.checkpointing) - u64::from(self.adapters) + self.more_passes;
        let operations =
            2.0 * (self.models * self.parameters) as f64 * (passes as f64 * self.tokens + self.read_tokens);
        let with_activations = self
            .memory
            .train(if self.checkpointing { 0 } else { self.largest_batch });
        let activations = (with_activations - self.memory.train(0)) as u64;
        // Frozen parameters have neither gradients nor moments.
        let numbers = if self.adapters { 1 } else { 4 };
        let training = 4 * numbers * self.bases * self.parameters - if self.adapters { 0 } else { 4 * self.with_muon };
        Estimate {
            bytes: training + self.models * activations + 4 * self.models_beside * self.parameters,
            seconds: operations / speed(self.precision) / PRODUCTS,
        }
    }
}

/// Floating-point operations a second, in a product such as a layer's.
fn speed(precision: Precision) -> f64 {
    const SIZE: usize = 768;
    let numbers = vec![0.5_f32; SIZE * SIZE];
    let mut result = vec![0.0; SIZE * SIZE];
    let mut best = f64::INFINITY;
    for _ in 0..4 {
        let start = Instant::now();
        let factor = Matrix::new(&numbers, SIZE, SIZE);
        product(factor, factor, precision, &mut result);
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (SIZE as f64).powi(3) / best
}

/// The most memory that this process has held, where the operating system tells.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

//! A decoder for generation: forward only, on plain slices, with weights that are packed once or stay quantised, and with the keys
//! and values of what was read before.
//!
//! It computes what `decoder` computes, token by token the same bits as long as both have weights of the same precision: every
//! entry of a product is summed in one order, whatever else is in the batch. So a request gives the same tokens alone and in any
//! batch, and a prompt may be read in chunks.

mod cache;
mod layer;
mod load;
mod weight;
mod workspace;

use etude_kernels::linear_cross_entropy::cap_logits;
use etude_kernels::norm::rms_norm;

use crate::config::DecoderConfig;
use crate::error::LmError;

pub use cache::Cache;
use layer::Layer;
pub use weight::Weight;
pub use workspace::Workspace;

/// A decoder-only transformer, ready to generate.
#[derive(Debug)]
pub struct CpuDecoder {
    config: DecoderConfig,
    embedding: Weight,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// None where the embedding, as it is, serves as the head.
    head: Option<Weight>,
}

/// The next tokens of one sequence, and what it has read before.
#[derive(Debug)]
pub struct Sequence<'a> {
    /// Tokens to read; at least one.
    pub tokens: &'a [u32],
    /// Keys and values of the tokens before, which those of `tokens` join.
    pub cache: &'a mut Cache,
}

impl CpuDecoder {
    /// What it is made of.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Bytes of all weights.
    pub fn bytes(&self) -> usize {
        let ends = [Some(&self.embedding), self.head.as_ref()];
        let vectors = self.norm.len() * size_of::<f32>();
        ends.into_iter().flatten().map(Weight::bytes).sum::<usize>()
            + self.layers.iter().map(Layer::bytes).sum::<usize>()
            + vectors
    }

    /// An empty cache for a sequence of up to `capacity` tokens.
    pub fn cache(&self, capacity: usize) -> Cache {
        Cache::new(&self.config, capacity)
    }

    /// Reads the next tokens of every sequence. What comes out of the last norm stays in the workspace, a row for each token in
    /// the order of `sequences`, for [`logits`](Self::logits).
    ///
    /// # Errors
    /// There is not enough room in a cache.
    ///
    /// # Panics
    /// A token is not in the vocabulary, or a cache is another decoder's.
    pub fn forward(&self, sequences: &mut [Sequence<'_>], workspace: &mut Workspace) -> Result<(), LmError> {
        for sequence in &*sequences {
            sequence.cache.check_room(sequence.tokens.len())?;
        }
        workspace.prepare(&self.config, sequences);
        self.embed(sequences, &mut workspace.hidden);
        for (index, layer) in self.layers.iter().enumerate() {
            layer.forward(&self.config, index, sequences, workspace);
        }
        for sequence in sequences {
            sequence.cache.remember(sequence.tokens);
        }
        let Workspace { hidden, normed, .. } = workspace;
        rms_norm(
            hidden,
            &self.norm,
            self.config.norm_epsilon,
            self.config.norm_offset,
            normed,
        );
        Ok(())
    }

    /// Embeddings of all tokens, [tokens, hidden].
    fn embed(&self, sequences: &[Sequence<'_>], to: &mut [f32]) {
        let tokens = sequences.iter().flat_map(|sequence| sequence.tokens);
        for (&token, row) in tokens.zip(to.chunks_exact_mut(self.config.hidden)) {
            self.embedding.row(token as usize, row);
            if let Some(scale) = self.config.embedding_scale {
                for entry in row {
                    *entry *= scale;
                }
            }
        }
    }

    /// Logits [rows, vocabulary] of the given rows of the last forward pass, in the memory of `to`.
    ///
    /// # Panics
    /// There is no such row.
    pub fn logits(&self, workspace: &mut Workspace, rows: &[usize], to: &mut Vec<f32>) {
        let width = self.config.hidden;
        let Workspace { normed, chosen, .. } = workspace;
        chosen.clear();
        for &row in rows {
            chosen.extend_from_slice(&normed[row * width..(row + 1) * width]);
        }
        to.resize(rows.len() * self.config.vocabulary, 0.0);
        self.head.as_ref().unwrap_or(&self.embedding).multiply(chosen, to);
        if let Some(cap) = self.config.logit_soft_cap {
            cap_logits(to, cap);
        }
    }
}

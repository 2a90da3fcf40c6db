//! The memory that a pass forward works in.

use etude_kernels::rotary::RotaryTable;

use super::Sequence;
use crate::config::DecoderConfig;

/// Buffers that grow to what the largest pass needs, so that later ones allocate nothing.
#[derive(Debug, Default)]
pub struct Workspace {
    /// The position of every token in its sequence.
    pub(super) positions: Vec<u32>,
    /// One for each set of frequencies of the configuration.
    pub(super) tables: Vec<RotaryTable>,
    /// Positions of `tables`.
    reach: usize,
    /// The residual stream, [tokens, hidden].
    pub(super) hidden: Vec<f32>,
    pub(super) normed: Vec<f32>,
    /// What a block adds to the residual stream, [tokens, hidden].
    pub(super) branch: Vec<f32>,
    pub(super) queries: Vec<f32>,
    pub(super) keys: Vec<f32>,
    pub(super) values: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    pub(super) gated: Vec<f32>,
    /// Rows whose logits are wanted.
    pub(super) chosen: Vec<f32>,
    /// What a norm reads while it writes where that lay.
    pub(super) copy: Vec<f32>,
}

impl Workspace {
    /// Makes room for a pass over `sequences`.
    pub(super) fn prepare(&mut self, config: &DecoderConfig, sequences: &[Sequence<'_>]) {
        self.positions.clear();
        for sequence in sequences {
            let start = sequence.cache.len() as u32;
            self.positions.extend(start..start + sequence.tokens.len() as u32);
        }
        let reach = self.positions.iter().max().map_or(0, |&last| last as usize + 1);
        if reach > self.reach || self.tables.is_empty() {
            // Doubled, so that a long answer makes few tables.
            self.reach = reach.next_power_of_two();
            let rotaries = config.rotaries.iter();
            self.tables = rotaries
                .map(|rotary| RotaryTable::new(&rotary.frequencies, rotary.attention_factor, self.reach))
                .collect();
        }
        let tokens = self.positions.len();
        let queries = tokens * config.heads * config.head_size;
        let keys = tokens * config.key_value_heads * config.head_size;
        for (buffer, length) in [
            (&mut self.hidden, tokens * config.hidden),
            (&mut self.normed, tokens * config.hidden),
            (&mut self.branch, tokens * config.hidden),
            (&mut self.queries, queries),
            (&mut self.keys, keys),
            (&mut self.values, keys),
            (&mut self.attended, queries),
            (&mut self.gate, tokens * config.intermediate),
            (&mut self.up, tokens * config.intermediate),
            (&mut self.gated, tokens * config.intermediate),
        ] {
            buffer.resize(length, 0.0);
        }
    }
}

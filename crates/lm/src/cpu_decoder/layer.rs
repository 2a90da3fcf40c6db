//! One layer: attention, then a gated feed-forward network, each behind a norm and beside the residual stream.

use etude_kernels::gated::gated;
use etude_kernels::norm::rms_norm;
use etude_kernels::rotary::rotate;

use super::cache::attention;
use super::weight::Linear;
use super::{Sequence, Workspace};
use crate::config::DecoderConfig;

/// The weights of a layer; the names of the fields are those of Hugging Face's tensors, where these say what they are.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) output: Linear,
    /// Of the queries' and the keys' heads.
    pub(super) query_key_norms: Option<[Vec<f32>; 2]>,
    pub(super) feed_forward_norm: Vec<f32>,
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) down: Linear,
    /// Of what attention and feed-forward network add to the residual stream.
    pub(super) post_norms: Option<[Vec<f32>; 2]>,
}

impl Layer {
    pub(super) fn forward(
        &self,
        config: &DecoderConfig,
        index: usize,
        sequences: &mut [Sequence<'_>],
        workspace: &mut Workspace,
    ) {
        let Workspace {
            positions,
            tables,
            hidden,
            normed,
            branch,
            queries,
            keys,
            values,
            attended,
            ..
        } = workspace;
        let norm = |x: &[f32], weight: &[f32], to: &mut [f32]| {
            rms_norm(x, weight, config.norm_epsilon, config.norm_offset, to);
        };

        norm(hidden, &self.attention_norm, normed);
        self.query.forward(normed, queries);
        self.key.forward(normed, keys);
        self.value.forward(normed, values);
        if let Some([query_norm, key_norm]) = &self.query_key_norms {
            in_place(queries, &mut workspace.copy, |x, to| norm(x, query_norm, to));
            in_place(keys, &mut workspace.copy, |x, to| norm(x, key_norm, to));
        }
        let layer = &config.layers[index];
        let table = &tables[layer.rotary];
        rotate(queries, config.heads, positions, table);
        rotate(keys, config.key_value_heads, positions, table);

        let mut first = 0;
        let width = config.key_value_heads * config.head_size;
        for sequence in &mut *sequences {
            let rows = first * width..(first + sequence.tokens.len()) * width;
            sequence.cache.layers[index].append(&keys[rows.clone()], &values[rows]);
            first += sequence.tokens.len();
        }
        let caches: Vec<_> = sequences
            .iter()
            .map(|sequence| (&sequence.cache.layers[index], sequence.tokens.len()))
            .collect();
        attention(config, layer).attend(queries, &caches, attended);
        self.output.forward(attended, branch);
        if let Some([post, _]) = &self.post_norms {
            in_place(branch, &mut workspace.copy, |x, to| norm(x, post, to));
        }
        add(hidden, branch);

        let Workspace {
            gate,
            up,
            gated: product,
            ..
        } = workspace;
        norm(hidden, &self.feed_forward_norm, normed);
        self.gate.forward(normed, gate);
        self.up.forward(normed, up);
        gated(gate, up, config.gate, product);
        self.down.forward(product, branch);
        if let Some([_, post]) = &self.post_norms {
            in_place(branch, &mut workspace.copy, |x, to| norm(x, post, to));
        }
        add(hidden, branch);
    }

    pub(super) fn bytes(&self) -> usize {
        let linears = [
            &self.query,
            &self.key,
            &self.value,
            &self.output,
            &self.gate,
            &self.up,
            &self.down,
        ];
        let norms = [&self.attention_norm, &self.feed_forward_norm].into_iter();
        let norms = norms
            .chain(self.query_key_norms.iter().flatten())
            .chain(self.post_norms.iter().flatten());
        linears.iter().map(|linear| linear.bytes()).sum::<usize>()
            + norms.map(|norm| norm.len() * size_of::<f32>()).sum::<usize>()
    }
}

/// Lets `function` write where it reads, by way of a copy.
fn in_place(rows: &mut [f32], copy: &mut Vec<f32>, function: impl Fn(&[f32], &mut [f32])) {
    copy.clear();
    copy.extend_from_slice(rows);
    function(copy, rows);
}

fn add(to: &mut [f32], branch: &[f32]) {
    to.iter_mut().zip(branch).for_each(|(entry, addend)| *entry += addend);
}

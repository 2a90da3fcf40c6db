//! From a checkpoint to packed weights.

use etude_hub::{Checkpoint, Dtype};
use etude_kernels::Precision;
use etude_kernels::matrix::PackedMatrix;
use etude_kernels::quantized::QuantizedMatrix;
use rayon::prelude::*;

use super::CpuDecoder;
use super::layer::Layer;
use super::weight::{Linear, Weight};
use crate::checkpoint::ModelCheckpoint;
use crate::config::DecoderConfig;
use crate::error::LmError;

impl CpuDecoder {
    /// Takes the weights from a checkpoint. Quantised matrices stay quantised; others are multiplied in `precision`.
    ///
    /// # Errors
    /// A tensor is missing, has another shape than the configuration asks for, or holds numbers that are not finite; or the file
    /// cannot be read.
    pub fn load(config: DecoderConfig, checkpoint: &dyn Checkpoint, precision: Precision) -> Result<Self, LmError> {
        let parameters = &ModelCheckpoint::new(&config, checkpoint)?;
        let loader = Loader { parameters, precision };
        let (hidden, vocabulary) = (config.hidden, config.vocabulary);
        // Embeddings are looked up as they are; only products take factors that are rounded.
        let exact = Loader {
            parameters,
            precision: Precision::F32,
        };
        let ends = || -> Result<_, LmError> {
            let embedding = exact.matrix("model.embed_tokens", vocabulary, hidden)?;
            let head = match (&embedding, precision) {
                _ if !config.tied_embeddings => Some(loader.matrix("lm_head", vocabulary, hidden)?),
                (Weight::Packed(_), Precision::Bf16) => {
                    Some(loader.matrix("model.embed_tokens", vocabulary, hidden)?)
                }
                _ => None,
            };
            Ok((embedding, head))
        };
        let layers = || -> Vec<Result<Layer, LmError>> {
            let indices = (0..config.layers.len()).into_par_iter();
            indices.map(|index| loader.layer(&config, index)).collect()
        };
        let (ends, layers) = rayon::join(ends, layers);
        let (embedding, head) = ends?;
        // Of several errors the first layer's.
        let layers = layers.into_iter().collect::<Result<_, _>>()?;
        let norm = loader.vector("model.norm.weight", hidden)?;
        Ok(Self {
            config,
            embedding,
            layers,
            norm,
            head,
        })
    }
}

struct Loader<'a> {
    parameters: &'a ModelCheckpoint<'a>,
    precision: Precision,
}

impl Loader<'_> {
    fn layer(&self, config: &DecoderConfig, index: usize) -> Result<Layer, LmError> {
        let prefix = format!("model.layers.{index}");
        let hidden = config.hidden;
        let queries = config.heads * config.head_size;
        let keys = config.key_value_heads * config.head_size;
        let attention = |name: &str, outputs, inputs, bias| {
            self.linear(&format!("{prefix}.self_attn.{name}"), outputs, inputs, bias)
        };
        let feed_forward = |name: &str, outputs, inputs| {
            self.linear(
                &format!("{prefix}.mlp.{name}"),
                outputs,
                inputs,
                config.feed_forward_bias,
            )
        };
        let norm = |name: &str, size| self.vector(&format!("{prefix}.{name}.weight"), size);

        let query_key_norms = if config.query_key_norm {
            Some([
                norm("self_attn.q_norm", config.head_size)?,
                norm("self_attn.k_norm", config.head_size)?,
            ])
        } else {
            None
        };
        // With four norms, the one that is called the attention's last is that; with two, it is the feed-forward network's first.
        let (feed_forward_norm, post_norms) = if config.post_norms {
            let post = [
                norm("post_attention_layernorm", hidden)?,
                norm("post_feedforward_layernorm", hidden)?,
            ];
            (norm("pre_feedforward_layernorm", hidden)?, Some(post))
        } else {
            (norm("post_attention_layernorm", hidden)?, None)
        };
        Ok(Layer {
            attention_norm: norm("input_layernorm", hidden)?,
            query: attention("q_proj", queries, hidden, config.attention_bias)?,
            key: attention("k_proj", keys, hidden, config.attention_bias)?,
            value: attention("v_proj", keys, hidden, config.attention_bias)?,
            output: attention("o_proj", hidden, queries, config.output_bias)?,
            query_key_norms,
            feed_forward_norm,
            gate: feed_forward("gate_proj", config.intermediate, hidden)?,
            up: feed_forward("up_proj", config.intermediate, hidden)?,
            down: feed_forward("down_proj", hidden, config.intermediate)?,
            post_norms,
        })
    }

    fn linear(&self, name: &str, outputs: usize, inputs: usize, bias: bool) -> Result<Linear, LmError> {
        let bias = if bias {
            Some(self.vector(&format!("{name}.bias"), outputs)?)
        } else {
            None
        };
        Ok(Linear {
            weight: self.matrix(name, outputs, inputs)?,
            bias,
        })
    }

    fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Result<Weight, LmError> {
        let name = format!("{name}.weight");
        if let Some(Dtype::Block(block_type)) = self.parameters.dtype(&name) {
            let raw = self.parameters.raw(&name, &[outputs, inputs])?;
            let matrix = QuantizedMatrix::new(block_type, &raw.bytes, outputs, inputs)
                .map_err(|source| LmError::Blocks { tensor: name, source })?;
            return Ok(Weight::Quantized(matrix));
        }
        let entries = self.parameters.read(&name, &[outputs, inputs])?;
        Ok(Weight::Packed(PackedMatrix::new(
            &entries,
            outputs,
            inputs,
            self.precision,
        )))
    }

    fn vector(&self, name: &str, size: usize) -> Result<Vec<f32>, LmError> {
        self.parameters.read(name, &[size])
    }
}

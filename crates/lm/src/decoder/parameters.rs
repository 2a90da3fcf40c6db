//! The parameters of a decoder: their names and shapes, and where their numbers come from.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

use crate::LmError;
use crate::config::DecoderConfig;

/// Name and shape of every parameter, as Hugging Face names them, in the order of the forward pass. Tied weights come once.
pub fn parameters(config: &DecoderConfig) -> Vec<(String, Vec<usize>)> {
    let DecoderConfig {
        hidden, intermediate, ..
    } = *config;
    let queries = config.heads * config.head_size;
    let keys = config.key_value_heads * config.head_size;
    let mut all = vec![("model.embed_tokens.weight".to_owned(), vec![config.vocabulary, hidden])];
    for layer in 0..config.layers.len() {
        let mut add = |name: &str, shape: &[usize]| all.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
        let linears = [
            ("self_attn.q_proj", [queries, hidden], config.attention_bias),
            ("self_attn.k_proj", [keys, hidden], config.attention_bias),
            ("self_attn.v_proj", [keys, hidden], config.attention_bias),
            ("self_attn.o_proj", [hidden, queries], config.output_bias),
            ("mlp.gate_proj", [intermediate, hidden], config.feed_forward_bias),
            ("mlp.up_proj", [intermediate, hidden], config.feed_forward_bias),
            ("mlp.down_proj", [hidden, intermediate], config.feed_forward_bias),
        ];
        let norms = [
            ("input_layernorm", hidden, true),
            ("self_attn.q_norm", config.head_size, config.query_key_norm),
            ("self_attn.k_norm", config.head_size, config.query_key_norm),
            ("post_attention_layernorm", hidden, true),
            ("pre_feedforward_layernorm", hidden, config.post_norms),
            ("post_feedforward_layernorm", hidden, config.post_norms),
        ];
        for (name, width, _) in norms.into_iter().filter(|(.., there)| *there) {
            add(&format!("{name}.weight"), &[width]);
        }
        for (name, shape, biased) in linears {
            add(&format!("{name}.weight"), &shape);
            if biased {
                add(&format!("{name}.bias"), &shape[..1]);
            }
        }
    }
    all.push(("model.norm.weight".to_owned(), vec![hidden]));
    if !config.tied_embeddings {
        all.push(("lm_head.weight".to_owned(), vec![config.vocabulary, hidden]));
    }
    all
}

/// The numbers of the parameter of a name and a shape.
type Numbers<'a> = &'a mut dyn FnMut(&str, &[usize]) -> Result<Vec<f32>, LmError>;

/// Where parameters come from, and the device that they go to.
pub(super) struct Source<'a> {
    pub(super) numbers: Numbers<'a>,
    pub(super) device: &'a Device,
}

impl Source<'_> {
    /// The parameter of this path and this last name, "weight" or "bias".
    pub(super) fn parameter<const D: usize>(
        &mut self,
        path: &str,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, LmError> {
        let numbers = (self.numbers)(&format!("{path}.{name}"), &shape)?;
        let tensor = Tensor::from_data(TensorData::new(numbers, shape), self.device);
        Ok(Param::from_tensor(tensor))
    }
}

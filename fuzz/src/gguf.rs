//! GGUF files of the size of a configuration.

use crate::input::Input;

/// The values of a file, to which the fuzzer sets keys.
#[derive(Debug)]
pub struct Gguf {
    values: Vec<u8>,
    count: u64,
}

const ARCHITECTURES: [&str; 5] = ["llama", "qwen2", "qwen3", "gemma3", "mamba"];

/// Keys below the architecture's name, and what they usually are; none where they are mostly absent.
const KEYS: [(&str, Option<f64>); 20] = [
    ("block_count", Some(2.0)),
    ("context_length", Some(64.0)),
    ("embedding_length", Some(8.0)),
    ("feed_forward_length", Some(16.0)),
    ("attention.head_count", Some(2.0)),
    ("attention.layer_norm_rms_epsilon", Some(1e-5)),
    ("attention.sliding_window", None),
    ("attention.head_count_kv", None),
    ("attention.key_length", None),
    ("attention.value_length", None),
    ("final_logit_softcapping", None),
    ("rope.dimension_count", None),
    ("rope.freq_base", None),
    ("rope.scaling.factor", None),
    ("rope.scaling.finetuned", None),
    ("rope.scaling.original_context_length", None),
    ("rope.scaling.type", None),
    ("vocab_size", None),
    ("tensor_data_layout", None),
    ("expert_count", None),
];

const IDS: [&str; 3] = ["bos", "eos", "padding"];

const SCALINGS: [&str; 4] = ["none", "linear", "yarn", "longrope"];

/// Tensors whose presence says something of the model.
const TENSORS: [&str; 6] = [
    "rope_freqs.weight",
    "output.weight",
    "blk.0.attn_q.bias",
    "blk.0.attn_output.bias",
    "blk.0.ffn_gate.bias",
    "blk.1.attn_q.bias",
];

impl Gguf {
    /// A file with keys and tensors of the fuzzer's choice. The bytes after its last are zeros, and zeros choose what is usual.
    pub fn file(input: &mut Input<'_>) -> Vec<u8> {
        let mut gguf = Self {
            values: Vec::new(),
            count: 0,
        };
        let architecture = ARCHITECTURES[input.below(5)];
        gguf.text("general.architecture", architecture);
        for (key, usual) in KEYS {
            gguf.value(&format!("{architecture}.{key}"), usual, input);
        }
        for id in IDS {
            gguf.value(&format!("tokenizer.ggml.{id}_token_id"), None, input);
        }
        if !input.flag() {
            let tokens = input.below(40) + 1;
            gguf.text("tokenizer.ggml.model", "llama");
            gguf.key("tokenizer.ggml.tokens", 9);
            gguf.values.extend(8_u32.to_le_bytes());
            gguf.values.extend((tokens as u64).to_le_bytes());
            (0..tokens).for_each(|token| put(&mut gguf.values, &token.to_string()));
        }
        let tensors: Vec<_> = TENSORS.into_iter().filter(|_| input.flag()).collect();
        gguf.with_tensors(&tensors, input)
    }

    fn key(&mut self, key: &str, kind: u32) {
        put(&mut self.values, key);
        self.values.extend(kind.to_le_bytes());
        self.count += 1;
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key, 8);
        put(&mut self.values, text);
    }

    fn number(&mut self, key: &str, number: f64) {
        if number.fract() == 0.0 {
            self.key(key, 4);
            self.values.extend((number as u32).to_le_bytes());
        } else {
            self.key(key, 6);
            self.values.extend((number as f32).to_le_bytes());
        }
    }

    /// What is usual, nothing, or a value of any type.
    fn value(&mut self, key: &str, usual: Option<f64>, input: &mut Input<'_>) {
        match (input.below(24), usual) {
            (0..=11, Some(usual)) => self.number(key, usual),
            (0..=11, None) | (12, _) => {}
            (13 | 14, _) => self.number(key, input.below(64) as f64),
            (15..=17, _) => self.number(key, f64::exp2(input.below(32) as f64)),
            (18, _) => self.text(key, SCALINGS[input.below(4)]),
            (19, _) => {
                self.key(key, 10);
                self.values.extend((input.number() as u64).to_le_bytes());
            }
            (20, _) => {
                self.key(key, 6);
                self.values.extend((input.number() as f32).to_le_bytes());
            }
            (21 | 22, _) => {
                self.key(key, 12);
                self.values.extend(input.positive().to_le_bytes());
            }
            _ => {
                self.key(key, 7);
                self.values.push(u8::from(input.flag()));
            }
        }
    }

    /// The whole file: tensors of one dimension, in f32, each with its length from the input.
    fn with_tensors(self, names: &[&str], input: &mut Input<'_>) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend((names.len() as u64).to_le_bytes());
        file.extend(self.count.to_le_bytes());
        file.extend(self.values);
        let mut data: Vec<u8> = Vec::new();
        for name in names {
            let length = input.below(33) + 1;
            put(&mut file, name);
            file.extend(1_u32.to_le_bytes());
            file.extend((length as u64).to_le_bytes());
            file.extend(0_u32.to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            data.extend((0..length).flat_map(|_| (input.number() as f32).to_le_bytes()));
            data.resize(data.len().next_multiple_of(32), 0);
        }
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(data);
        file
    }
}

/// A text after its length.
fn put(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.bytes());
}

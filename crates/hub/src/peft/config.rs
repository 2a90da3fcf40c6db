//! `adapter_config.json`.

use std::path::Path;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::{HubError, fault};
use crate::json::{self, Members};

/// Fields that change what an adapter computes in ways that are not known here, unless they are as given.
const PLAIN: [(&str, &[&str]); 9] = [
    ("lora_bias", &["null", "false"]),
    ("use_qalora", &["null", "false"]),
    ("use_bdlora", &["null", "false"]),
    ("layer_replication", &["null"]),
    ("alora_invocation_tokens", &["null"]),
    ("target_parameters", &["null", "[]"]),
    ("trainable_token_indices", &["null"]),
    ("kasa_config", &["null"]),
    ("arrow_config", &["null"]),
];

/// What PEFT is told about an adapter.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the file")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// The kind of adapter, `LORA`.
    pub peft_type: String,
    /// The rank.
    #[serde(default = "eight")]
    pub r: usize,
    /// alpha, which with the rank gives the scale.
    #[serde(default = "eight_and_nothing")]
    pub lora_alpha: f64,
    /// The part of the inputs that is dropped in training.
    #[serde(default)]
    pub lora_dropout: f64,
    /// The modules that are adapted.
    #[serde(default)]
    pub target_modules: Modules,
    /// Modules that are trained and saved whole.
    #[serde(default)]
    pub modules_to_save: Option<Vec<String>>,
    /// Which biases are trained: `none`, `all` or `lora_only`.
    #[serde(default = "none")]
    pub bias: String,
    /// Whether weights are [inputs, outputs].
    #[serde(default)]
    pub fan_in_fan_out: bool,
    /// Whether the scale is alpha / sqrt(r).
    #[serde(default)]
    pub use_rslora: bool,
    /// Whether there are magnitudes: DoRA.
    #[serde(default)]
    pub use_dora: bool,
    /// Ranks of modules that have one of their own.
    #[serde(default)]
    pub rank_pattern: Patterns<usize>,
    /// Alphas of modules that have one of their own.
    #[serde(default)]
    pub alpha_pattern: Patterns<f64>,
    /// The model that is adapted.
    #[serde(default)]
    pub base_model_name_or_path: Option<String>,
    /// What the model is for, such as `CAUSAL_LM`.
    #[serde(default)]
    pub task_type: Option<String>,
    /// Whether the adapter is to be used as it is, and not trained on.
    #[serde(default)]
    pub inference_mode: bool,
    /// Everything else that a file says, kept for saving it again.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The modules that are adapted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Modules {
    /// Those that PEFT knows for the model.
    #[default]
    Usual,
    /// Those whose name a regular expression matches, or, as `all-linear`, all products.
    Expression(String),
    /// Those whose name ends with one of these.
    Names(Vec<String>),
}

/// Values for modules whose name is a pattern or ends with a dot and it; the first that matches counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Patterns<T>(pub Vec<(String, T)>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Patterns<T> {
    /// The value for a module, if it has one of its own.
    pub fn get(&self, module: &str) -> Option<T> {
        let matches = |pattern: &str| {
            let before = module.strip_suffix(pattern)?;
            (before.is_empty() || before.ends_with('.')).then_some(())
        };
        let found = self.0.iter().find(|(pattern, _)| matches(pattern).is_some());
        found.map(|&(_, value)| value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patterns<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let members: Option<Members<T>> = Option::deserialize(from)?;
        Ok(Self(members.map(|members| members.0).unwrap_or_default()))
    }
}

impl<T: Serialize> Serialize for Patterns<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (pattern, value) in &self.0 {
            map.serialize_entry(pattern, value)?;
        }
        map.end()
    }
}

fn eight() -> usize {
    8
}

fn eight_and_nothing() -> f64 {
    8.0
}

fn none() -> String {
    "none".into()
}

impl LoraConfig {
    /// A new adapter of products: rank, alpha, and the last parts of the names of the modules.
    pub fn new(r: usize, lora_alpha: f64, target_modules: &[&str]) -> Self {
        Self {
            peft_type: "LORA".into(),
            r,
            lora_alpha,
            lora_dropout: 0.0,
            target_modules: Modules::Names(target_modules.iter().map(|&name| name.into()).collect()),
            modules_to_save: None,
            bias: none(),
            fan_in_fan_out: false,
            use_rslora: false,
            use_dora: false,
            rank_pattern: Patterns::default(),
            alpha_pattern: Patterns::default(),
            base_model_name_or_path: None,
            task_type: Some("CAUSAL_LM".into()),
            inference_mode: true,
            rest: Map::new(),
        }
    }

    /// Reads the content of a file. Errors call it by `path`.
    ///
    /// # Errors
    /// Names the field, what was found and what was expected. A field that changes what an adapter computes in a way that is not
    /// known here is an error too.
    pub fn from_json(path: &Path, bytes: &[u8]) -> Result<Self, HubError> {
        let config: Self = json::parse(path, bytes)?;
        let wrong = |name: &str, found: &dyn std::fmt::Display, expected: &str| {
            Err(fault(path, format!("`{name}`: found {found}; expected {expected}")))
        };
        if config.peft_type != "LORA" {
            return wrong("peft_type", &config.peft_type, "LORA");
        }
        if config.r == 0 {
            return wrong("r", &0, "a rank, at least 1");
        }
        if !(0.0..1.0).contains(&config.lora_dropout) {
            return wrong("lora_dropout", &config.lora_dropout, "a number in [0, 1)");
        }
        if !["none", "all", "lora_only"].contains(&config.bias.as_str()) {
            return wrong("bias", &config.bias, "none, all or lora_only");
        }
        if let Some((pattern, _)) = config.rank_pattern.0.iter().find(|&&(_, rank)| rank == 0) {
            return wrong(&format!("rank_pattern`, `{pattern}"), &0, "a rank, at least 1");
        }
        let patterns = config.rank_pattern.0.iter().map(|(pattern, _)| pattern);
        for pattern in patterns.chain(config.alpha_pattern.0.iter().map(|(pattern, _)| pattern)) {
            if pattern.is_empty() || pattern.contains(|c: char| r"\^$*+?()[]{}|".contains(c)) {
                return wrong(
                    "rank_pattern` or `alpha_pattern",
                    pattern,
                    "the last parts of names, no regular expression",
                );
            }
        }
        for (name, plain) in PLAIN {
            if let Some(value) = config.rest.get(name)
                && !plain.contains(&value.to_string().as_str())
            {
                return wrong(
                    name,
                    value,
                    &format!("{} (nothing else is known here)", plain.join(" or ")),
                );
            }
        }
        Ok(config)
    }

    /// The rank of a module.
    pub fn rank(&self, module: &str) -> usize {
        self.rank_pattern.get(module).unwrap_or(self.r)
    }

    /// What B A of a module is multiplied with.
    pub fn scale(&self, module: &str) -> f64 {
        let alpha = self.alpha_pattern.get(module).unwrap_or(self.lora_alpha);
        let rank = self.rank(module) as f64;
        alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

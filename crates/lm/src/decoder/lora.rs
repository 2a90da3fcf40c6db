//! Decoders with adapters: LoRA, rank-stabilised LoRA and DoRA, in PEFT's names and meaning.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::Module;
use etude_hub::peft::{LoraAdapter, LoraConfig, LoraModule};
use etude_hub::{Checkpoint, MemoryCheckpoint};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Deserializer, Serialize};

use super::Decoder;
use super::adapter::Adapter;
use super::linear::Linear;
use crate::LmError;

/// The linear layers of a layer, by their last names.
const PROJECTIONS: [&str; 7] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
];

/// All of [`PROJECTIONS`].
const ALL: &str = "all-linear";

/// How a decoder is adapted, in the names of PEFT's `LoraConfig` and with its defaults. (TRL's scripts begin with r = 16 and
/// `lora_alpha` = 32.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraOptions {
    /// The rank of what is added to a weight; at least 1, and at most the model's hidden size.
    pub r: usize,
    /// alpha: what is added is multiplied by alpha / r; above 0.
    pub lora_alpha: f64,
    /// It is multiplied by alpha / sqrt(r) instead (Kalajdzievski 2023, arXiv:2312.03732).
    pub use_rslora: bool,
    /// Weights have magnitudes that are trained apart from their directions (Liu et al. 2024, arXiv:2402.09353).
    pub use_dora: bool,
    /// What is adapted: `all-linear`, or some of `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj` and `down_proj`.
    #[serde(deserialize_with = "one_or_several")]
    pub target_modules: Vec<String>,
}

impl Default for LoraOptions {
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 8.0,
            use_rslora: false,
            use_dora: false,
            target_modules: vec![ALL.to_owned()],
        }
    }
}

/// PEFT takes one name as well as a list of them.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Several(names) => names,
    })
}

impl LoraOptions {
    /// Checks every value against its range, for a model with this hidden size.
    ///
    /// # Errors
    /// Names the first value that is out of its range.
    pub fn check(&self, hidden: usize) -> Result<(), LmError> {
        let check = |name, found: &dyn std::fmt::Debug, holds: bool, expected| {
            holds.then_some(()).ok_or_else(|| LmError::Setting {
                name,
                found: format!("{found:?}"),
                expected,
            })
        };
        let known = |name: &String| name == ALL || PROJECTIONS.contains(&name.as_str());
        check(
            "r",
            &self.r,
            (1..=hidden).contains(&self.r),
            "at least 1, and at most the model's hidden size",
        )?;
        check(
            "lora_alpha",
            &self.lora_alpha,
            self.lora_alpha > 0.0 && (self.lora_alpha as f32).is_finite(),
            "a number above 0",
        )?;
        check(
            "target_modules",
            &self.target_modules,
            !self.target_modules.is_empty() && self.target_modules.iter().all(known),
            "all-linear, or some of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj",
        )
    }

    /// Whether linear layers of this last name are adapted.
    fn adapt(&self, name: &str) -> bool {
        self.target_modules.iter().any(|target| target == ALL || target == name)
    }

    /// What PEFT is told.
    fn config(&self) -> LoraConfig {
        let targets: Vec<&str> = PROJECTIONS.into_iter().filter(|name| self.adapt(name)).collect();
        LoraConfig {
            use_rslora: self.use_rslora,
            use_dora: self.use_dora,
            ..LoraConfig::new(self.r, self.lora_alpha, &targets)
        }
    }
}

impl Decoder {
    /// The decoder with new adapters, in place of any that it has: it computes what its base does until it is trained. No gradient
    /// is computed of the base's parameters. The same seed gives the same adapters.
    ///
    /// # Errors
    /// An option is out of its range; the error names it.
    pub fn with_lora(self, options: &LoraOptions, seed: u64) -> Result<Self, LmError> {
        options.check(self.config.hidden)?;
        let config = options.config();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut decoder = self.base().no_grad();
        for (name, linear) in decoder.linears_mut() {
            if name.rsplit('.').next().is_some_and(|last| options.adapt(last)) {
                let (scale, weight) = (config.scale(&name) as f32, linear.weight.val());
                linear.adapter = Some(Adapter::random(config.r, scale, config.use_dora, &weight, &mut random));
            }
        }
        decoder.lora = Some(Arc::new(config));
        Ok(decoder)
    }

    /// The decoder with the adapters that `adapter` holds, in place of any that it has, to be used or trained on. No gradient is
    /// computed of the base's parameters. Dropout that PEFT was told of is not applied.
    ///
    /// # Errors
    /// The adapter has a module that this model does not adapt, tensors that were trained whole, or numbers that do not fit the
    /// model or are not finite. The error names the module.
    ///
    /// # Panics
    /// A module has not as many numbers as its sizes say; one that was read from a folder has.
    pub fn with_adapter(self, adapter: &LoraAdapter) -> Result<Self, LmError> {
        let mut decoder = self.base().no_grad();
        let mut left: BTreeMap<&str, &LoraModule> = adapter
            .modules
            .iter()
            .map(|(name, module)| (name.as_str(), module))
            .collect();
        for (name, linear) in decoder.linears_mut() {
            if let Some(module) = left.remove(name.as_str()) {
                let weight = linear.weight.val();
                check(&name, module, adapter, weight.dims())?;
                let scale = adapter.config.scale(&name) as f32;
                linear.adapter = Some(Adapter::new(module, scale, &weight));
            }
        }
        let whole = adapter.whole.tensors().iter().map(|tensor| tensor.name.as_str());
        if let Some(name) = left.into_keys().chain(whole).next() {
            return Err(unfit(name, "an adapter or a trained tensor", PROJECTIONS.join(", ")));
        }
        decoder.lora = Some(Arc::new(adapter.config.clone()));
        Ok(decoder)
    }

    /// The adapters as PEFT keeps them, if there are any: [`LoraAdapter::save`] writes the folder that `peft` loads.
    pub fn lora(&self) -> Option<LoraAdapter> {
        let config = self.lora.as_deref()?.clone();
        let mut decoder = self.clone();
        let modules = decoder
            .linears_mut()
            .filter_map(|(name, linear)| Some((name, linear.adapter.as_ref()?.module())))
            .collect();
        Some(LoraAdapter {
            config,
            modules,
            whole: MemoryCheckpoint::default(),
        })
    }

    /// The decoder without adapters, which shares its parameters: of a policy that is trained with adapters it is the reference,
    /// and no gradient is computed of it.
    #[must_use]
    pub fn base(&self) -> Self {
        let mut base = self.clone();
        for (_, linear) in base.linears_mut() {
            linear.adapter = None;
        }
        base.lora = None;
        base
    }

    /// The decoder with its adapters in its weights. Only adapted weights are new; the others are shared.
    #[must_use]
    pub fn merged(&self) -> Self {
        let mut merged = self.clone();
        for (_, linear) in merged.linears_mut() {
            if let Some(adapter) = linear.adapter.take() {
                linear.weight = linear.weight.clone().map(|weight| adapter.merged(&weight));
            }
        }
        merged.lora = None;
        merged
    }

    /// What can be adapted, by names as in a checkpoint: "model.layers.0.self_attn.q_proj".
    fn linears_mut(&mut self) -> impl Iterator<Item = (String, &mut Linear)> {
        self.model.layers.iter_mut().enumerate().flat_map(|(index, layer)| {
            let (attention, feed_forward) = (&mut layer.self_attn, &mut layer.mlp);
            [
                ("self_attn.q_proj", &mut attention.q_proj),
                ("self_attn.k_proj", &mut attention.k_proj),
                ("self_attn.v_proj", &mut attention.v_proj),
                ("self_attn.o_proj", &mut attention.o_proj),
                ("mlp.gate_proj", &mut feed_forward.gate_proj),
                ("mlp.up_proj", &mut feed_forward.up_proj),
                ("mlp.down_proj", &mut feed_forward.down_proj),
            ]
            .map(move |(name, linear)| (format!("model.layers.{index}.{name}"), linear))
        })
    }
}

fn unfit(module: &str, found: impl Into<String>, expected: String) -> LmError {
    LmError::Adapter {
        module: module.to_owned(),
        found: found.into(),
        expected,
    }
}

/// Checks an adapter of a weight of [outputs, inputs].
fn check(name: &str, module: &LoraModule, adapter: &LoraAdapter, [outputs, inputs]: [usize; 2]) -> Result<(), LmError> {
    let shapes = |rank, inputs, outputs, magnitudes| {
        let with = if magnitudes { "with" } else { "without" };
        format!("A of [{rank}, {inputs}] and B of [{outputs}, {rank}], {with} magnitudes")
    };
    let found = shapes(module.rank, module.inputs, module.outputs, module.magnitude.is_some());
    let expected = shapes(adapter.config.rank(name), inputs, outputs, adapter.config.use_dora);
    if module.embedding || found != expected {
        return Err(unfit(name, found, expected));
    }
    let scale = adapter.config.scale(name);
    if !(scale as f32).is_finite() {
        return Err(unfit(name, format!("a scale of {scale}"), "a finite one".to_owned()));
    }
    let parts = [
        ("lora_A", Some(&module.down)),
        ("lora_B", Some(&module.up)),
        ("lora_magnitude_vector", module.magnitude.as_ref()),
    ];
    for (part, numbers) in parts.into_iter().filter_map(|(part, numbers)| Some((part, numbers?))) {
        if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(LmError::NotFinite {
                path: adapter.whole.path().into(),
                name: format!("{name}.{part}"),
                index,
                value: numbers[index],
            });
        }
    }
    Ok(())
}

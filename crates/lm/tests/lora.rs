//! Decoders with adapters: against PEFT, merged, saved, trained, and refused where something is wrong.
//!
//! The fixtures are made by scripts/lm_lora_fixtures.py.
#![expect(
    clippy::print_stdout,
    reason = "figures, and that a test is skipped, are for whoever looks"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use etude_hub::peft::LoraAdapter;
use etude_hub::{Checkpoint, Dtype, SafetensorsCheckpoint};
use etude_kernels::Precision;
use etude_kernels::adam_w::AdamW;
use etude_kernels::burn::ModuleAdamW;
use etude_lm::LmError;
use etude_lm::config::DecoderConfig;
use etude_lm::decoder::{Decoder, LoraOptions, parameters};
use serde_json::json;

/// Adapters of the fixtures, and their bases.
const ADAPTERS: [(&str, &str); 3] = [("lora", "llama3"), ("rslora", "llama3"), ("dora", "llama_biases")];

/// Bases with and without biases, norms of queries and gates of both kinds.
const BASES: [&str; 4] = ["llama3", "llama_biases", "qwen3", "gemma3"];

const TOKENS: [u32; 7] = [5, 9, 3, 40, 11, 7, 20];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn base(name: &str, device: &Device) -> Decoder {
    let folder = fixtures().join("decoder").join(name);
    let json = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let config = DecoderConfig::from_json(&serde_json::from_str(&json).unwrap()).unwrap();
    Decoder::load(config, &SafetensorsCheckpoint::open(&folder).unwrap(), device).unwrap()
}

fn adapter(name: &str) -> LoraAdapter {
    LoraAdapter::open(&fixtures().join("lora").join(name)).unwrap()
}

/// The base's two sequences.
fn sequences(base: &str) -> (Vec<u32>, Vec<usize>) {
    let recorded = fixtures().join("decoder").join(base).join("expected.safetensors");
    let recorded = SafetensorsCheckpoint::open(&recorded).unwrap();
    let integers = |name: &str| -> Vec<u32> {
        let bytes = recorded.raw(name).unwrap().bytes;
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect()
    };
    let (tokens, first) = (integers("tokens"), integers("lengths")[0] as usize);
    let offsets = vec![0, first, tokens.len()];
    (tokens, offsets)
}

/// The mean cross-entropy of the next tokens.
fn loss(decoder: &Decoder, tokens: &[u32], offsets: &[usize]) -> Tensor<1> {
    let count = tokens.len() + 1 - offsets.len();
    let target = |token: usize| tokens.get(token).filter(|_| !offsets.contains(&token));
    let (targets, weights): (Vec<u32>, Vec<f32>) = (1..=tokens.len())
        .map(|next| target(next).map_or((u32::MAX, 0.0), |target| (*target, 1.0 / count as f32)))
        .unzip();
    decoder.loss(decoder.hidden(tokens, offsets), &targets, &weights)
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}

fn logits(decoder: &Decoder, tokens: &[u32], offsets: &[usize]) -> Vec<f32> {
    numbers(&decoder.logits(decoder.hidden(tokens, offsets)))
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).fold(0.0, |most, (a, b)| {
        let difference = (a - b).abs();
        // A NaN is the largest of all.
        if difference <= most { most } else { difference }
    })
}

/// All tensors of a checkpoint, bit by bit.
fn bits(checkpoint: &dyn Checkpoint) -> BTreeMap<String, Vec<u32>> {
    let bits = |name: &str| {
        checkpoint
            .read_f32(name)
            .unwrap()
            .into_iter()
            .map(f32::to_bits)
            .collect()
    };
    let names = checkpoint.tensors().iter().map(|tensor| tensor.name.clone());
    names.map(|name| (name.clone(), bits(&name))).collect()
}

/// Gradients by the paths of their parameters.
struct ByPath<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for ByPath<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            self.found.insert(self.path.join("."), numbers(&gradient));
        }
    }
}

fn gradients(decoder: &Decoder, loss: &Tensor<1>) -> BTreeMap<String, Vec<f32>> {
    let gradients = GradientsParams::from_grads(loss.clone().backward(), decoder);
    let mut visitor = ByPath {
        gradients: &gradients,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    decoder.visit(&mut visitor);
    visitor.found
}

/// As PEFT names the parameter of this path.
fn name_in_peft(path: &str) -> String {
    let (module, part) = path.split_once(".adapter.").unwrap();
    let part = match part {
        "down" => "lora_A.weight",
        "up" => "lora_B.weight",
        _ => "lora_magnitude_vector",
    };
    format!("base_model.model.{module}.{part}")
}

#[test]
fn logits_losses_and_gradients_are_those_of_peft_and_the_base_has_none() {
    let (mut most, mut most_of_gradients) = (0.0_f32, 0.0_f32);
    for (name, base_name) in ADAPTERS {
        let folder = fixtures().join("lora").join(name);
        let expected = SafetensorsCheckpoint::open(&folder.join("expected.safetensors")).unwrap();
        let expected = |name: &str| expected.read_f32(name).unwrap();
        let (tokens, offsets) = sequences(base_name);
        for device in [Device::flex(), Device::flex().autodiff()] {
            let decoder = base(base_name, &device).with_adapter(&adapter(name)).unwrap();
            for (decoder, of) in [(&decoder, "logits"), (&decoder.merged(), "merged")] {
                let difference = largest_difference(&logits(decoder, &tokens, &offsets), &expected(of));
                assert!(difference < 1e-5, "{name}: {of} differ by {difference}");
                most = most.max(difference);
            }
        }
        let decoder = base(base_name, &Device::flex().autodiff())
            .with_adapter(&adapter(name))
            .unwrap();
        let loss = loss(&decoder, &tokens, &offsets);
        assert!(largest_difference(&numbers(&loss), &expected("loss")) < 1e-5);
        let found = gradients(&decoder, &loss);
        let trained = SafetensorsCheckpoint::open(&folder.join("adapter_model.safetensors")).unwrap();
        assert_eq!(found.len(), trained.tensors().len(), "{:?}", found.keys());
        for (path, gradient) in &found {
            let expected = expected(&format!("gradient.{}", name_in_peft(path)));
            let scale = expected.iter().fold(1e-3_f32, |most, x| most.max(x.abs()));
            let difference = largest_difference(gradient, &expected) / scale;
            assert!(
                difference < 1e-4,
                "{name}: the gradient of {path} differs by {difference}"
            );
            most_of_gradients = most_of_gradients.max(difference);
        }
    }
    println!("logits: largest difference {most:e}; gradients: largest relative difference {most_of_gradients:e}");
}

#[test]
fn new_adapters_change_no_bit() {
    let bits = |decoder: &Decoder| -> Vec<u32> {
        let logits = logits(decoder, &TOKENS, &[0, 4, 7]);
        logits.into_iter().map(f32::to_bits).collect()
    };
    for name in BASES {
        for precision in [Precision::F32, Precision::Bf16] {
            let base = base(name, &Device::flex().autodiff()).with_precision(precision);
            for use_dora in [false, true] {
                let options = LoraOptions {
                    use_dora,
                    ..LoraOptions::default()
                };
                let decoder = base.clone().with_lora(&options, 3).unwrap();
                assert_eq!(bits(&decoder), bits(&base), "{name}, DoRA: {use_dora}");
                assert_eq!(bits(&decoder.merged()), bits(&base), "{name}, DoRA: {use_dora}");
            }
        }
    }
}

/// A decoder with adapters after some steps, and the losses on the way.
fn trained(name: &str, use_dora: bool) -> (Decoder, ModuleAdamW, Vec<f32>) {
    let options = LoraOptions {
        r: 4,
        use_dora,
        ..LoraOptions::default()
    };
    let mut decoder = base(name, &Device::flex().autodiff()).with_lora(&options, 3).unwrap();
    let (mut adam, mut losses) = (ModuleAdamW::new(AdamW::default()), Vec::new());
    for _ in 0..10 {
        let loss = loss(&decoder, &TOKENS, &[0, TOKENS.len()]);
        losses.extend(numbers(&loss));
        let gradients = GradientsParams::from_grads(loss.backward(), &decoder);
        (decoder, _) = adam.step(decoder, gradients, 1e-2, None);
    }
    (decoder, adam, losses)
}

#[test]
fn adapters_alone_are_trained() {
    for name in BASES {
        for use_dora in [false, true] {
            let (decoder, adam, losses) = trained(name, use_dora);
            assert!(losses[9] < 0.8 * losses[0], "{name}: {losses:?}");
            assert!(adam.moments().all(|(name, _)| name.contains(".adapter.")));
            let parts = if use_dora { 3 } else { 2 };
            assert_eq!(adam.moments().count(), 7 * parts * decoder.config().layers.len());
            let base = base(name, &Device::flex());
            assert_eq!(bits(&decoder.base().checkpoint()), bits(&base.checkpoint()), "{name}");
            let difference = largest_difference(
                &logits(&decoder, &TOKENS, &[0, 7]),
                &logits(&decoder.merged(), &TOKENS, &[0, 7]),
            );
            assert!(difference < 1e-5, "{name}: merged differs by {difference}");
        }
    }
}

#[test]
fn adapters_come_back_from_a_folder() {
    for use_dora in [false, true] {
        let (decoder, ..) = trained("llama3", use_dora);
        let folder = tempfile::tempdir().unwrap();
        decoder.lora().unwrap().save(folder.path()).unwrap();
        let read = LoraAdapter::open(folder.path()).unwrap();
        assert_eq!(read.modules, decoder.lora().unwrap().modules);
        let again = base("llama3", &Device::flex()).with_adapter(&read).unwrap();
        assert_eq!(logits(&again, &TOKENS, &[0, 7]), logits(&decoder, &TOKENS, &[0, 7]));
    }
}

#[test]
fn a_saved_model_has_the_adapters_in_its_weights() {
    let (decoder, ..) = trained("qwen3", true);
    let folder = tempfile::tempdir().unwrap();
    decoder.save(folder.path()).unwrap();
    let saved = SafetensorsCheckpoint::open(folder.path()).unwrap();
    let mut names: Vec<String> = parameters(decoder.config()).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert!(saved.tensors().iter().map(|tensor| &tensor.name).eq(&names));
    let loaded = Decoder::load(decoder.config().clone(), &saved, &Device::flex()).unwrap();
    assert_eq!(
        logits(&loaded, &TOKENS, &[0, 7]),
        logits(&decoder.merged(), &TOKENS, &[0, 7])
    );
    assert!(loaded.lora().is_none() && decoder.merged().lora().is_none() && decoder.base().lora().is_none());
}

#[test]
fn new_adapters_depend_on_the_seed_alone_and_are_within_their_bound() {
    let base = base("llama3", &Device::flex());
    let modules = |seed| {
        base.clone()
            .with_lora(&LoraOptions::default(), seed)
            .unwrap()
            .lora()
            .unwrap()
            .modules
    };
    assert_eq!(modules(1), modules(1));
    assert_ne!(modules(1), modules(2));
    for (name, module) in modules(1) {
        let bound = (module.inputs as f32).sqrt().recip();
        let largest = module.down.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(
            (0.9 * bound..=bound).contains(&largest),
            "{name}: {largest}, bound {bound}"
        );
    }
}

#[test]
fn options_have_pefts_names_and_are_checked() {
    let read = |json| serde_json::from_value::<LoraOptions>(json);
    assert_eq!(read(json!({})).unwrap(), LoraOptions::default());
    assert_eq!(
        read(json!({"target_modules": "all-linear"})).unwrap(),
        LoraOptions::default()
    );
    assert!(read(json!({"rank": 8})).is_err());
    let options = json!({"r": 2, "lora_alpha": 4, "use_rslora": true, "target_modules": ["v_proj", "q_proj"]});
    let decoder = base("llama3", &Device::flex())
        .with_lora(&read(options).unwrap(), 0)
        .unwrap();
    let adapter = decoder.lora().unwrap();
    assert_eq!(adapter.modules.len(), 4);
    assert!((adapter.config.scale("model.layers.1.self_attn.v_proj") - 8.0_f64.sqrt()).abs() < 1e-12);
    for (wrong, name) in [
        (json!({"r": 0}), "r"),
        (json!({"r": 25}), "r"),
        (json!({"lora_alpha": 0}), "lora_alpha"),
        (json!({"lora_alpha": 1e300}), "lora_alpha"),
        (json!({"target_modules": []}), "target_modules"),
        (json!({"target_modules": ["lm_head"]}), "target_modules"),
    ] {
        let error = decoder.clone().with_lora(&read(wrong).unwrap(), 0).unwrap_err();
        assert!(
            matches!(error, LmError::Setting { name: found, .. } if found == name),
            "{error}"
        );
    }
}

#[test]
fn adapters_that_do_not_fit_are_refused_by_the_name_of_the_module() {
    let name = "model.layers.1.mlp.up_proj";
    let refused = |change: &dyn Fn(&mut LoraAdapter), says: &str| {
        let mut adapter = adapter("lora");
        change(&mut adapter);
        let error = base("llama3", &Device::flex())
            .with_adapter(&adapter)
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    };
    let one_layer = base("llama_biases", &Device::flex())
        .with_adapter(&adapter("lora"))
        .unwrap_err();
    assert!(one_layer.to_string().contains("model.layers.1."), "{one_layer}");
    refused(
        &|adapter| adapter.modules.get_mut(name).unwrap().inputs = 23,
        "up_proj`: found A of [4, 23]",
    );
    refused(
        &|adapter| adapter.modules.get_mut(name).unwrap().rank = 3,
        "up_proj`: found A of [3, 24]",
    );
    refused(
        &|adapter| adapter.config.use_dora = true,
        "expected A of [4, 24] and B of [24, 4], with magnitudes",
    );
    refused(&|adapter| adapter.config.lora_alpha = 1e300, "a scale of");
    refused(
        &|adapter| adapter.modules.get_mut(name).unwrap().up[5] = f32::NAN,
        "up_proj.lora_B` has NaN at 5",
    );
    refused(
        &|adapter| adapter.whole.insert_f32("lm_head.weight", &[1], &[0.0], Dtype::F32),
        "lm_head.weight",
    );
}

/// For scripts/lm_lora_fixtures.py, which loads what is written here with PEFT.
#[test]
fn a_saved_adapter_for_peft() {
    let Ok(folder) = std::env::var("ETUDE_TEST_SAVE_TO") else {
        println!("skipped: ETUDE_TEST_SAVE_TO names no folder to write an adapter into");
        return;
    };
    let decoder = base("llama3", &Device::flex()).with_adapter(&adapter("lora")).unwrap();
    decoder.lora().unwrap().save(&Path::new(&folder).join("lora")).unwrap();
}

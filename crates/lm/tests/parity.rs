//! Tiny models of every family against transformers: logits, loss, every gradient, ten steps of AdamW.
//!
//! The fixtures are made by scripts/lm_decoder_fixtures.py.
#![expect(
    clippy::print_stdout,
    reason = "figures, and that a test is skipped, are for whoever looks"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use etude_hub::{Checkpoint, SafetensorsCheckpoint};
use etude_kernels::Precision;
use etude_kernels::adam_w::AdamW;
use etude_kernels::burn::ModuleAdamW;
use etude_lm::config::DecoderConfig;
use etude_lm::decoder::{Decoder, parameters};

const FAMILIES: [&str; 10] = [
    "llama2",
    "llama3",
    "smollm2",
    "llama_biases",
    "qwen2",
    "qwen3",
    "gemma3",
    "gemma3_soft_caps",
    "yarn",
    "linear",
];

/// As in the script.
const ADAM_W: AdamW = AdamW {
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-6,
    weight_decay: 0.1,
};
const LEARNING_RATE: f32 = 1e-3;

struct Fixture {
    name: &'static str,
    folder: PathBuf,
    expected: SafetensorsCheckpoint,
    tokens: Vec<u32>,
    offsets: Vec<usize>,
}

impl Fixture {
    fn open(name: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/decoder")
            .join(name);
        let expected = SafetensorsCheckpoint::open(&folder.join("expected.safetensors")).unwrap();
        let integers = |name: &str| -> Vec<u32> {
            let raw = expected.raw(name).unwrap();
            raw.bytes
                .as_chunks()
                .0
                .iter()
                .map(|bytes| u32::from_le_bytes(*bytes))
                .collect()
        };
        let (tokens, lengths) = (integers("tokens"), integers("lengths"));
        let offsets = lengths.iter().scan(0, |end, length| {
            *end += *length as usize;
            Some(*end)
        });
        let offsets = std::iter::once(0).chain(offsets).collect();
        Self {
            name,
            folder,
            expected,
            tokens,
            offsets,
        }
    }

    fn config(&self) -> DecoderConfig {
        let json = std::fs::read_to_string(self.folder.join("config.json")).unwrap();
        let mut config = DecoderConfig::from_json(&serde_json::from_str(&json).unwrap()).unwrap();
        if self.name == "gemma3_soft_caps" {
            // No config.json says it: see the script.
            config.attention_soft_cap = Some(3.0);
        }
        config
    }

    fn decoder(&self, device: &Device) -> Decoder {
        let checkpoint = SafetensorsCheckpoint::open(&self.folder).unwrap();
        Decoder::load(self.config(), &checkpoint, device).unwrap()
    }

    /// The next token of each, and one over the number of those that have one.
    fn targets(&self) -> (Vec<u32>, Vec<f32>) {
        let last = |token: usize| self.offsets.contains(&(token + 1));
        let count = self.tokens.len() + 1 - self.offsets.len();
        (0..self.tokens.len())
            .map(|token| {
                if last(token) {
                    (u32::MAX, 0.0)
                } else {
                    (self.tokens[token + 1], 1.0 / count as f32)
                }
            })
            .unzip()
    }

    fn loss(&self, decoder: &Decoder) -> Tensor<1> {
        let (targets, weights) = self.targets();
        decoder.loss(decoder.hidden(&self.tokens, &self.offsets), &targets, &weights)
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        self.expected.read_f32(name).unwrap()
    }
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}

fn bits<const D: usize>(tensor: &Tensor<D>) -> Vec<u32> {
    numbers(tensor).into_iter().map(f32::to_bits).collect()
}

fn largest(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |most, x| most.max(x.abs()))
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).fold(0.0, |most, (a, b)| {
        let difference = (a - b).abs();
        // A NaN is the largest of all.
        if difference <= most { most } else { difference }
    })
}

/// Parameters, or their gradients, by the path that leads to them.
struct ByPath<'a> {
    gradients: Option<&'a GradientsParams>,
    path: Vec<String>,
    found: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl ModuleVisitor for ByPath<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            Some(gradients) => gradients.get::<D>(parameter.id).unwrap(),
            None => parameter.val(),
        };
        self.found
            .insert(self.path.join("."), (tensor.dims().to_vec(), numbers(&tensor)));
    }
}

fn by_path(decoder: &Decoder, gradients: Option<&GradientsParams>) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut visitor = ByPath {
        gradients,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    decoder.visit(&mut visitor);
    visitor.found
}

#[test]
fn logits_and_losses_are_those_of_transformers() {
    let mut most = 0.0_f32;
    for fixture in FAMILIES.map(Fixture::open) {
        let (logits, loss) = (fixture.numbers("logits"), fixture.numbers("loss"));
        for device in [Device::flex(), Device::flex().autodiff()] {
            let decoder = fixture.decoder(&device);
            let hidden = decoder.hidden(&fixture.tokens, &fixture.offsets);
            let difference = largest_difference(&numbers(&decoder.logits(hidden)), &logits);
            assert!(difference < 1e-4, "{}: logits differ by {difference}", fixture.name);
            most = most.max(difference);
            let difference = largest_difference(&numbers(&fixture.loss(&decoder)), &loss);
            assert!(difference < 1e-5, "{}: losses differ by {difference}", fixture.name);
        }
    }
    println!("logits: largest difference {most:e}");
}

#[test]
fn every_gradient_is_that_of_pytorch() {
    let mut most = 0.0_f32;
    for fixture in FAMILIES.map(Fixture::open) {
        let decoder = fixture.decoder(&Device::flex().autodiff());
        let gradients = GradientsParams::from_grads(fixture.loss(&decoder).backward(), &decoder);
        let found = by_path(&decoder, Some(&gradients));
        assert_eq!(found.len(), parameters(decoder.config()).len());
        for (name, (_, gradient)) in &found {
            let expected = fixture.numbers(&format!("gradient.{name}"));
            // Relative to the tensor's largest; biases of keys have gradients near zero.
            let scale = largest(&expected).max(1e-3);
            let difference = largest_difference(gradient, &expected) / scale;
            assert!(
                difference < 1e-4,
                "{}: the gradient of {name} differs by {difference}",
                fixture.name
            );
            most = most.max(difference);
        }
    }
    println!("gradients: largest relative difference {most:e}");
}

#[test]
fn ten_steps_of_adam_w_are_those_of_pytorch() {
    let (mut most_of_loss, mut most) = (0.0_f32, 0.0_f32);
    for fixture in FAMILIES.map(Fixture::open) {
        let mut decoder = fixture.decoder(&Device::flex().autodiff());
        let mut adam = ModuleAdamW::new(ADAM_W).with_decay(|_, _| true);
        let mut losses = Vec::new();
        for _ in 0..10 {
            let loss = fixture.loss(&decoder);
            losses.extend(numbers(&loss));
            let gradients = GradientsParams::from_grads(loss.backward(), &decoder);
            (decoder, _) = adam.step(decoder, gradients, LEARNING_RATE, None);
        }
        let difference = largest_difference(&losses, &fixture.numbers("losses"));
        assert!(difference < 1e-4, "{}: losses differ by {difference}", fixture.name);
        most_of_loss = most_of_loss.max(difference);
        for (name, (_, parameter)) in by_path(&decoder, None) {
            let difference = largest_difference(&parameter, &fixture.numbers(&format!("trained.{name}")));
            assert!(difference < 1e-4, "{}: {name} differs by {difference}", fixture.name);
            most = most.max(difference);
        }
    }
    println!("ten steps: largest difference of losses {most_of_loss:e}, of parameters {most:e}");
}

#[test]
fn a_sequence_gives_the_same_bits_alone_and_packed() {
    for fixture in FAMILIES.map(Fixture::open) {
        for precision in [Precision::F32, Precision::Bf16] {
            let plain = fixture.decoder(&Device::flex()).with_precision(precision);
            let trained = fixture.decoder(&Device::flex().autodiff()).with_precision(precision);
            let packed = bits(&plain.logits(plain.hidden(&fixture.tokens, &fixture.offsets)));
            let with_gradients = bits(&trained.logits(trained.hidden(&fixture.tokens, &fixture.offsets)));
            assert_eq!(packed, with_gradients, "{}: a device with autodiff", fixture.name);
            let mut alone = Vec::new();
            for ends in fixture.offsets.windows(2) {
                let tokens = &fixture.tokens[ends[0]..ends[1]];
                alone.extend(bits(&plain.logits(plain.hidden(tokens, &[0, tokens.len()]))));
                // What comes later changes nothing.
                let first = &tokens[..tokens.len() / 2];
                let logits = bits(&plain.logits(plain.hidden(first, &[0, first.len()])));
                let start = ends[0] * plain.config().vocabulary;
                assert_eq!(logits, packed[start..][..logits.len()], "{}: a beginning", fixture.name);
            }
            assert_eq!(packed, alone, "{}: alone", fixture.name);
        }
    }
}

#[test]
fn bf16_is_close_to_f32_and_not_the_same() {
    for fixture in FAMILIES.map(Fixture::open) {
        let device = Device::flex().autodiff();
        let decoder = fixture.decoder(&device).with_precision(Precision::Bf16);
        let logits = numbers(&decoder.logits(decoder.hidden(&fixture.tokens, &fixture.offsets)));
        let expected = fixture.numbers("logits");
        let difference = largest_difference(&logits, &expected) / largest(&expected);
        assert!((1e-5..0.05).contains(&difference), "{}: {difference}", fixture.name);
        let gradients = GradientsParams::from_grads(fixture.loss(&decoder).backward(), &decoder);
        for (name, (_, gradient)) in by_path(&decoder, Some(&gradients)) {
            let expected = fixture.numbers(&format!("gradient.{name}"));
            let difference = largest_difference(&gradient, &expected) / largest(&expected).max(1e-3);
            assert!(difference < 0.15, "{}: {name} differs by {difference}", fixture.name);
        }
    }
}

#[test]
fn log_probabilities_are_those_of_the_logits() {
    for fixture in FAMILIES.map(Fixture::open) {
        let decoder = fixture.decoder(&Device::flex());
        let (targets, weights) = fixture.targets();
        let targets: Vec<u32> = targets.into_iter().map(|target| target.min(7)).collect();
        let hidden = decoder.hidden(&fixture.tokens, &fixture.offsets);
        let found = numbers(&decoder.log_probabilities(hidden.clone(), &targets));
        let logits = fixture.numbers("logits");
        let rows = logits.chunks(decoder.config().vocabulary).zip(&targets);
        let expected: Vec<f32> = rows
            .map(|(row, target)| row[*target as usize] - row.iter().map(|logit| logit.exp()).sum::<f32>().ln())
            .collect();
        let difference = largest_difference(&found, &expected);
        assert!(difference < 1e-4, "{}: {difference}", fixture.name);
        let loss = numbers(&decoder.loss(hidden, &targets, &weights));
        let sum: f32 = found.iter().zip(&weights).map(|(log, weight)| -log * weight).sum();
        assert!((loss[0] - sum).abs() < 1e-5, "{}: {loss:?} {sum}", fixture.name);
    }
}

#[test]
fn the_list_of_parameters_is_the_module_tree() {
    for fixture in FAMILIES.map(Fixture::open) {
        let decoder = fixture.decoder(&Device::flex());
        let listed: BTreeMap<String, Vec<usize>> = parameters(decoder.config()).into_iter().collect();
        let found = by_path(&decoder, None).into_iter();
        assert_eq!(listed, found.map(|(name, (shape, _))| (name, shape)).collect());
    }
}

/// For scripts/lm_check_saved.py, which loads what is written here with transformers.
#[test]
fn saved_models_for_transformers() {
    let Ok(folder) = std::env::var("ETUDE_TEST_SAVE_TO") else {
        println!("skipped: ETUDE_TEST_SAVE_TO names no folder to write tiny models into");
        return;
    };
    for fixture in FAMILIES.map(Fixture::open) {
        let mut config = fixture.config();
        config.attention_soft_cap = None;
        let checkpoint = SafetensorsCheckpoint::open(&fixture.folder).unwrap();
        let decoder = Decoder::load(config, &checkpoint, &Device::flex()).unwrap();
        decoder.save(&Path::new(&folder).join(fixture.name)).unwrap();
    }
}

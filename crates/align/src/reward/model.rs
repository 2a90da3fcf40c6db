//! A decoder with one number for each sequence.

use std::borrow::Cow;
use std::path::Path;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use etude_hub::peft::LoraAdapter;
use etude_hub::{Checkpoint, Dtype, HubError, MemoryCheckpoint, RawTensor, SavedModel, TensorInfo};
use etude_kernels::Precision;
use etude_lm::config::DecoderConfig;
use etude_lm::decoder::{Decoder, DecoderCheckpoint, LoraOptions};
use etude_train::Seed;
use rand_distr::{Distribution, Normal};
use serde_json::json;

use super::{Answer, RewardFunction};
use crate::AlignError;
use crate::training::Trained;

/// The tensor beside those of the decoder.
const SCORE: &str = "score.weight";

/// The largest file of a saved model, as transformers chooses it.
const SHARD: usize = 50_000_000_000;

/// The reward of a sequence is a linear function of the hidden state of its last token: what transformers calls sequence classification
/// with one label. As there, it is the last token that is not the one that pads, which is not the end-of-sequence token where that pads
/// as well.
#[derive(Module, Debug)]
pub struct RewardModel {
    decoder: Decoder,
    /// `[1, hidden]`.
    score: Param<Tensor<2>>,
    #[module(skip)]
    pad_token: Option<u32>,
}

impl Trained for RewardModel {
    fn decoder(&self) -> &Decoder {
        &self.decoder
    }
}

impl RewardModel {
    /// On a decoder that has learnt to write, with a score that is drawn as transformers draws it: normal, with the configuration's
    /// standard deviation. `pad_token` is what transformers is to pad with.
    pub fn new(decoder: Decoder, pad_token: Option<u32>, seed: Seed, device: &Device) -> Self {
        let (width, deviation) = (decoder.config().hidden, decoder.config().initializer_range);
        let mut random = seed.stream("score");
        let normal = Normal::new(0.0, deviation).ok();
        let mut draw = || normal.map_or(0.0, |normal| normal.sample(&mut random));
        let score: Vec<f32> = (0..width).map(|_| draw()).collect();
        Self::with_score(decoder, score, pad_token, device)
    }

    fn with_score(decoder: Decoder, score: Vec<f32>, pad_token: Option<u32>, device: &Device) -> Self {
        let shape = [1, score.len()];
        let score = Tensor::from_data(TensorData::new(score, shape), device);
        Self {
            decoder,
            score: Param::from_tensor(score),
            pad_token,
        }
    }

    /// The model whose parameters `checkpoint` has; a checkpoint without a score, of a model that writes, gets a new one from `seed`.
    ///
    /// # Errors
    /// As [`Decoder::load`]; or the score has another shape.
    pub fn load(
        mut config: DecoderConfig,
        checkpoint: &dyn Checkpoint,
        precision: Precision,
        pad_token: Option<u32>,
        seed: Seed,
        device: &Device,
    ) -> Result<Self, AlignError> {
        if checkpoint.info(SCORE).is_none() {
            let decoder = Decoder::load(config, checkpoint, device)?.with_precision(precision);
            return Ok(Self::new(decoder, pad_token, seed, device));
        }
        let score = checkpoint.read_f32_shaped(SCORE, &[1, config.hidden])?;
        // Where there is a score there is no head.
        config.tied_embeddings = true;
        let tensors = checkpoint.tensors().iter().filter(|tensor| tensor.name != SCORE);
        let body = Body {
            tensors: tensors.cloned().collect(),
            checkpoint,
        };
        let decoder = Decoder::load(config, &body, device)?.with_precision(precision);
        Ok(Self::with_score(decoder, score, pad_token, device))
    }

    /// The decoder, and the linear function of its hidden states that is the reward, `[hidden]`.
    pub fn into_parts(self) -> (Decoder, Vec<f32>) {
        (self.decoder, self.score.val().to_data().iter().collect())
    }

    /// The model with new adapters to its decoder, whose own parameters are trained no more; the score is trained as a whole, as PEFT does
    /// with `modules_to_save`. The same seed gives the same adapters.
    ///
    /// # Errors
    /// An option is out of its range; the error names it.
    pub fn with_lora(self, options: &LoraOptions, seed: u64) -> Result<Self, AlignError> {
        let decoder = self.decoder.with_lora(options, seed)?;
        Ok(Self { decoder, ..self })
    }

    /// The model with adapters that [`lora`](Self::lora) gave, or that PEFT has trained, and the score that is with them.
    ///
    /// # Errors
    /// As [`Decoder::with_adapter`]; or there is no score, or one of another shape, with the adapters.
    pub fn with_adapter(self, adapter: &LoraAdapter) -> Result<Self, AlignError> {
        let score = adapter
            .whole
            .read_f32_shaped(SCORE, &[1, self.decoder.config().hidden])?;
        let tensors = adapter.whole.tensors().iter();
        let mut rest = MemoryCheckpoint::new(adapter.whole.path());
        for TensorInfo { name, dtype, shape } in tensors.filter(|tensor| tensor.name != SCORE) {
            rest.insert(name, *dtype, shape, adapter.whole.raw(name)?.bytes.into_owned());
        }
        let adapters = LoraAdapter {
            whole: rest,
            ..adapter.clone()
        };
        let device = self.score.val().device();
        let decoder = self.decoder.with_adapter(&adapters)?;
        Ok(Self::with_score(decoder, score, self.pad_token, &device))
    }

    /// The adapters with the score as PEFT keeps them, if there are any: `peft` loads the folder that [`LoraAdapter::save`] writes onto
    /// transformers' `AutoModelForSequenceClassification` with one label.
    pub fn lora(&self) -> Option<LoraAdapter> {
        let mut adapter = self.decoder.lora()?;
        adapter.config.task_type = Some("SEQ_CLS".to_owned());
        adapter.config.modules_to_save = Some(vec!["score".to_owned()]);
        let score = self.score.val();
        let numbers: Vec<f32> = score.to_data().iter().collect();
        adapter.whole.insert_f32(SCORE, &score.dims(), &numbers, Dtype::F32);
        Some(adapter)
    }

    /// The rewards of sequences, `[sequences]`, from all their tokens, the hidden states of these, `[tokens, hidden]`, and where each
    /// sequence begins: 0 first, and the number of tokens last.
    ///
    /// # Panics
    /// The numbers do not fit together, or a sequence is empty.
    pub fn rewards(&self, hidden: Tensor<2>, tokens: &[u32], offsets: &[usize]) -> Tensor<1> {
        let last_of = |ends: &[usize]| {
            let sequence = &tokens[ends[0]..ends[1]];
            let last = sequence.iter().rposition(|token| Some(*token) != self.pad_token);
            (ends[0] + last.unwrap_or(sequence.len() - 1)) as i64
        };
        let last: Vec<i64> = offsets.windows(2).map(last_of).collect();
        let count = last.len();
        let last = Tensor::<1, Int>::from_data(TensorData::new(last, [count]), &hidden.device());
        let scores = hidden.select(0, last) * self.score.val();
        scores.sum_dim(1).reshape([count])
    }

    /// Writes the model, with its adapters in the weights, into a folder, so that transformers loads it with
    /// `AutoModelForSequenceClassification`: `config.json` and tensors.
    ///
    /// # Errors
    /// The configuration cannot be said in a config.json; or what the operating system says.
    pub fn save(&self, folder: &Path) -> Result<(), AlignError> {
        let mut config = self.decoder.config().to_json()?;
        if let Some(class) = config["architectures"][0].as_str() {
            config["architectures"] = json!([class.replace("ForCausalLM", "ForSequenceClassification")]);
        }
        config["id2label"] = json!({"0": "LABEL_0"});
        config["label2id"] = json!({"LABEL_0": 0});
        if let Some(pad) = self.pad_token {
            config["pad_token_id"] = json!(pad);
        }
        let checkpoint = RewardCheckpoint::new(self);
        let saved = SavedModel {
            config: &config,
            generation_config: None,
            files: Vec::new(),
            checkpoint: &checkpoint,
        };
        Ok(saved.save(folder, SHARD)?)
    }
}

/// Answers whose rewards are computed at a time.
const BATCH: usize = 8;

impl RewardFunction for RewardModel {
    fn name(&self) -> &'static str {
        "reward model"
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Result<Vec<f32>, AlignError> {
        let mut rewards = Vec::with_capacity(answers.len());
        for answers in answers.chunks(BATCH) {
            let tokens: Vec<u32> = answers.iter().flat_map(|answer| answer.tokens).copied().collect();
            let mut offsets = vec![0];
            offsets.extend(answers.iter().scan(0, |end, answer| {
                *end += answer.tokens.len();
                Some(*end)
            }));
            let hidden = self.decoder.hidden(&tokens, &offsets);
            rewards.extend(self.rewards(hidden, &tokens, &offsets).to_data().iter::<f32>());
        }
        Ok(rewards)
    }
}

/// A checkpoint without its score.
#[derive(Debug)]
struct Body<'a> {
    tensors: Vec<TensorInfo>,
    checkpoint: &'a dyn Checkpoint,
}

impl Checkpoint for Body<'_> {
    fn path(&self) -> &Path {
        self.checkpoint.path()
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        self.checkpoint.raw(name)
    }
}

/// A decoder's parameters and the score, without the head.
#[derive(Debug)]
struct RewardCheckpoint {
    decoder: DecoderCheckpoint,
    /// In order of names.
    tensors: Vec<TensorInfo>,
    score: Vec<u8>,
}

impl RewardCheckpoint {
    fn new(model: &RewardModel) -> Self {
        let decoder = model.decoder.checkpoint();
        let score = model.score.val().to_data();
        let mut tensors: Vec<TensorInfo> = decoder
            .tensors()
            .iter()
            .filter(|tensor| tensor.name != "lm_head.weight")
            .cloned()
            .collect();
        tensors.push(TensorInfo {
            name: SCORE.to_owned(),
            dtype: Dtype::F32,
            shape: score.shape().to_vec(),
        });
        tensors.sort_by(|left, right| left.name.cmp(&right.name));
        Self {
            decoder,
            tensors,
            score: score.iter::<f32>().flat_map(f32::to_le_bytes).collect(),
        }
    }
}

impl Checkpoint for RewardCheckpoint {
    fn path(&self) -> &Path {
        self.decoder.path()
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        match self.info(SCORE) {
            Some(info) if name == SCORE => Ok(RawTensor {
                dtype: info.dtype,
                shape: &info.shape,
                bytes: Cow::Borrowed(&self.score),
            }),
            _ => self.decoder.raw(name),
        }
    }
}

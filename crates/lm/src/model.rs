//! A checkpoint with everything that comes with it: configuration, tokenizer, chat template, and what its makers recommend.

use std::path::{Path, PathBuf};

use etude_hub::folder::{TOKENIZER, TOKENIZER_CONFIG};
use etude_hub::{Checkpoint, GenerationConfig, GgufCheckpoint, GgufTokenizer, HubError, ModelFolder, locate};
use etude_kernels::Precision;

use crate::chat_template::{ChatTemplate, Conversation, SpecialTokens};
use crate::config::DecoderConfig;
use crate::cpu_decoder::CpuDecoder;
use crate::engine::Sampling;
use crate::error::LmError;
use crate::memory::Memory;
use crate::tokenizer::{GgufVocabulary, Tokenizer};

/// A checkpoint that is opened, with its weights still on disk.
#[derive(Debug)]
pub struct Source {
    /// The file or folder.
    pub path: PathBuf,
    /// What the model is made of.
    pub config: DecoderConfig,
    /// The weights.
    pub checkpoint: Box<dyn Checkpoint>,
    /// Text to tokens and back.
    pub tokenizer: Tokenizer,
    /// Conversations to text, where the model was taught to hold them.
    pub chat_template: Option<ChatTemplate>,
    /// Tokens that end an answer.
    pub stop_tokens: Vec<u32>,
    /// How its makers recommend that tokens are drawn; none where they say nothing, or that the likeliest is taken.
    pub sampling: Option<Sampling>,
}

/// A model that is ready to generate.
#[derive(Debug)]
pub struct Model {
    /// The file or folder.
    pub path: PathBuf,
    /// The model.
    pub decoder: CpuDecoder,
    /// Text to tokens and back.
    pub tokenizer: Tokenizer,
    /// Conversations to text, where the model was taught to hold them.
    pub chat_template: Option<ChatTemplate>,
    /// Tokens that end an answer.
    pub stop_tokens: Vec<u32>,
    /// How its makers recommend that tokens are drawn; none where they say nothing, or that the likeliest is taken.
    pub sampling: Option<Sampling>,
}

/// What somebody has said.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// Who: `system`, `user` or `assistant`.
    pub role: String,
    /// What.
    pub content: String,
}

impl Message {
    /// What somebody has said.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
        }
    }
}

impl Source {
    /// Opens a GGUF file, a folder as Hugging Face's, or a model of that name in its cache on this machine.
    ///
    /// # Errors
    /// There is no such thing, a part of it is missing or cannot be read, or the architecture is not supported.
    pub fn open(name: &str) -> Result<Self, LmError> {
        let path = locate(name)?;
        if path.is_dir() {
            Self::open_folder(&path)
        } else {
            Self::open_gguf(&path)
        }
    }

    fn open_folder(path: &Path) -> Result<Self, LmError> {
        let folder = ModelFolder::open(path)?;
        let config = DecoderConfig::from_json(folder.config())?;
        let mut tokenizer = Tokenizer::from_json(&folder.tokenizer()?)?;
        let mut special = SpecialTokens::default();
        if let Some(json) = folder.tokenizer_config().or(folder.special_tokens_map()) {
            tokenizer = tokenizer.with_config(json);
            special = SpecialTokens::from_config(json);
        }
        let template = folder.chat_templates().get(etude_hub::ChatTemplates::DEFAULT);
        let generation = folder.generation_config();
        let ends = generation.map_or(&[][..], |generation| generation.eos_token_id.as_slice());
        Ok(Self {
            path: path.into(),
            chat_template: template.map(|source| ChatTemplate::new(source, special)).transpose()?,
            stop_tokens: stop_tokens(&config, &tokenizer, ends),
            sampling: generation.and_then(recommended),
            config,
            tokenizer,
            checkpoint: folder.into_checkpoint(),
        })
    }

    fn open_gguf(path: &Path) -> Result<Self, LmError> {
        let file = GgufCheckpoint::open(path)?;
        let config = DecoderConfig::from_gguf(&file)?;
        let missing = || LmError::File {
            path: path.into(),
            message: "there is no tokenizer in it; expected the keys tokenizer.ggml.*".into(),
        };
        let parts = file.tokenizer().ok_or_else(missing)?;
        let tokenizer = Tokenizer::from_gguf(&vocabulary(parts))?;
        let template = parts.chat_templates.get(etude_hub::ChatTemplates::DEFAULT);
        let special = SpecialTokens::from_tokenizer(&tokenizer);
        Ok(Self {
            path: path.into(),
            chat_template: template.map(|source| ChatTemplate::new(source, special)).transpose()?,
            stop_tokens: stop_tokens(&config, &tokenizer, &[]),
            sampling: None,
            config,
            tokenizer,
            checkpoint: Box::new(file),
        })
    }

    /// What the model needs.
    pub fn memory(&self) -> Memory {
        Memory::new(&self.config, &*self.checkpoint)
    }

    /// Writes what belongs to the tokenizer into a folder that has the model, trained or not: tokenizer, chat template, and how text is
    /// generated.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn save_tokenizer(&self, folder: &Path) -> Result<(), LmError> {
        if self.path.is_dir() {
            return Ok(ModelFolder::open(&self.path)?.save_beside(folder)?);
        }
        let file = GgufCheckpoint::open(&self.path)?;
        let templates = file.tokenizer().map(|parts| &parts.chat_templates);
        let template = templates.and_then(|templates| templates.get(etude_hub::ChatTemplates::DEFAULT));
        let config = self.tokenizer.config_json(template);
        for (name, text) in [
            (TOKENIZER, self.tokenizer.to_json()?),
            (TOKENIZER_CONFIG, format!("{config:#}\n")),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| HubError::Write { path, source })?;
        }
        Ok(())
    }

    /// Loads the weights. Quantised matrices stay quantised; others are multiplied in `precision`.
    ///
    /// # Errors
    /// A tensor is missing or does not fit, or tokenizer and model do not belong together.
    pub fn load(self, precision: Precision) -> Result<Model, LmError> {
        self.tokenizer.check_model(self.config.vocabulary)?;
        Ok(Model {
            decoder: CpuDecoder::load(self.config, &*self.checkpoint, precision)?,
            path: self.path,
            tokenizer: self.tokenizer,
            chat_template: self.chat_template,
            stop_tokens: self.stop_tokens,
            sampling: self.sampling,
        })
    }
}

impl Model {
    /// [`Source::open`] and [`Source::load`] in one.
    ///
    /// # Errors
    /// As these.
    pub fn open(name: &str, precision: Precision) -> Result<Self, LmError> {
        Source::open(name)?.load(precision)
    }

    /// The tokens of a conversation, up to where the assistant's answer begins.
    ///
    /// # Errors
    /// The model has no chat template, or the template refuses the conversation.
    pub fn encode_chat(&self, messages: &[Message]) -> Result<Vec<u32>, LmError> {
        let template = self.chat_template.as_ref().ok_or(LmError::NoChatTemplate)?;
        let conversation = Conversation::new(messages).add_generation_prompt();
        // The template writes the special tokens that there are to be.
        self.tokenizer.encode(&template.render(&conversation)?.text, false)
    }
}

/// Those that the tokenizer, the configuration and the makers name.
fn stop_tokens(config: &DecoderConfig, tokenizer: &Tokenizer, generation: &[u32]) -> Vec<u32> {
    let mut tokens: Vec<u32> = tokenizer.special_ids().ends().collect();
    tokens.extend(&config.eos_tokens);
    tokens.extend(generation);
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// What the makers recommend.
fn recommended(generation: &GenerationConfig) -> Option<Sampling> {
    let default = Sampling::default();
    (generation.do_sample == Some(true)).then(|| Sampling {
        temperature: generation.temperature.unwrap_or(1.0) as f32,
        top_k: generation.top_k.unwrap_or(50),
        top_p: generation.top_p.unwrap_or(1.0) as f32,
        min_p: generation.min_p.unwrap_or(0.0) as f32,
        repetition_penalty: generation.repetition_penalty.unwrap_or(1.0) as f32,
        ..default
    })
}

fn vocabulary(parts: &GgufTokenizer) -> GgufVocabulary {
    GgufVocabulary {
        model: parts.model.clone(),
        pre_tokenizer: parts.pre.clone(),
        tokens: parts.tokens.clone(),
        scores: parts.scores.clone().unwrap_or_default(),
        token_types: parts.types.clone().unwrap_or_default(),
        merges: parts.merges.clone().unwrap_or_default(),
        bos: parts.bos,
        eos: parts.eos,
        unknown: parts.unknown,
        padding: parts.padding,
        eot: parts.eot,
        add_bos: parts.add_bos,
        add_eos: parts.add_eos,
        add_space_prefix: parts.add_space_prefix,
    }
}

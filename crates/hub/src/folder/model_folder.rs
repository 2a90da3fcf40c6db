//! Reading a folder.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{
    ADDITIONAL_CHAT_TEMPLATES, CHAT_TEMPLATE, CONFIG, GENERATION_CONFIG, GenerationConfig, OLD_TOKENIZER_FILES,
    SPECIAL_TOKENS_MAP, SavedModel, TOKENIZER, TOKENIZER_CONFIG,
};
use crate::chat_templates::ChatTemplates;
use crate::checkpoint::Checkpoint;
use crate::error::{HubError, fault};
use crate::{file, json, open};

/// A folder with a model.
#[derive(Debug)]
pub struct ModelFolder {
    path: PathBuf,
    config: Value,
    generation_config: Option<GenerationConfig>,
    tokenizer_config: Option<Value>,
    special_tokens_map: Option<Value>,
    chat_templates: ChatTemplates,
    checkpoint: Box<dyn Checkpoint>,
}

impl ModelFolder {
    /// Opens a folder, which must have a `config.json` and tensors.
    ///
    /// # Errors
    /// Names the file, the field, what was found and what was expected.
    pub fn open(path: &Path) -> Result<Self, HubError> {
        let config = path.join(CONFIG);
        if !config.exists() {
            return Err(fault(
                path,
                format!("there is no `{CONFIG}`; expected a folder with a model in it"),
            ));
        }
        let config = object(&config)?;
        let tokenizer_config = optional(path, TOKENIZER_CONFIG)?;
        let mut chat_templates = ChatTemplates::of_files(path)?;
        // As in transformers: templates in files of their own come before those in the tokenizer's configuration.
        if let (true, Some(config)) = (chat_templates.is_empty(), &tokenizer_config) {
            chat_templates = ChatTemplates::from_tokenizer_config(&path.join(TOKENIZER_CONFIG), config)?;
        }
        let generation = path.join(GENERATION_CONFIG);
        let generation_config = if generation.exists() {
            let bytes = file::read(&generation, json::MAX_BYTES)?;
            Some(GenerationConfig::from_json(&generation, &bytes)?)
        } else {
            None
        };
        Ok(Self {
            path: path.into(),
            config,
            generation_config,
            tokenizer_config,
            special_tokens_map: optional(path, SPECIAL_TOKENS_MAP)?,
            chat_templates,
            checkpoint: open::open(path)?,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.json`, an object.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// `generation_config.json`.
    pub fn generation_config(&self) -> Option<&GenerationConfig> {
        self.generation_config.as_ref()
    }

    /// `tokenizer_config.json`, an object.
    pub fn tokenizer_config(&self) -> Option<&Value> {
        self.tokenizer_config.as_ref()
    }

    /// `special_tokens_map.json`, an object.
    pub fn special_tokens_map(&self) -> Option<&Value> {
        self.special_tokens_map.as_ref()
    }

    /// The templates of conversations.
    pub fn chat_templates(&self) -> &ChatTemplates {
        &self.chat_templates
    }

    /// The tensors.
    pub fn checkpoint(&self) -> &dyn Checkpoint {
        &*self.checkpoint
    }

    /// The tensors, to be kept without the folder.
    pub fn into_checkpoint(self) -> Box<dyn Checkpoint> {
        self.checkpoint
    }

    /// The bytes of `tokenizer.json`.
    ///
    /// # Errors
    /// Where it is missing or cannot be read.
    pub fn tokenizer(&self) -> Result<Vec<u8>, HubError> {
        file::read(&self.path.join(TOKENIZER), json::MAX_BYTES)
    }

    /// Writes the files beside configuration and tensors into another folder, as they are: the tokenizer's, and how text is generated.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn save_beside(&self, folder: &Path) -> Result<(), HubError> {
        let saved = self.saved(&*self.checkpoint)?;
        saved.write_files(folder)
    }

    /// What it takes to save this model with other tensors, or its own: everything else as it is.
    ///
    /// # Errors
    /// Where one of the tokenizer's files cannot be read.
    pub fn saved<'a>(&'a self, checkpoint: &'a dyn Checkpoint) -> Result<SavedModel<'a>, HubError> {
        let mut files = Vec::new();
        let names = [TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP, CHAT_TEMPLATE];
        for name in names.into_iter().chain(OLD_TOKENIZER_FILES) {
            let path = self.path.join(name);
            if path.exists() {
                files.push((name.into(), file::read(&path, json::MAX_BYTES)?));
            }
        }
        if self.path.join(ADDITIONAL_CHAT_TEMPLATES).exists() {
            let further = self
                .chat_templates
                .iter()
                .filter(|&(name, _)| name != ChatTemplates::DEFAULT);
            files.extend(further.map(|(name, template)| {
                let name = Path::new(ADDITIONAL_CHAT_TEMPLATES).join(format!("{name}.jinja"));
                (name, template.into())
            }));
        }
        Ok(SavedModel {
            config: &self.config,
            generation_config: self.generation_config.as_ref(),
            files,
            checkpoint,
        })
    }
}

/// A file of an object.
fn object(path: &Path) -> Result<Value, HubError> {
    let value: Value = json::read(path)?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(fault(path, "found no object; expected one, `{...}`"))
    }
}

/// A file of an object, where there is one.
fn optional(folder: &Path, name: &str) -> Result<Option<Value>, HubError> {
    let path = folder.join(name);
    if path.exists() {
        object(&path).map(Some)
    } else {
        Ok(None)
    }
}

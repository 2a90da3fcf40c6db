//! What a template is given.

use std::collections::BTreeMap;
use std::time::SystemTime;

use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::Value as Json;

use crate::LmError;
use crate::tokenizer::Tokenizer;

/// A value as templates see it. It is `Serialize` and `Deserialize`, and keeps the order of the fields of objects; that of
/// `serde_json` sorts them, and templates write tools as they come.
pub type TemplateValue = Value;

/// Reads JSON with the fields of objects in their order.
///
/// # Errors
///
/// Where it is no JSON.
pub fn ordered_json(text: &str) -> Result<TemplateValue, LmError> {
    serde_json::from_str(text).map_err(|error| LmError::TemplateRender(format!("the conversation is no JSON: {error}")))
}

/// A conversation, and what else a template may want to know.
#[derive(Debug, Clone)]
pub struct Conversation {
    pub(super) messages: Value,
    pub(super) tools: Value,
    pub(super) documents: Value,
    pub(super) add_generation_prompt: bool,
    pub(super) continue_final_message: bool,
    pub(super) variables: BTreeMap<String, Value>,
    pub(super) now: SystemTime,
}

impl Conversation {
    /// Of messages, each an object with `role` and `content` and what else the template knows.
    pub fn new(messages: impl Serialize) -> Self {
        Self {
            messages: Value::from(Serde(messages)),
            tools: Value::from(()),
            documents: Value::from(()),
            add_generation_prompt: false,
            continue_final_message: false,
            variables: BTreeMap::new(),
            now: SystemTime::now(),
        }
    }

    /// With the tools that the model may call, each a JSON schema.
    #[must_use]
    pub fn tools(self, tools: impl Serialize) -> Self {
        Self {
            tools: Value::from(Serde(tools)),
            ..self
        }
    }

    /// With documents, each an object with `title` and `text`.
    #[must_use]
    pub fn documents(self, documents: impl Serialize) -> Self {
        Self {
            documents: Value::from(Serde(documents)),
            ..self
        }
    }

    /// With what begins an answer at the end.
    #[must_use]
    pub fn add_generation_prompt(self) -> Self {
        Self {
            add_generation_prompt: true,
            ..self
        }
    }

    /// Without what ends the last message, so that the model goes on with it.
    #[must_use]
    pub fn continue_final_message(self) -> Self {
        Self {
            continue_final_message: true,
            ..self
        }
    }

    /// With a variable of the template's own, such as `enable_thinking`. It goes before a special token of the same name.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.variables.insert(name.into(), Value::from(Serde(value)));
        self
    }

    /// At a time other than the present one, for templates that name the date.
    #[must_use]
    pub fn at(self, now: SystemTime) -> Self {
        Self { now, ..self }
    }
}

/// The special tokens that a template may name: `bos_token`, `eos_token` and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialTokens(pub BTreeMap<String, String>);

impl SpecialTokens {
    /// From `tokenizer_config.json` or `special_tokens_map.json`: each field `*_token` that is a string or an object with the
    /// field `content`.
    pub fn from_config(config: &Json) -> Self {
        let fields = config
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| name.ends_with("_token"));
        let tokens = fields.filter_map(|(name, value)| {
            let text = value.as_str().or_else(|| value["content"].as_str())?;
            Some((name.clone(), text.to_owned()))
        });
        Self(tokens.collect())
    }

    /// Those of a tokenizer.
    pub fn from_tokenizer(tokenizer: &Tokenizer) -> Self {
        let ids = tokenizer.special_ids();
        let names = [
            ("bos_token", ids.bos),
            ("eos_token", ids.eos),
            ("pad_token", ids.pad),
            ("unk_token", ids.unk),
        ];
        let tokens = names
            .into_iter()
            .filter_map(|(name, id)| Some((name.to_owned(), tokenizer.token(id?)?.to_owned())));
        Self(tokens.collect())
    }
}

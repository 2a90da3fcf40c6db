//! Records: what trainers learn from.

use std::fmt::{self, Display};
use std::path::Path;
use std::sync::Arc;

use etude_lm::chat_template::TemplateValue;
use serde::{Deserialize, Serialize, Serializer};

/// Where a record comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    #[serde(serialize_with = "readable")]
    pub file: Arc<Path>,
    /// The number of the record in it, from 1: of JSON lines that of the line.
    pub record: usize,
}

/// A name that is no UTF-8 as messages show it: nothing is opened by it.
fn readable<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, record {}", self.file.display(), self.record)
    }
}

/// A record with all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Where it comes from.
    pub place: Place,
    /// What is to be learnt.
    pub example: Example,
    /// `tools`: what the model may call, each a JSON schema; handed to the chat template.
    pub tools: Option<TemplateValue>,
    /// `chat_template_kwargs`: further variables of the chat template, such as `enable_thinking`.
    pub chat_template_kwargs: Vec<(String, TemplateValue)>,
    /// `margin`: by how much the reward of `chosen` is to be the higher one.
    pub margin: Option<f64>,
    /// `ref_chosen_logps`: the log-probability of `chosen` under the reference model.
    pub ref_chosen_logps: Option<f64>,
    /// `ref_rejected_logps`: the log-probability of `rejected` under the reference model.
    pub ref_rejected_logps: Option<f64>,
    /// `ref_logps`: the log-probability of `completion` under the reference model.
    pub ref_logps: Option<f64>,
    /// All other columns, in their order: what reward functions are given.
    pub other: Vec<(String, TemplateValue)>,
}

/// The kinds of records: TRL's five by its names, and rankings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Example {
    /// A text or a conversation (`text` or `messages`).
    LanguageModeling(Text),
    /// What is to be answered (`prompt`).
    PromptOnly(Text),
    /// An answer to learn (`prompt`, `completion`).
    PromptCompletion {
        /// What is to be answered.
        prompt: Text,
        /// The answer.
        completion: Text,
    },
    /// A better and a worse answer (`chosen`, `rejected`, and `prompt` where it is explicit).
    Preference {
        /// What is to be answered.
        prompt: Text,
        /// The better answer.
        chosen: Text,
        /// The worse answer.
        rejected: Text,
    },
    /// An answer that is good or bad (`prompt`, `completion`, `label`).
    UnpairedPreference {
        /// What is to be answered.
        prompt: Text,
        /// The answer.
        completion: Text,
        /// Whether it is a good one.
        label: bool,
    },
    /// Answers that are ranked (`prompt`, `completions`).
    Ranking {
        /// What is to be answered.
        prompt: Text,
        /// The answers, the best first; at least two.
        completions: Vec<Text>,
    },
}

impl Example {
    /// The kind, as it is called in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LanguageModeling(_) => "language modeling",
            Self::PromptOnly(_) => "prompt only",
            Self::PromptCompletion { .. } => "prompt and completion",
            Self::Preference { .. } => "preference",
            Self::UnpairedPreference { .. } => "unpaired preference",
            Self::Ranking { .. } => "ranking",
        }
    }

    /// Its parts, in the order of the fields.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        let (first, second, others): (&Text, Option<&Text>, &[Text]) = match self {
            Self::LanguageModeling(text) | Self::PromptOnly(text) => (text, None, &[]),
            Self::PromptCompletion { prompt, completion } | Self::UnpairedPreference { prompt, completion, .. } => {
                (prompt, Some(completion), &[])
            }
            Self::Preference {
                prompt,
                chosen,
                rejected,
            } => (prompt, Some(chosen), std::slice::from_ref(rejected)),
            Self::Ranking { prompt, completions } => (prompt, None, completions),
        };
        std::iter::once(first).chain(second).chain(others)
    }
}

/// A part of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Text {
    /// Text as it is ("standard").
    Standard(String),
    /// Messages, which a chat template makes text of.
    Conversational(Vec<Message>),
}

impl Text {
    /// Whether there is nothing in it: no text, or no message that says or does anything.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Standard(text) => text.trim().is_empty(),
            Self::Conversational(messages) => messages.iter().all(Message::is_empty),
        }
    }
}

/// What somebody has said in a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who: `system`, `user`, `assistant`, `tool`, or what else the chat template knows.
    pub role: String,
    /// The whole message as the chat template sees it.
    pub value: TemplateValue,
    /// Whether it may count in the loss: false where OpenAI's `weight` is 0.
    pub trained: bool,
}

impl Message {
    /// Text that somebody has said.
    pub(super) fn new(role: &str, content: &str) -> Self {
        Self {
            role: role.to_owned(),
            value: TemplateValue::from_pairs([("role", role), ("content", content)]),
            trained: true,
        }
    }

    /// Whether it neither says anything nor calls a tool.
    pub fn is_empty(&self) -> bool {
        let field = |name| self.value.get_attr(name).unwrap_or_default();
        let says = |content: TemplateValue| match content.as_str() {
            Some(text) => !text.trim().is_empty(),
            None => content.is_true(),
        };
        !says(field("content")) && !field("tool_calls").is_true()
    }
}

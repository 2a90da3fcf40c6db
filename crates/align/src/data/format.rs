//! What columns mean.

use std::fmt::{self, Display};
use std::str::FromStr;

use super::fields::Row;
use super::transcript::is_transcript;

/// How the columns of a file become records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TRL: `text`, or `messages`.
    LanguageModeling,
    /// TRL: `prompt`.
    PromptOnly,
    /// TRL: `prompt` and `completion`.
    PromptCompletion,
    /// TRL: `chosen` and `rejected`, and `prompt` where it is explicit.
    Preference,
    /// TRL: `prompt`, `completion` and `label`.
    UnpairedPreference,
    /// `conversations` of messages with `from` and `value`; with `chosen` and `rejected`, single messages, a preference.
    ShareGpt,
    /// `instruction`, and where they are there `input`, `system` and `history`; `output`, or `chosen` and `rejected`. As
    /// messages.
    Alpaca,
    /// The same as text, in the words that Alpaca was trained with.
    AlpacaText,
    /// OpenAI fine-tuning: `messages`, or `input`, `preferred_output` and `non_preferred_output`.
    OpenAi,
    /// Anthropic's HH: transcripts `chosen` and `rejected`. As messages.
    Hh,
    /// The same as text, where the prompt ends with the last `\n\nAssistant:`.
    HhText,
    /// Ranked answers: `prompt`, and `completions`, a list of which the best comes first.
    Ranking,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 12] = [
        Self::LanguageModeling,
        Self::PromptOnly,
        Self::PromptCompletion,
        Self::Preference,
        Self::UnpairedPreference,
        Self::ShareGpt,
        Self::Alpaca,
        Self::AlpacaText,
        Self::OpenAi,
        Self::Hh,
        Self::HhText,
        Self::Ranking,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LanguageModeling => "language-modeling",
            Self::PromptOnly => "prompt-only",
            Self::PromptCompletion => "prompt-completion",
            Self::Preference => "preference",
            Self::UnpairedPreference => "unpaired-preference",
            Self::ShareGpt => "sharegpt",
            Self::Alpaca => "alpaca",
            Self::AlpacaText => "alpaca-text",
            Self::OpenAi => "openai",
            Self::Hh => "hh",
            Self::HhText => "hh-text",
            Self::Ranking => "ranking",
        }
    }

    /// The format of a record by its columns; none where no format has them.
    pub(super) fn detect(row: &Row) -> Option<Self> {
        let has = |name| row.has(name);
        let transcript = |name| {
            let text = row.get(name).and_then(|value| value.as_str());
            text.is_some_and(is_transcript)
        };
        Some(if has("conversations") {
            Self::ShareGpt
        } else if has("preferred_output") || has("non_preferred_output") {
            Self::OpenAi
        } else if has("instruction") && (has("output") || has("chosen")) {
            Self::Alpaca
        } else if has("chosen") || has("rejected") {
            if !has("prompt") && transcript("chosen") && transcript("rejected") {
                Self::Hh
            } else {
                Self::Preference
            }
        } else if has("completions") && !has("labels") {
            // With labels these are TRL's steps of one answer.
            Self::Ranking
        } else if has("label") && (has("prompt") || has("completion")) {
            Self::UnpairedPreference
        } else if has("completion") {
            Self::PromptCompletion
        } else if has("messages") || has("text") {
            Self::LanguageModeling
        } else if has("prompt") {
            Self::PromptOnly
        } else {
            return None;
        })
    }
}

impl Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.name() == name);
        known.ok_or_else(|| {
            format!(
                "no format is called {name:?}, expected {}",
                Self::ALL.map(Self::name).join(", ")
            )
        })
    }
}

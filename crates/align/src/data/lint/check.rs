//! What can be amiss, how bad it is, and in which words it is told.

use serde::Serialize;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It would ruin a run.
    Error,
    /// It is worth a look.
    Warning,
}

/// What is amiss with how many records.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub check: Check,
    /// How many records.
    pub count: usize,
    /// Of how many that it can be amiss with.
    pub of: usize,
    /// In words.
    pub message: String,
    /// The first such record, or what was said of it.
    pub first: Option<String>,
}

/// What can be amiss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// There are no records at all.
    NoRecords,
    /// A record cannot be read.
    Unreadable,
    /// The chat template or the tokenizer does not take a record.
    Refused,
    /// Answers do not end with a token that the model stops at, or it does not count in the loss.
    StopToken,
    /// Sequences are longer than the model's context.
    Context,
    /// Unpaired preferences are all good or all bad.
    OneLabel,
    /// Nothing that counts in the loss is left of a sequence.
    NothingLeft,
    /// The end of an answer is cut off, and with it the token that the model stops at.
    StopTokenCut,
    /// Sequences are cut.
    Truncated,
    /// An answer is empty.
    EmptyCompletion,
    /// A prompt is empty.
    EmptyPrompt,
    /// The better answer is the worse one, or an answer is ranked twice.
    IdenticalPair,
    /// A record has been there before.
    Duplicate,
    /// The tokens of a prompt change where an answer follows.
    PromptDiffers,
    /// The tokens of a text are those of another text.
    RoundTrip,
    /// A text begins with two tokens that begin sequences.
    DoubledStart,
    /// The better answers are mostly the longer ones.
    ChosenLonger,
    /// The better answers are mostly the shorter ones.
    ChosenShorter,
}

impl Check {
    /// All of them, the worst first.
    pub(super) const ALL: [Self; 18] = [
        Self::NoRecords,
        Self::Unreadable,
        Self::Refused,
        Self::StopToken,
        Self::Context,
        Self::OneLabel,
        Self::NothingLeft,
        Self::StopTokenCut,
        Self::Truncated,
        Self::EmptyCompletion,
        Self::EmptyPrompt,
        Self::IdenticalPair,
        Self::Duplicate,
        Self::PromptDiffers,
        Self::RoundTrip,
        Self::DoubledStart,
        Self::ChosenLonger,
        Self::ChosenShorter,
    ];

    /// How bad it is where it is amiss with `count` records of `of`. Training stops at some things, learns to live with others, and
    /// is ruined by the rest where they are in most of the data.
    pub(super) fn severity(self, count: usize, of: usize) -> Severity {
        match self {
            Self::NoRecords | Self::Unreadable | Self::Refused | Self::Context | Self::OneLabel => Severity::Error,
            Self::PromptDiffers | Self::RoundTrip | Self::ChosenLonger | Self::ChosenShorter => Severity::Warning,
            _ if 2 * count > of => Severity::Error,
            _ => Severity::Warning,
        }
    }

    /// What it means, after the number of records.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NoRecords => "there are no records",
            Self::Unreadable => "cannot be read: training would stop there",
            Self::Refused => "cannot be made tokens of: training would stop there",
            Self::StopToken => {
                "do not end with a token that the model stops at and that counts in the loss: it would not learn to stop"
            }
            Self::Context => "are longer than the model's context: lower --max-length",
            Self::OneLabel => "have the same label: nothing is told apart",
            Self::NothingLeft => "have nothing left to learn after truncation and are dropped: raise --max-length",
            Self::StopTokenCut => "lose the token that ends the answer to truncation: the model learns to go on",
            Self::Truncated => "are cut to --max-length",
            Self::EmptyCompletion => "have an empty answer",
            Self::EmptyPrompt => "have an empty prompt",
            Self::IdenticalPair => {
                "have one answer as the better and as the worse one: nothing is to be learnt from that"
            }
            Self::Duplicate => "have been there before",
            Self::PromptDiffers => {
                "have a prompt whose tokens change where an answer follows: the model is trained on another context than it \
                 will see"
            }
            Self::RoundTrip => "decode to another text than was encoded",
            Self::DoubledStart => "begin twice: the text spells out the token that the tokenizer puts before it",
            Self::ChosenLonger => {
                "pairs of unequal length have the longer answer as the better one: the model can learn length instead of what \
                 is meant"
            }
            Self::ChosenShorter => {
                "pairs of unequal length have the shorter answer as the better one: the model can learn length instead of what \
                 is meant"
            }
        }
    }
}

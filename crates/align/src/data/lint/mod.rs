//! What is wrong with data, before anything is trained on them.
//!
//! [`lint`](fn@lint) reads all records once, makes of each what a trainer would see, and counts what is amiss. Memory is that of
//! a record and of a hash for each record, by which duplicates are found.

mod check;
mod linter;
mod shown;

use etude_lm::chat_template::ChatTemplate;
use etude_lm::tokenizer::Tokenizer;
use serde::Serialize;

use super::dataset::Records;
use super::tokenize::LossOptions;
use super::truncate::Truncation;
use crate::AlignError;
pub use check::{Check, Finding, Severity};
use linter::Linter;
pub use shown::{Piece, PieceKind, ShownRecord, ShownSequence};

/// The model that is to be trained, as far as data concern it.
#[derive(Debug, Clone, Copy)]
pub struct LintModel<'a> {
    /// Text to tokens and back.
    pub tokenizer: &'a Tokenizer,
    /// Conversations to text.
    pub chat_template: Option<&'a ChatTemplate>,
    /// Tokens that end an answer.
    pub stop_tokens: &'a [u32],
    /// The longest sequence that it reads.
    pub context: usize,
}

/// How the model is to be trained.
#[derive(Debug, Clone, Copy, Default)]
pub struct LintOptions {
    /// What counts in the loss of supervised fine-tuning.
    pub loss: LossOptions,
    /// How sequences are cut.
    pub truncation: Truncation,
    /// How many records are shown, the first ones.
    pub shown: usize,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct LintReport {
    /// The format of the columns; none where no record could be read.
    pub format: Option<&'static str>,
    /// Records that were read.
    pub records: usize,
    /// Columns that no trainer looks at; reward functions are given them.
    pub other_columns: Vec<String>,
    /// Of whole sequences.
    pub tokens: Tokens,
    /// What is cut off.
    pub truncation: Cut,
    /// Of preferences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Pairs>,
    /// Of unpaired preferences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// What is amiss, the worst first.
    pub findings: Vec<Finding>,
    /// The first records, as the model sees them.
    pub shown: Vec<ShownRecord>,
}

impl LintReport {
    /// Whether something would ruin a run.
    pub fn is_ruinous(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Tokens of sequences, before they are cut.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tokens {
    /// How many sequences there are: two of each preference.
    pub sequences: usize,
    /// Of all sequences.
    pub total: usize,
    /// Of these, those that count in the loss.
    pub supervised: usize,
    /// Of the longest sequence.
    pub longest: usize,
}

/// What truncation does.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cut {
    /// Tokens of the longest sequence that is allowed; none where nothing is cut.
    pub max_length: Option<usize>,
    /// Which end is kept.
    pub mode: &'static str,
    /// Sequences that lose tokens.
    pub sequences: usize,
    /// Tokens that are lost.
    pub tokens: usize,
    /// Of these, those that count in the loss.
    pub supervised: usize,
}

/// How long better and worse answers are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pairs {
    /// Tokens of a better answer, on average.
    pub chosen_tokens: f64,
    /// Tokens of a worse answer, on average.
    pub rejected_tokens: f64,
    /// The share of pairs in which the better answer is the longer one, of those with one.
    pub chosen_longer: f64,
}

/// How many answers are good and bad.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Labels {
    /// Good ones.
    pub desirable: usize,
    /// Bad ones.
    pub undesirable: usize,
}

/// Looks all records over. `progress` is told after each how many have been read, and ends the reading by false.
///
/// A record that cannot be read is a finding, not an error.
///
/// # Errors
/// A file cannot be opened or read to its end.
pub fn lint(
    records: &mut Records,
    model: &LintModel<'_>,
    options: &LintOptions,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<LintReport, AlignError> {
    let mut linter = Linter::new(*model, *options);
    for (index, record) in records.by_ref().enumerate() {
        match record {
            Ok(record) => linter.look_at(&record),
            Err(error @ (AlignError::Read { .. } | AlignError::File { .. })) => return Err(error),
            Err(error) => linter.unreadable(&error),
        }
        if !progress(index + 1) {
            break;
        }
    }
    Ok(linter.finish(records.format()))
}

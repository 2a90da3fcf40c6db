//! Records as a model sees them.

use std::ops::Range;

use etude_lm::tokenizer::Tokenizer;
use serde::Serialize;

use crate::data::example::Tokenized;

/// A record as tokens, in words.
#[derive(Debug, Clone, Serialize)]
pub struct ShownRecord {
    /// Where it comes from.
    pub place: String,
    /// One sequence, or those with better and worse answers.
    pub sequences: Vec<ShownSequence>,
}

/// A sequence.
#[derive(Debug, Clone, Serialize)]
pub struct ShownSequence {
    /// Which part of the record it has.
    pub name: &'static str,
    /// Its tokens.
    pub tokens: usize,
    /// Its text.
    pub pieces: Vec<Piece>,
}

/// Tokens of one kind that follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// What they decode to.
    pub text: String,
    /// What becomes of them.
    pub kind: PieceKind,
}

/// What becomes of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PieceKind {
    /// It is read.
    Context,
    /// It counts in the loss.
    Supervised,
    /// It is cut off.
    Cut,
}

impl ShownSequence {
    /// A whole sequence, of which `kept` is left.
    pub(super) fn new(name: &'static str, sequence: &Tokenized, kept: &Range<usize>, tokenizer: &Tokenizer) -> Self {
        let kind = |index: usize| match sequence.loss[index] {
            _ if !kept.contains(&index) => PieceKind::Cut,
            true => PieceKind::Supervised,
            false => PieceKind::Context,
        };
        let kinds: Vec<PieceKind> = (0..sequence.ids.len()).map(kind).collect();
        let mut start = 0;
        let mut pieces = Vec::new();
        for run in kinds.chunk_by(|one, other| one == other) {
            let ids = &sequence.ids[start..start + run.len()];
            start += run.len();
            pieces.push(Piece {
                // The ids come from this tokenizer.
                text: tokenizer.decode(ids, false).unwrap_or_default(),
                kind: run[0],
            });
        }
        Self {
            name,
            tokens: sequence.ids.len(),
            pieces,
        }
    }
}

//! Tokens to train on.

use serde::{Deserialize, Serialize};

use super::truncate::{Truncation, TruncationMode};

/// A sequence with its loss mask.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tokenized {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Whether each token counts in the loss. The first never does, since nothing comes before it that could predict it.
    pub loss: Vec<bool>,
    /// The end of the prompt that the sequence does not have, since prompt and answer together become other tokens than the
    /// prompt alone. The model then learns to answer something else than it will be asked.
    pub lost_prompt: Vec<u32>,
}

/// A better and a worse answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedPreference {
    /// What both begin with.
    pub prompt: Vec<u32>,
    /// The rest of the better answer.
    pub chosen: Vec<u32>,
    /// The rest of the worse answer.
    pub rejected: Vec<u32>,
    /// As [`Tokenized::lost_prompt`].
    pub lost_prompt: Vec<u32>,
}

/// Answers that are ranked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedRanking {
    /// What all begin with.
    pub prompt: Vec<u32>,
    /// The rest of each, the best first.
    pub completions: Vec<Vec<u32>>,
    /// As [`Tokenized::lost_prompt`].
    pub lost_prompt: Vec<u32>,
}

/// An answer that is good or bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizedCompletion {
    /// What is answered.
    pub prompt: Vec<u32>,
    /// The answer.
    pub completion: Vec<u32>,
    /// Whether it is a good one.
    pub label: bool,
    /// As [`Tokenized::lost_prompt`].
    pub lost_prompt: Vec<u32>,
}

impl Tokenized {
    pub(super) fn new(ids: Vec<u32>, mut loss: Vec<bool>, lost_prompt: Vec<u32>) -> Self {
        if let Some(first) = loss.first_mut() {
            *first = false;
        }
        Self { ids, loss, lost_prompt }
    }

    /// A prompt and its answer, of which the answer counts.
    pub fn answer(prompt: &[u32], completion: &[u32]) -> Self {
        let loss = (0..prompt.len() + completion.len()).map(|index| index >= prompt.len());
        Self::new([prompt, completion].concat(), loss.collect(), Vec::new())
    }

    /// Tokens that count in the loss.
    pub fn supervised(&self) -> usize {
        self.loss.iter().filter(|counts| **counts).count()
    }

    /// Cuts the sequence; none where no token that counts is left, as SFT drops it.
    pub fn truncated(self, truncation: &Truncation) -> Option<Self> {
        let kept = truncation.kept(self.ids.len());
        let cut = Self::new(
            self.ids[kept.clone()].to_vec(),
            self.loss[kept].to_vec(),
            self.lost_prompt,
        );
        (cut.supervised() > 0).then_some(cut)
    }
}

impl TokenizedPreference {
    /// Both sequences, the better one first, with the answers as what counts, and cut; none where the prompt alone fills them,
    /// as DPO drops them, and where one is empty.
    pub fn sequences(&self, truncation: &Truncation) -> Option<[Tokenized; 2]> {
        let cut = |answer: &[u32]| cut(&self.prompt, answer, truncation);
        Some([cut(&self.chosen)?, cut(&self.rejected)?])
    }
}

impl TokenizedRanking {
    /// The sequences of at most `max_length` tokens, the best first; none where fewer than two are left. A reward model reads the whole of
    /// an answer or nothing, as TRL's drops pairs.
    pub fn sequences(&self, max_length: usize) -> Option<Vec<Tokenized>> {
        let whole = self
            .completions
            .iter()
            .map(|answer| Tokenized::answer(&self.prompt, answer));
        let fits = |sequence: &Tokenized| (1..=max_length).contains(&sequence.ids.len());
        let fitting: Vec<Tokenized> = whole.filter(fits).collect();
        (fitting.len() > 1).then_some(fitting)
    }
}

impl TokenizedCompletion {
    /// The sequence, with the answer as what counts, and cut; none where the prompt alone fills it, as KTO drops it.
    pub fn sequence(&self, truncation: &Truncation) -> Option<Tokenized> {
        cut(&self.prompt, &self.completion, truncation)
    }
}

fn cut(prompt: &[u32], answer: &[u32], truncation: &Truncation) -> Option<Tokenized> {
    let fills = truncation.max_length.is_some_and(|most| prompt.len() >= most);
    if fills && truncation.mode == TruncationMode::KeepStart {
        return None;
    }
    let whole = Tokenized::answer(prompt, answer);
    if whole.ids.is_empty() {
        return None;
    }
    let kept = truncation.kept(whole.ids.len());
    Some(Tokenized::new(
        whole.ids[kept.clone()].to_vec(),
        whole.loss[kept].to_vec(),
        Vec::new(),
    ))
}

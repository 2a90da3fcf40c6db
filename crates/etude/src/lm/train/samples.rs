//! What a model answers to some prompts.

use etude_kernels::Precision;
use etude_lm::LmError;
use etude_lm::cpu_decoder::CpuDecoder;
use etude_lm::decoder::Decoder;
use etude_lm::engine::{Engine, EngineOptions, Request};
use etude_lm::tokenizer::Tokenizer;

/// Prompts, and how they are answered: by the likeliest tokens, always.
pub(super) struct Samples {
    pub(super) prompts: Vec<Vec<u32>>,
    pub(super) max_tokens: usize,
    pub(super) stop_tokens: Vec<u32>,
}

impl Samples {
    /// The texts of the answers, in the order of the prompts.
    ///
    /// # Errors
    /// The model does not take a prompt.
    pub(super) fn answers(&self, decoder: &Decoder, tokenizer: &Tokenizer) -> Result<Vec<String>, LmError> {
        let decoder = CpuDecoder::load(decoder.config().clone(), &decoder.checkpoint(), Precision::F32)?;
        let requests = self.prompts.iter().map(|prompt| Request {
            stop_tokens: self.stop_tokens.clone(),
            ..Request::new(prompt.clone(), self.max_tokens)
        });
        let completions = Engine::new(&decoder, EngineOptions::default()).complete(requests)?;
        let texts = completions.iter().map(|completion| {
            let tokens: Vec<u32> = completion.tokens.iter().map(|generated| generated.token).collect();
            tokenizer.decode(&tokens, true)
        });
        texts.collect()
    }

    /// The end of each prompt, as text.
    ///
    /// # Errors
    /// A token is not in the vocabulary.
    pub(super) fn shown(&self, tokenizer: &Tokenizer) -> Result<Vec<String>, LmError> {
        const LAST: usize = 48;
        let ends = self.prompts.iter().map(|prompt| {
            let start = prompt.len().saturating_sub(LAST);
            tokenizer.decode(&prompt[start..], false)
        });
        ends.collect()
    }
}

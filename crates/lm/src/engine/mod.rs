//! Generation with continuous batching: requests join and leave between any two steps (Yu et al. 2022, Orca), and long prompts
//! are read in chunks beside answers that go on (Agrawal et al. 2023, Sarathi).
//!
//! A request gives the same tokens and the same log-probabilities alone and in any batch, since in the decoder what becomes of a
//! token depends on its own sequence alone, bit by bit, and each request draws from random numbers of its own.

mod request;
mod sampling;
mod text;

use std::collections::{BTreeMap, VecDeque};

use etude_kernels::linear_cross_entropy::LogSumExp;
use rayon::prelude::*;

use crate::cpu_decoder::{Cache, CpuDecoder, Sequence, Workspace};
use crate::error::LmError;

pub use request::{Completion, Event, FinishReason, GeneratedToken, LogProbabilities, Request, RequestId};
pub use sampling::Sampling;
use sampling::{Sampler, alternatives};
pub use text::{TextEngine, TextEvent, TextRequest};

/// Rows of logits that are computed at a time where a prompt is scored.
const SCORED_ROWS: usize = 16;

/// How much the engine does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// The most requests that are worked on at a time; others wait.
    pub max_batch: usize,
    /// The most tokens of prompts that are read in one step.
    pub prefill_chunk: usize,
    /// Every sequence has room for this many tokens at least, in keys and values. A conversation whose next turn fits goes on
    /// where the last one ended.
    pub cache_capacity: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            max_batch: 8,
            prefill_chunk: 512,
            cache_capacity: 0,
        }
    }
}

/// Answers requests with a decoder, many at a time.
#[derive(Debug)]
pub struct Engine<'a> {
    decoder: &'a CpuDecoder,
    options: EngineOptions,
    waiting: VecDeque<Running>,
    running: Vec<Running>,
    /// Caches of requests that have ended: what the next prompt has in common with one of them need not be read again.
    retired: Vec<Cache>,
    workspace: Workspace,
    logits: Vec<f32>,
    /// What happened since the last step.
    events: Vec<Event>,
    next_id: u64,
}

/// A request that has not ended.
#[derive(Debug)]
struct Running {
    id: RequestId,
    request: Request,
    sampler: Sampler,
    cache: Option<Cache>,
    /// What the decoder has to read: the prompt, and what was generated.
    tokens: Vec<u32>,
    prompt_log_probabilities: Vec<f32>,
    /// Tokens that are read in this step.
    reading: usize,
}

impl Running {
    /// Tokens that the cache holds.
    fn read(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::len)
    }

    fn unread(&self) -> usize {
        self.tokens.len() - self.read()
    }

    fn generated(&self) -> usize {
        self.tokens.len() - self.request.prompt.len()
    }

    /// Whether this step has read the last of what there is.
    fn is_read(&self) -> bool {
        self.reading > 0 && self.unread() == 0
    }

    /// The token that follows what was read.
    fn draw(&mut self, logits: &[f32]) -> Result<GeneratedToken, LmError> {
        check_finite(logits)?;
        let token = self.sampler.draw(logits);
        let log_probabilities = self.request.log_probabilities.map(|count| {
            let sum = LogSumExp::of(logits);
            let of = |token: u32| sum.log_probability(logits[token as usize]);
            LogProbabilities {
                token: of(token),
                alternatives: (alternatives(logits, count).into_iter())
                    .map(|token| (token, of(token)))
                    .collect(),
            }
        });
        Ok(GeneratedToken {
            token,
            log_probabilities,
        })
    }
}

impl<'a> Engine<'a> {
    /// An engine without requests.
    ///
    /// # Panics
    /// An option is 0.
    pub fn new(decoder: &'a CpuDecoder, options: EngineOptions) -> Self {
        assert!(
            options.max_batch > 0 && options.prefill_chunk > 0,
            "{options:?}: at least 1 of each"
        );
        Self {
            decoder,
            options,
            waiting: VecDeque::new(),
            running: Vec::new(),
            retired: Vec::new(),
            workspace: Workspace::default(),
            logits: Vec::new(),
            events: Vec::new(),
            next_id: 0,
        }
    }

    /// The decoder.
    pub fn decoder(&self) -> &'a CpuDecoder {
        self.decoder
    }

    /// Whether no request is left.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty() && self.events.is_empty()
    }

    /// Takes a request on. It is worked on from the next [`step`](Self::step) on, or as soon as there is room.
    ///
    /// # Errors
    /// The prompt is empty, has a token that the decoder does not know, or leaves no room in the context; or a setting is out of
    /// range.
    pub fn submit(&mut self, request: Request) -> Result<RequestId, LmError> {
        let config = self.decoder.config();
        request.sampling.check(config.vocabulary)?;
        if request.prompt.is_empty() {
            return Err(LmError::EmptyPrompt);
        }
        if let Some(&token) = request
            .prompt
            .iter()
            .find(|&&token| token as usize >= config.vocabulary)
        {
            return Err(LmError::TokenId {
                id: token,
                size: config.vocabulary,
            });
        }
        // The last token that is generated need not be read.
        let needed = request.prompt.len() + request.max_tokens.max(1) - 1;
        if needed > config.context {
            return Err(LmError::Context {
                prompt: request.prompt.len(),
                max_tokens: request.max_tokens,
                context: config.context,
            });
        }
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.waiting.push_back(Running {
            id,
            sampler: Sampler::new(request.sampling.clone(), &request.prompt),
            cache: None,
            tokens: request.prompt.clone(),
            prompt_log_probabilities: Vec::new(),
            reading: 0,
            request,
        });
        Ok(id)
    }

    /// Ends a request; the next step reports it. A request that is not there is none of this function's business.
    pub fn cancel(&mut self, id: RequestId) {
        if let Some(index) = self.waiting.iter().position(|running| running.id == id) {
            self.waiting.remove(index);
        } else if let Some(index) = self.running.iter().position(|running| running.id == id) {
            let running = self.running.remove(index);
            self.retire(running);
        } else {
            return;
        }
        self.events.push(Event::Finished {
            id,
            reason: FinishReason::Cancelled,
        });
    }

    /// Reads the next chunk of every prompt that is not read yet, and gives every other request its next token.
    ///
    /// # Errors
    /// The decoder's numbers are not finite. All requests are gone then.
    pub fn step(&mut self) -> Result<Vec<Event>, LmError> {
        self.admit();
        if !self.running.is_empty() {
            let result = self.read().and_then(|()| self.draw());
            if let Err(error) = result {
                self.running.clear();
                self.waiting.clear();
                self.retired.clear();
                return Err(error);
            }
        }
        Ok(std::mem::take(&mut self.events))
    }

    /// Answers requests, in their order.
    ///
    /// # Errors
    /// As [`submit`](Self::submit) and [`step`](Self::step).
    ///
    /// # Panics
    /// There are requests in the engine already.
    pub fn complete(&mut self, requests: impl IntoIterator<Item = Request>) -> Result<Vec<Completion>, LmError> {
        assert!(self.is_idle(), "an engine with other requests");
        let ids = requests
            .into_iter()
            .map(|request| self.submit(request))
            .collect::<Result<Vec<_>, _>>();
        let ids = ids.inspect_err(|_| self.waiting.clear())?;
        let mut completions: BTreeMap<RequestId, Completion> = ids
            .iter()
            .map(|&id| {
                let empty = Completion {
                    tokens: Vec::new(),
                    reason: FinishReason::Length,
                    prompt_log_probabilities: Vec::new(),
                };
                (id, empty)
            })
            .collect();
        while !self.is_idle() {
            for event in self.step()? {
                match event {
                    Event::PromptRead { id, log_probabilities } => {
                        completions
                            .entry(id)
                            .and_modify(|it| it.prompt_log_probabilities = log_probabilities);
                    }
                    Event::Token { id, token } => {
                        completions.entry(id).and_modify(|it| it.tokens.push(token));
                    }
                    Event::Finished { id, reason } => {
                        completions.entry(id).and_modify(|it| it.reason = reason);
                    }
                }
            }
        }
        Ok(completions.into_values().collect())
    }

    /// The log-probability of each token of each text but its first, given those before.
    ///
    /// # Errors
    /// As [`complete`](Self::complete).
    pub fn score(&mut self, texts: impl IntoIterator<Item = Vec<u32>>) -> Result<Vec<Vec<f32>>, LmError> {
        let requests = texts.into_iter().map(|text| Request {
            score_prompt: true,
            ..Request::new(text, 0)
        });
        let completions = self.complete(requests)?;
        Ok(completions
            .into_iter()
            .map(|completion| completion.prompt_log_probabilities)
            .collect())
    }

    /// Moves requests that wait to where there is room, each with the memory that it may need.
    fn admit(&mut self) {
        while self.running.len() < self.options.max_batch
            && let Some(mut running) = self.waiting.pop_front()
        {
            let needed = running.request.prompt.len() + running.request.max_tokens;
            let capacity = needed
                .max(self.options.cache_capacity)
                .min(self.decoder.config().context);
            running.cache = Some(self.cache(&running, capacity));
            self.running.push(running);
        }
    }

    /// The retired cache that has most in common with the prompt, or a new one.
    fn cache(&mut self, running: &Running, capacity: usize) -> Cache {
        // The last token has to be read in any case, and every one whose successor is scored.
        let reusable = if running.request.score_prompt {
            0
        } else {
            running.request.prompt.len() - 1
        };
        let common = |cache: &Cache| {
            let pairs = cache.tokens().iter().zip(&running.request.prompt[..reusable]);
            pairs.take_while(|(cached, token)| cached == token).count()
        };
        let fitting = self
            .retired
            .iter()
            .enumerate()
            .filter(|(_, cache)| cache.capacity() >= capacity);
        match fitting.map(|(index, cache)| (common(cache), index)).max() {
            Some((length, index)) => {
                let mut cache = self.retired.swap_remove(index);
                cache.truncate(length);
                cache
            }
            None => self.decoder.cache(capacity),
        }
    }

    fn retire(&mut self, running: Running) {
        if let Some(cache) = running.cache {
            self.retired.push(cache);
            if self.retired.len() > self.options.max_batch {
                self.retired.remove(0);
            }
        }
    }

    /// One pass of the decoder over the next tokens of every request.
    fn read(&mut self) -> Result<(), LmError> {
        let mut budget = self.options.prefill_chunk;
        for running in &mut self.running {
            let unread = running.unread();
            // Answers go on whatever prompts there are.
            running.reading = if running.generated() > 0 {
                unread
            } else {
                unread.min(budget)
            };
            if running.generated() == 0 {
                budget -= running.reading;
            }
        }
        let mut sequences: Vec<Sequence<'_>> = Vec::with_capacity(self.running.len());
        for running in &mut self.running {
            let start = running.read();
            if let Some(cache) = &mut running.cache
                && running.reading > 0
            {
                sequences.push(Sequence {
                    tokens: &running.tokens[start..start + running.reading],
                    cache,
                });
            }
        }
        self.decoder.forward(&mut sequences, &mut self.workspace)
    }

    /// Scores and tokens from what was read.
    fn draw(&mut self) -> Result<(), LmError> {
        let vocabulary = self.decoder.config().vocabulary;
        // The rows whose successors are drawn, all in one product.
        let mut rows = Vec::new();
        let mut first = 0;
        for running in &mut self.running {
            let count = running.reading;
            if running.request.score_prompt && running.generated() == 0 {
                score(self.decoder, &mut self.workspace, first, running, &mut self.logits)?;
            }
            first += count;
            if running.is_read() && running.request.max_tokens > 0 {
                rows.push(first - 1);
            }
        }
        self.decoder.logits(&mut self.workspace, &rows, &mut self.logits);
        let drawing = self
            .running
            .iter_mut()
            .filter(|running| running.is_read() && running.request.max_tokens > 0);
        let drawing: Vec<_> = drawing.zip(self.logits.chunks_exact(vocabulary)).collect();
        // Each draws from random numbers of its own.
        let drawn: Vec<Result<GeneratedToken, LmError>> = drawing
            .into_par_iter()
            .map(|(running, logits)| running.draw(logits))
            .collect();
        let mut drawn = drawn.into_iter();
        let mut ended = Vec::new();
        for (index, running) in self.running.iter_mut().enumerate() {
            if !running.is_read() {
                continue;
            }
            let id = running.id;
            if running.generated() == 0 {
                let log_probabilities = std::mem::take(&mut running.prompt_log_probabilities);
                self.events.push(Event::PromptRead { id, log_probabilities });
            }
            let mut reason = None;
            if running.request.max_tokens == 0 {
                reason = Some(FinishReason::Length);
            } else if let Some(generated) = drawn.next() {
                let generated = generated?;
                let token = generated.token;
                running.tokens.push(token);
                self.events.push(Event::Token { id, token: generated });
                if running.request.stop_tokens.contains(&token) {
                    reason = Some(FinishReason::Stop);
                } else if running.generated() == running.request.max_tokens {
                    reason = Some(FinishReason::Length);
                }
            }
            if let Some(reason) = reason {
                self.events.push(Event::Finished { id, reason });
                ended.push(index);
            }
        }
        for index in ended.into_iter().rev() {
            let running = self.running.remove(index);
            self.retire(running);
        }
        Ok(())
    }
}

/// Log-probabilities of the tokens that follow those which `running` has just read, whose rows begin at `first`.
fn score(
    decoder: &CpuDecoder,
    workspace: &mut Workspace,
    first: usize,
    running: &mut Running,
    logits: &mut Vec<f32>,
) -> Result<(), LmError> {
    let start = running.read() - running.reading;
    // Nothing follows the prompt's last token yet.
    let count = running.reading.min(running.request.prompt.len() - 1 - start);
    let rows: Vec<usize> = (first..first + count).collect();
    let mut targets = running.request.prompt[start + 1..].iter();
    for rows in rows.chunks(SCORED_ROWS) {
        decoder.logits(workspace, rows, logits);
        for (row, &target) in logits.chunks_exact(decoder.config().vocabulary).zip(&mut targets) {
            check_finite(row)?;
            let log_probability = LogSumExp::of(row).log_probability(row[target as usize]);
            running.prompt_log_probabilities.push(log_probability);
        }
    }
    Ok(())
}

fn check_finite(logits: &[f32]) -> Result<(), LmError> {
    // Without a branch for each of them.
    let finite = logits.iter().fold(true, |finite, logit| finite & logit.is_finite());
    if finite { Ok(()) } else { Err(LmError::Logits) }
}

//! Answers as text: whole characters as they come, and stop strings wherever they begin and end.

use std::collections::BTreeMap;

use super::{Engine, EngineOptions, Event, FinishReason, GeneratedToken, Request, RequestId};
use crate::cpu_decoder::CpuDecoder;
use crate::error::LmError;
use crate::tokenizer::{StreamDecoder, Tokenizer};

/// Tokens to continue, and the strings that end the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct TextRequest {
    /// The tokens, and how they are continued.
    pub request: Request,
    /// The answer ends before the first of these, whatever tokens it is made of.
    pub stop_strings: Vec<String>,
}

/// What happened to a request in a step.
#[derive(Debug, Clone, PartialEq)]
pub struct TextEvent {
    /// The request.
    pub id: RequestId,
    /// Text that is certain to belong to the answer: whole characters, and none that may begin a stop string. Often empty.
    pub text: String,
    /// The token that brought it; none where the prompt was read or the answer was ended from outside.
    pub token: Option<GeneratedToken>,
    /// Whether the prompt has just been read.
    pub prompt_read: bool,
    /// With the last event of a request, why it ended.
    pub finished: Option<FinishReason>,
}

/// An [`Engine`] that speaks text.
#[derive(Debug)]
pub struct TextEngine<'a> {
    engine: Engine<'a>,
    tokenizer: &'a Tokenizer,
    answers: BTreeMap<RequestId, Answer<'a>>,
}

#[derive(Debug)]
struct Answer<'a> {
    decoder: StreamDecoder<'a>,
    stop: StopStrings,
    stop_tokens: Vec<u32>,
}

impl<'a> TextEngine<'a> {
    /// An engine without requests.
    ///
    /// # Errors
    /// The tokenizer has tokens that the decoder does not know.
    pub fn new(decoder: &'a CpuDecoder, tokenizer: &'a Tokenizer, options: EngineOptions) -> Result<Self, LmError> {
        tokenizer.check_model(decoder.config().vocabulary)?;
        Ok(Self {
            engine: Engine::new(decoder, options),
            tokenizer,
            answers: BTreeMap::new(),
        })
    }

    /// Whether no request is left.
    pub fn is_idle(&self) -> bool {
        self.engine.is_idle()
    }

    /// Takes a request on.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub fn submit(&mut self, request: TextRequest) -> Result<RequestId, LmError> {
        let stop_tokens = request.request.stop_tokens.clone();
        let id = self.engine.submit(request.request)?;
        let answer = Answer {
            decoder: StreamDecoder::continuing(self.tokenizer, true),
            stop: StopStrings::new(request.stop_strings),
            stop_tokens,
        };
        self.answers.insert(id, answer);
        Ok(id)
    }

    /// Ends a request; the next step hands out the text that was held back, and reports the end.
    pub fn cancel(&mut self, id: RequestId) {
        self.engine.cancel(id);
    }

    /// A step of the engine.
    ///
    /// # Errors
    /// As [`Engine::step`].
    pub fn step(&mut self) -> Result<Vec<TextEvent>, LmError> {
        let events = self.engine.step().inspect_err(|_| self.answers.clear())?;
        let mut told: Vec<TextEvent> = Vec::with_capacity(events.len());
        for event in events {
            match event {
                Event::PromptRead { id, .. } => told.push(TextEvent {
                    id,
                    text: String::new(),
                    token: None,
                    prompt_read: true,
                    finished: None,
                }),
                Event::Token { id, token } => told.extend(self.token(id, token)),
                Event::Finished { id, reason } => {
                    // Not there where a stop string ended it already.
                    let Some(Answer { decoder, mut stop, .. }) = self.answers.remove(&id) else {
                        continue;
                    };
                    let (mut text, stopped) = stop.push(&decoder.finish());
                    if !stopped {
                        text.push_str(&stop.finish());
                    }
                    let finished = Some(if stopped { FinishReason::Stop } else { reason });
                    // One event for the last token and the end.
                    match told.iter_mut().rfind(|event| event.id == id && event.token.is_some()) {
                        Some(last) => {
                            last.text.push_str(&text);
                            last.finished = finished;
                        }
                        None => told.push(TextEvent {
                            id,
                            text,
                            token: None,
                            prompt_read: false,
                            finished,
                        }),
                    }
                }
            }
        }
        Ok(told)
    }

    fn token(&mut self, id: RequestId, token: GeneratedToken) -> Option<TextEvent> {
        let answer = self.answers.get_mut(&id)?;
        let (text, stopped) = if answer.stop_tokens.contains(&token.token) {
            (String::new(), false)
        } else {
            // An embedding may have more rows than there are tokens: these have no text.
            answer.stop.push(&answer.decoder.push(token.token).unwrap_or_default())
        };
        if stopped {
            self.answers.remove(&id);
            self.engine.cancel(id);
        }
        let finished = stopped.then_some(FinishReason::Stop);
        Some(TextEvent {
            id,
            text,
            token: Some(token),
            prompt_read: false,
            finished,
        })
    }
}

/// Text that may turn out to be the beginning of a stop string.
#[derive(Debug)]
struct StopStrings {
    strings: Vec<String>,
    held: String,
}

impl StopStrings {
    fn new(mut strings: Vec<String>) -> Self {
        strings.retain(|string| !string.is_empty());
        Self {
            strings,
            held: String::new(),
        }
    }

    /// Adds text; returns what is certain to come before any stop string, and whether one is complete.
    fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        if let Some(start) = self
            .strings
            .iter()
            .filter_map(|string| self.held.find(string.as_str()))
            .min()
        {
            self.held.truncate(start);
            return (std::mem::take(&mut self.held), true);
        }
        let may_begin = |start: usize| {
            self.strings
                .iter()
                .any(|string| string.starts_with(&self.held[start..]))
        };
        let certain = self
            .held
            .char_indices()
            .map(|(start, _)| start)
            .find(|&start| may_begin(start));
        let certain = certain.unwrap_or(self.held.len());
        (self.held.drain(..certain).collect(), false)
    }

    /// What was held back, as nothing follows it.
    fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_beginning_of_a_stop_string_is_held_back() {
        let mut stop = StopStrings::new(vec!["</s>".into(), "\n\n".into()]);
        assert_eq!(stop.push("one <"), ("one ".into(), false));
        assert_eq!(stop.push("/b>\n"), ("</b>".into(), false));
        assert_eq!(stop.push("two</"), ("\ntwo".into(), false));
        assert_eq!(stop.push("s>three"), (String::new(), true));
    }

    #[test]
    fn what_was_held_back_belongs_to_an_answer_that_ends() {
        let mut stop = StopStrings::new(vec!["END".into()]);
        assert_eq!(stop.push("an EN"), ("an ".into(), false));
        assert_eq!(stop.finish(), "EN");
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_text_gives(pieces in prop::collection::vec("[abä]{0,4}", 0..12), strings in prop::collection::vec("[abä]{0,4}", 0..3)) {
            let whole = pieces.concat();
            let mut stop = StopStrings::new(strings.clone());
            let mut text = String::new();
            let mut stopped = false;
            for piece in &pieces {
                let (certain, now) = stop.push(piece);
                text.push_str(&certain);
                stopped = now;
                if stopped {
                    break;
                }
            }
            if !stopped {
                text.push_str(&stop.finish());
            }
            let first = strings.iter().filter(|string| !string.is_empty()).filter_map(|string| whole.find(string.as_str())).min();
            prop_assert_eq!(stopped, first.is_some());
            // Where one stop string begins before another ends, the one that is complete first ends the answer.
            match first {
                None => prop_assert_eq!(text, whole),
                Some(_) => prop_assert!(whole.starts_with(&text) && strings.iter().any(|string| !string.is_empty() && whole[text.len()..].starts_with(string.as_str()))),
            }
        }
    }
}

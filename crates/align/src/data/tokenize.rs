//! Records to tokens, as TRL's trainers make them.
//!
//! Text ends with the end-of-sequence token, which is added where it is not spelled out; conversations end as their template has
//! it. A prompt is tokenised alone and together with its answer, and the answer begins where the two differ, which is not always
//! where the prompt ends: tokens may merge across it, and templates may render a prompt differently where an answer follows.

use std::ops::Range;

use etude_lm::LmError;
use etude_lm::chat_template::{ChatTemplate, Conversation, Rendered, TemplateValue, assistant_mask};
use etude_lm::tokenizer::Tokenizer;

use super::example::{Tokenized, TokenizedCompletion, TokenizedPreference, TokenizedRanking};
use super::record::{Example, Message, Record, Text};
use crate::AlignError;

/// What counts in the loss of supervised fine-tuning, by TRL's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossOptions {
    /// The completion alone, where a record has prompt and completion.
    pub completion_only_loss: bool,
    /// What the assistant says alone, where a record is a conversation. With both, what the assistant says in the completion.
    pub assistant_only_loss: bool,
}

impl Default for LossOptions {
    /// TRL's: completions, and conversations as a whole.
    fn default() -> Self {
        Self {
            completion_only_loss: true,
            assistant_only_loss: false,
        }
    }
}

/// Makes tokens of records.
#[derive(Debug, Clone, Copy)]
pub struct ExampleTokenizer<'a> {
    tokenizer: &'a Tokenizer,
    chat_template: Option<&'a ChatTemplate>,
}

/// A text as tokens, with what of it was said by the assistant.
struct Rendering {
    ids: Vec<u32>,
    /// None where nobody has asked.
    assistant: Option<Vec<bool>>,
}

impl<'a> ExampleTokenizer<'a> {
    /// For a model with this tokenizer and, where it holds conversations, this template.
    pub fn new(tokenizer: &'a Tokenizer, chat_template: Option<&'a ChatTemplate>) -> Self {
        Self {
            tokenizer,
            chat_template,
        }
    }

    /// A record for supervised fine-tuning, as `SFTTrainer` has it before it is cut: language modelling, or prompt and
    /// completion.
    ///
    /// # Errors
    /// The record is of another kind; it is a conversation and the model has no template, or one that refuses it or does not show
    /// what the assistant says, where that is asked for; the tokenizer has no end-of-sequence token, or cannot express the text.
    pub fn language_modeling(&self, record: &Record, options: &LossOptions) -> Result<Tokenized, AlignError> {
        match &record.example {
            Example::LanguageModeling(text) => {
                let whole = self.render(record, &[text], options.assistant_only_loss)?;
                let loss = whole.assistant.unwrap_or_else(|| vec![true; whole.ids.len()]);
                Ok(Tokenized::new(whole.ids, loss, Vec::new()))
            }
            Example::PromptCompletion { prompt, completion } => {
                let alone = self.prompt(record, prompt)?;
                let whole = self.render(record, &[prompt, completion], options.assistant_only_loss)?;
                let shared = common_prefix(&alone, &whole.ids);
                let mut loss = whole.assistant.unwrap_or_else(|| vec![true; whole.ids.len()]);
                if options.completion_only_loss {
                    loss[..shared].fill(false);
                }
                Ok(Tokenized::new(whole.ids, loss, alone[shared..].to_vec()))
            }
            other => Err(wrong_kind(record, other, "language modeling, or prompt and completion")),
        }
    }

    /// A pair, as `DPOTrainer` has it before it is cut.
    ///
    /// # Errors
    /// As for [`language_modeling`](Self::language_modeling); the record must be a preference.
    pub fn preference(&self, record: &Record) -> Result<TokenizedPreference, AlignError> {
        let Example::Preference {
            prompt,
            chosen,
            rejected,
        } = &record.example
        else {
            return Err(wrong_kind(record, &record.example, "preference"));
        };
        let ranking = self.answers_to(record, prompt, &[chosen, rejected])?;
        let mut answers = ranking.completions.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        Ok(TokenizedPreference {
            prompt: ranking.prompt,
            chosen: next(),
            rejected: next(),
            lost_prompt: ranking.lost_prompt,
        })
    }

    /// Ranked answers; a preference is two of them, and then the wholes of `prompt` and each answer are what `RewardTrainer` reads.
    ///
    /// # Errors
    /// As for [`language_modeling`](Self::language_modeling); the record must be a preference or a ranking.
    pub fn ranking(&self, record: &Record) -> Result<TokenizedRanking, AlignError> {
        match &record.example {
            Example::Preference {
                prompt,
                chosen,
                rejected,
            } => self.answers_to(record, prompt, &[chosen, rejected]),
            Example::Ranking { prompt, completions } => {
                self.answers_to(record, prompt, &completions.iter().collect::<Vec<_>>())
            }
            other => Err(wrong_kind(record, other, "preference, or ranking")),
        }
    }

    /// Answers to one prompt, of which as much belongs to it as all of them begin with.
    fn answers_to(&self, record: &Record, prompt: &Text, answers: &[&Text]) -> Result<TokenizedRanking, AlignError> {
        let alone = self.prompt(record, prompt)?;
        let whole = |answer: &&Text| Ok(self.render(record, &[prompt, answer], false)?.ids);
        let wholes: Result<Vec<Vec<u32>>, AlignError> = answers.iter().map(whole).collect();
        let wholes = wholes?;
        let shared = wholes.iter().map(|whole| common_prefix(&alone, whole));
        let shared = shared.min().unwrap_or(alone.len());
        Ok(TokenizedRanking {
            prompt: alone[..shared].to_vec(),
            completions: wholes.iter().map(|whole| whole[shared..].to_vec()).collect(),
            lost_prompt: alone[shared..].to_vec(),
        })
    }

    /// An answer with its label, as `KTOTrainer` has it before it is cut.
    ///
    /// # Errors
    /// As for [`language_modeling`](Self::language_modeling); the record must be an unpaired preference.
    pub fn unpaired_preference(&self, record: &Record) -> Result<TokenizedCompletion, AlignError> {
        let Example::UnpairedPreference {
            prompt,
            completion,
            label,
        } = &record.example
        else {
            return Err(wrong_kind(record, &record.example, "unpaired preference"));
        };
        let alone = self.prompt(record, prompt)?;
        let whole = self.render(record, &[prompt, completion], false)?.ids;
        let shared = common_prefix(&alone, &whole);
        Ok(TokenizedCompletion {
            prompt: alone[..shared].to_vec(),
            completion: whole[shared..].to_vec(),
            label: *label,
            lost_prompt: alone[shared..].to_vec(),
        })
    }

    /// The prompt of a record that has one, as a model is asked to answer it: the beginning of an answer stands at the end of a
    /// conversation, or its last message is to be continued where that is the assistant's.
    ///
    /// # Errors
    /// As for [`language_modeling`](Self::language_modeling); the record must not be language modelling.
    pub fn prompt_only(&self, record: &Record) -> Result<Vec<u32>, AlignError> {
        let prompt = match &record.example {
            Example::PromptOnly(prompt)
            | Example::PromptCompletion { prompt, .. }
            | Example::Preference { prompt, .. }
            | Example::UnpairedPreference { prompt, .. }
            | Example::Ranking { prompt, .. } => prompt,
            other @ Example::LanguageModeling(_) => return Err(wrong_kind(record, other, "a kind with a prompt")),
        };
        let Text::Conversational(messages) = prompt else {
            return self.prompt(record, prompt);
        };
        if messages.last().is_none_or(|last| last.role != "assistant") {
            return self.prompt(record, prompt);
        }
        let conversation = conversation(record, messages.iter()).continue_final_message();
        let text = self.template(record)?.render(&conversation);
        let text = text.map_err(|source| model_error(record, source))?.text;
        self.encode(record, &text, false)
    }

    /// The text of a record as the model sees it: the parts one after the other, through the chat template where they are
    /// messages.
    ///
    /// # Errors
    /// As for [`language_modeling`](Self::language_modeling).
    pub(super) fn text(&self, record: &Record, parts: &[&Text]) -> Result<String, AlignError> {
        match messages(parts) {
            Some(messages) => {
                let conversation = conversation(record, messages.into_iter());
                let rendered = self.template(record)?.render(&conversation);
                Ok(rendered.map_err(|source| model_error(record, source))?.text)
            }
            None => self.standard(record, parts),
        }
    }

    /// A prompt alone, before an answer.
    fn prompt(&self, record: &Record, prompt: &Text) -> Result<Vec<u32>, AlignError> {
        match prompt {
            Text::Standard(text) => self.encode(record, text, true),
            // Answers to nothing.
            Text::Conversational(messages) if messages.is_empty() => Ok(Vec::new()),
            Text::Conversational(messages) => {
                let conversation = conversation(record, messages.iter()).add_generation_prompt();
                let rendered = self.template(record)?.render(&conversation);
                let text = rendered.map_err(|source| model_error(record, source))?.text;
                self.encode(record, &text, false)
            }
        }
    }

    /// A prompt and its answer, or a text.
    fn render(&self, record: &Record, parts: &[&Text], assistant: bool) -> Result<Rendering, AlignError> {
        let Some(messages) = messages(parts) else {
            let ids = self.encode(record, &self.standard(record, parts)?, true)?;
            return Ok(Rendering { ids, assistant: None });
        };
        let conversation = conversation(record, messages.iter().copied());
        let rendered = self
            .template(record)?
            .render(&conversation)
            .map_err(|source| model_error(record, source))?;
        if !assistant && messages.iter().all(|message| message.trained) {
            let ids = self.encode(record, &rendered.text, false)?;
            return Ok(Rendering { ids, assistant: None });
        }

        let encoded = self.tokenizer.encode_with_offsets(&rendered.text, false);
        let encoded = encoded.map_err(|source| model_error(record, source))?;
        let answers: Vec<&Message> = messages
            .iter()
            .copied()
            .filter(|message| message.role == "assistant")
            .collect();
        let spans = self.answers(record, &messages, &rendered)?;
        let mask = |keep: bool| {
            let spans = spans.iter().zip(&answers).filter(|(_, answer)| answer.trained == keep);
            let spans: Vec<Range<usize>> = spans.map(|(span, _)| span.clone()).collect();
            assistant_mask(&encoded.offsets, &spans)
        };
        let loss = if assistant {
            mask(true)
        } else {
            mask(false).into_iter().map(|excluded| !excluded).collect()
        };
        if !loss.contains(&true) {
            return Err(AlignError::Record {
                place: record.place.clone(),
                detail: "the assistant says nothing in it that counts, expected at least one answer".into(),
            });
        }
        Ok(Rendering {
            ids: encoded.ids,
            assistant: Some(loss),
        })
    }

    /// Which bytes of a rendered conversation are each answer of the assistant's: the template's own word where it has one for
    /// each, and otherwise what is added when the conversation goes on by the answer.
    fn answers(
        &self,
        record: &Record,
        messages: &[&Message],
        rendered: &Rendered,
    ) -> Result<Vec<Range<usize>>, AlignError> {
        let indices = (0..messages.len()).filter(|&index| messages[index].role == "assistant");
        let indices: Vec<usize> = indices.collect();
        if rendered.generated.len() == indices.len() {
            return Ok(rendered.generated.clone());
        }
        let template = self.template(record)?;
        let as_far_as = |end: usize, prompt: bool| {
            let conversation = conversation(record, messages[..end].iter().copied());
            let conversation = if prompt {
                conversation.add_generation_prompt()
            } else {
                conversation
            };
            let text = template.render(&conversation).ok()?.text;
            rendered.text.starts_with(&text).then_some(text.len())
        };
        let span = |index: usize| Some(as_far_as(index, true)?..as_far_as(index + 1, false)?);
        let spans: Option<Vec<_>> = indices.into_iter().map(span).collect();
        spans.ok_or_else(|| AlignError::Record {
            place: record.place.clone(),
            detail:
                "the chat template does not show what the assistant says, expected {% generation %} around it, or a \
                     conversation that begins the same way when it is cut before and after each answer"
                    .into(),
        })
    }

    fn template(&self, record: &Record) -> Result<&'a ChatTemplate, AlignError> {
        self.chat_template
            .ok_or_else(|| model_error(record, LmError::NoChatTemplate))
    }

    /// Text with its end.
    fn standard(&self, record: &Record, parts: &[&Text]) -> Result<String, AlignError> {
        let mut whole = String::new();
        let mut last = "";
        for part in parts {
            if let Text::Standard(text) = part {
                whole.push_str(text);
                last = text;
            }
        }
        let end = self
            .tokenizer
            .special_ids()
            .eos
            .and_then(|eos| self.tokenizer.token(eos));
        let end = end.ok_or_else(|| AlignError::Record {
            place: record.place.clone(),
            detail: "the model's tokenizer has no end-of-sequence token, expected one to end a text with".into(),
        })?;
        if !last.ends_with(end) {
            whole.push_str(end);
        }
        Ok(whole)
    }

    fn encode(&self, record: &Record, text: &str, add_special: bool) -> Result<Vec<u32>, AlignError> {
        self.tokenizer
            .encode(text, add_special)
            .map_err(|source| model_error(record, source))
    }
}

/// What a chat template is given for messages of a record.
fn conversation<'m>(record: &Record, messages: impl Iterator<Item = &'m Message>) -> Conversation {
    let messages: Vec<&TemplateValue> = messages.map(|message| &message.value).collect();
    let mut conversation = Conversation::new(messages);
    if let Some(tools) = &record.tools {
        conversation = conversation.tools(tools);
    }
    for (name, value) in &record.chat_template_kwargs {
        conversation = conversation.variable(name, value);
    }
    conversation
}

/// The messages of all parts; none where they are text.
fn messages<'t>(parts: &[&'t Text]) -> Option<Vec<&'t Message>> {
    let mut all = Vec::new();
    for part in parts {
        match part {
            Text::Conversational(messages) => all.extend(messages),
            Text::Standard(_) => return None,
        }
    }
    Some(all)
}

/// With how many equal tokens two sequences begin.
fn common_prefix(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

fn model_error(record: &Record, source: LmError) -> AlignError {
    AlignError::Model {
        place: record.place.clone(),
        source: Box::new(source),
    }
}

fn wrong_kind(record: &Record, found: &Example, expected: &str) -> AlignError {
    AlignError::Record {
        place: record.place.clone(),
        detail: format!("it is of the kind {}, expected {expected}", found.kind()),
    }
}

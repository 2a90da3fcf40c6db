//! `etude lm chat`: a conversation in the terminal.

mod input;

use clap::Args;
use etude_kernels::perceptron::with_helper;
use etude_lm::engine::{EngineOptions, FinishReason, Request, Sampling, TextEngine, TextRequest};
use etude_lm::{Message, Model};
use serde::Serialize;

use super::failed;
use super::open::ModelOptions;
use super::sampling::SamplingOptions;
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use input::{Input, Line};

/// What small models answer best with, where their makers recommend nothing.
const SAMPLING: Sampling = Sampling {
    temperature: 0.7,
    top_k: 0,
    top_p: 0.95,
    min_p: 0.0,
    repetition_penalty: 1.0,
    presence_penalty: 0.0,
    frequency_penalty: 0.0,
    logit_bias: Vec::new(),
    seed: 0,
};

/// Tokens of a conversation that there is room for at most: keys and values of long contexts fill gigabytes.
const LONGEST: usize = 32_768;

const HELP: &str = "\
/reset          forget the conversation
/system TEXT    say this first from now on, and forget the conversation; without a text, say nothing
/history        show the conversation
/help           show this
/exit           leave, as Ctrl-D does
Ctrl-C stops an answer.";

/// What `etude lm chat` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    /// What the system says first
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// End an answer after this many tokens
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    #[command(flatten)]
    sampling: SamplingOptions,
}

/// What `--json` prints, a line for each answer.
#[derive(Serialize)]
struct Json<'a> {
    role: &'a str,
    content: &'a str,
    tokens: &'a [u32],
    finish_reason: FinishReason,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let model = arguments.model.open(output)?;
    if model.chat_template.is_none() {
        return Err(CommandError::bad_input("cannot chat with this model")
            .because("the checkpoint has no chat template")
            .hint("`etude lm generate` continues texts with it"));
    }
    interrupt::catch()?;
    with_helper(|| converse(arguments, &model, output))
}

fn converse(arguments: &Arguments, model: &Model, output: &Output) -> Result<(), CommandError> {
    let context = model.decoder.config().context.min(LONGEST);
    // One conversation, whose keys and values stay: of the next turn only what is new is read.
    let options = EngineOptions {
        max_batch: 1,
        cache_capacity: context,
        ..EngineOptions::default()
    };
    let engine = TextEngine::new(&model.decoder, &model.tokenizer, options).map_err(|error| failed(&error))?;
    let default = model.sampling.clone().unwrap_or(SAMPLING);
    let mut chat = Chat {
        model,
        engine,
        sampling: arguments.sampling.sampling(&default),
        max_tokens: arguments.max_tokens as usize,
        context,
        messages: Vec::new(),
        output,
    };
    chat.reset(arguments.system.as_deref());
    let mut input = Input::new(output)?;
    output.note(&format!("{}: /help shows what can be done here.", model.path.display()));
    while let Some(line) = input.read()? {
        match line {
            Line::Say(text) => chat.answer(text)?,
            Line::Reset => {
                let system = chat.system().map(str::to_owned);
                chat.reset(system.as_deref());
                output.note("The conversation is forgotten.");
            }
            Line::System(text) => {
                chat.reset(text.as_deref());
                output.note("The conversation is forgotten, and the system's words are new.");
            }
            Line::History => {
                for message in &chat.messages {
                    output.line(&format!("{}: {}", message.role, message.content));
                }
            }
            Line::Help => output.note(HELP),
            Line::Unknown(command) => output.note(&format!("There is no {command}. /help shows what there is.")),
        }
    }
    Ok(())
}

struct Chat<'a> {
    model: &'a Model,
    engine: TextEngine<'a>,
    sampling: Sampling,
    max_tokens: usize,
    context: usize,
    messages: Vec<Message>,
    output: &'a Output,
}

impl Chat<'_> {
    /// What the system has said first, if anything.
    fn system(&self) -> Option<&str> {
        self.messages
            .first()
            .filter(|message| message.role == "system")
            .map(|message| message.content.as_str())
    }

    fn reset(&mut self, system: Option<&str>) {
        self.messages = system
            .map(|system| Message::new("system", system))
            .into_iter()
            .collect();
    }

    /// Answers what the user says. An answer that is stopped stays in the conversation as far as it went.
    fn answer(&mut self, text: String) -> Result<(), CommandError> {
        self.messages.push(Message::new("user", text));
        let prompt = loop {
            let prompt = self.model.encode_chat(&self.messages).map_err(|error| failed(&error))?;
            // There has to be room for an answer worth the name.
            if prompt.len() + self.max_tokens.min(self.context / 4) <= self.context {
                break prompt;
            }
            if !self.forget_oldest() {
                self.messages.pop();
                self.output.note(&format!(
                    "These are {} tokens, and the model reads {} at most: say less, or /reset.",
                    prompt.len(),
                    self.context
                ));
                return Ok(());
            }
        };
        let max_tokens = self.max_tokens.min(self.context - prompt.len());
        let request = Request {
            sampling: self.sampling.clone(),
            stop_tokens: self.model.stop_tokens.clone(),
            ..Request::new(prompt, max_tokens)
        };
        // The next answer is not to draw the same chances.
        self.sampling.seed = self.sampling.seed.wrapping_add(1);
        let id = self
            .engine
            .submit(TextRequest {
                request,
                stop_strings: Vec::new(),
            })
            .map_err(|error| failed(&error))?;
        let (mut answer, mut tokens, mut reason) = (String::new(), Vec::new(), FinishReason::Length);
        while !self.engine.is_idle() {
            if interrupt::interrupted() {
                interrupt::clear();
                self.engine.cancel(id);
            }
            for event in self.engine.step().map_err(|error| failed(&error))? {
                if !self.output.is_json() {
                    self.output.raw(event.text.as_bytes());
                }
                answer.push_str(&event.text);
                tokens.extend(event.token.map(|token| token.token));
                reason = event.finished.unwrap_or(reason);
            }
        }
        self.output.line("");
        match reason {
            FinishReason::Stop => {}
            FinishReason::Length => self.output.note("(the answer has reached --max-tokens)"),
            FinishReason::Cancelled => self.output.note("(stopped)"),
        }
        self.output.result_json(&Json {
            role: "assistant",
            content: &answer,
            tokens: &tokens,
            finish_reason: reason,
        });
        self.messages.push(Message::new("assistant", answer));
        Ok(())
    }

    /// Forgets the first question and its answer; false where there is none but the last.
    fn forget_oldest(&mut self) -> bool {
        let first = usize::from(self.system().is_some());
        if self.messages.len() < first + 3 {
            return false;
        }
        self.messages.drain(first..first + 2);
        self.output
            .note("(the conversation is too long: its oldest part is forgotten)");
        true
    }
}

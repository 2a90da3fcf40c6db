//! `etude lm generate`: prompts continued, many at a time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use etude_kernels::perceptron::with_helper;
use etude_lm::engine::{
    EngineOptions, FinishReason, LogProbabilities, Request, RequestId, TextEngine, TextEvent, TextRequest,
};
use etude_lm::{Message, Model};
use serde::Serialize;

use super::failed;
use super::open::ModelOptions;
use super::sampling::SamplingOptions;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;

/// What `etude lm generate` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    /// Texts to continue; without any, and without --prompts, standard input is one
    #[arg(value_name = "PROMPT")]
    prompts: Vec<String>,
    /// Continue every line of this file: plain text, or JSON objects with the key `prompt`
    #[arg(long = "prompts", value_name = "FILE", conflicts_with = "prompts")]
    file: Option<PathBuf>,
    /// Put each prompt into the model's chat template, as what a user says
    #[arg(long)]
    chat: bool,
    /// With --chat, what the system says first
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// Generate this many tokens at most for each prompt
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// Answer each prompt this often; the seed goes up by one each time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    samples: u32,
    /// End an answer before this text; may be given again
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Go on where the model would end its answer
    #[arg(long)]
    ignore_eos: bool,
    /// Report the log-probability of every token, and of this many of the likeliest ones beside it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=100))]
    logprobs: Option<u16>,
    /// Work on this many prompts at a time
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "Run options", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    #[command(flatten)]
    sampling: SamplingOptions,
}

/// What `--json` prints, a line for each answer.
#[derive(Serialize)]
struct Json<'a> {
    prompt: &'a str,
    text: &'a str,
    tokens: &'a [u32],
    finish_reason: FinishReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<JsonToken>>,
    prompt_tokens_per_second: f64,
    /// Of the tokens after the first; null where there is one alone.
    tokens_per_second: Option<f64>,
}

#[derive(Serialize)]
struct JsonToken {
    token: u32,
    logprob: f32,
    top: Vec<JsonAlternative>,
}

#[derive(Serialize)]
struct JsonAlternative {
    token: u32,
    text: String,
    logprob: f32,
}

/// A prompt on its way to an answer.
struct Job {
    prompt: usize,
    submitted: Instant,
    prompt_tokens: usize,
    first: Option<Instant>,
    prompt_seconds: f64,
    text: String,
    tokens: Vec<u32>,
    log_probabilities: Vec<LogProbabilities>,
}

/// An answer, and how long it took.
struct Answer {
    job: Job,
    reason: FinishReason,
    seconds: f64,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let prompts = arguments.read_prompts()?;
    let model = arguments.model.open(output)?;
    interrupt::install()?;
    with_helper(|| answer(arguments, &model, &prompts, output))
}

impl Arguments {
    fn read_prompts(&self) -> Result<Vec<String>, CommandError> {
        if let Some(path) = &self.file {
            let text = fs::read_to_string(path).bad_input(|| format!("cannot read {}", path.display()))?;
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let is_json = text.trim_start().starts_with('{');
            let prompts = lines.map(|(index, line)| {
                if is_json {
                    from_json(line, index + 1)
                } else {
                    Ok(line.to_owned())
                }
            });
            return prompts
                .collect::<Result<_, CommandError>>()
                .map_err(|error: CommandError| {
                    error.hint(format!("{}: one JSON object a line, or plain text", path.display()))
                });
        }
        if self.prompts.is_empty() {
            let mut prompt = String::new();
            io::stdin()
                .read_to_string(&mut prompt)
                .bad_input(|| "cannot read the prompt from standard input".into())?;
            return Ok(vec![prompt]);
        }
        Ok(self.prompts.clone())
    }

    /// The tokens of a prompt.
    fn tokens(&self, model: &Model, prompt: &str) -> Result<Vec<u32>, CommandError> {
        let tokens = if self.chat {
            let mut messages: Vec<Message> = Vec::new();
            messages.extend(
                self.system
                    .as_ref()
                    .map(|system| Message::new("system", system.clone())),
            );
            messages.push(Message::new("user", prompt));
            model.encode_chat(&messages)
        } else {
            model.tokenizer.encode(prompt, true)
        };
        tokens.map_err(|error| failed(&error))
    }

    fn request(&self, model: &Model, prompt: Vec<u32>, sample: u32) -> TextRequest {
        let mut sampling = self.sampling.sampling(&model.sampling.clone().unwrap_or_default());
        sampling.seed = sampling.seed.wrapping_add(sample.into());
        TextRequest {
            request: Request {
                sampling,
                stop_tokens: if self.ignore_eos {
                    Vec::new()
                } else {
                    model.stop_tokens.clone()
                },
                log_probabilities: self.logprobs.map(usize::from),
                ..Request::new(prompt, self.max_tokens as usize)
            },
            stop_strings: self.stop.clone(),
        }
    }
}

fn from_json(line: &str, number: usize) -> Result<String, CommandError> {
    #[derive(serde::Deserialize)]
    struct Line {
        prompt: String,
    }
    let line: Line = serde_json::from_str(line).bad_input(|| format!("cannot read the prompt of line {number}"))?;
    Ok(line.prompt)
}

fn answer(arguments: &Arguments, model: &Model, prompts: &[String], output: &Output) -> Result<(), CommandError> {
    let options = EngineOptions {
        max_batch: arguments.batch as usize,
        ..EngineOptions::default()
    };
    let mut engine = TextEngine::new(&model.decoder, &model.tokenizer, options).map_err(|error| failed(&error))?;
    let mut jobs: BTreeMap<RequestId, Job> = BTreeMap::new();
    for (index, prompt) in prompts.iter().enumerate() {
        let tokens = arguments.tokens(model, prompt)?;
        for sample in 0..arguments.samples {
            let request = arguments.request(model, tokens.clone(), sample);
            let id = engine
                .submit(request)
                .map_err(|error| failed(&error).because(format!("prompt {}", index + 1)))?;
            let job = Job {
                prompt: index,
                submitted: Instant::now(),
                prompt_tokens: tokens.len(),
                first: None,
                prompt_seconds: 0.0,
                text: String::new(),
                tokens: Vec::new(),
                log_probabilities: Vec::new(),
            };
            jobs.insert(id, job);
        }
    }
    let alone = jobs.len() == 1 && !output.is_json();
    let total = jobs.len();
    let bar = (!alone).then(|| Progress::bar(output, "answers", total as u64));
    if alone && !arguments.chat {
        output.raw(prompts[0].as_bytes());
    }
    // Answers are printed in the order of the prompts, each as soon as those before it are done.
    let mut done: BTreeMap<RequestId, Answer> = BTreeMap::new();
    while !engine.is_idle() && !interrupt::interrupted() {
        for event in engine.step().map_err(|error| failed(&error))? {
            if alone {
                output.raw(event.text.as_bytes());
            }
            if let Some(reason) = event.finished {
                if let Some(mut job) = jobs.remove(&event.id) {
                    let id = event.id;
                    job.hear(event);
                    let seconds = job.first.map_or(0.0, |first| first.elapsed().as_secs_f64());
                    done.insert(id, Answer { job, reason, seconds });
                }
            } else if let Some(job) = jobs.get_mut(&event.id) {
                job.hear(event);
            }
        }
        if let Some(bar) = &bar {
            bar.set((total - jobs.len()) as u64, "");
        }
        while let Some(entry) = done.first_entry()
            && jobs.keys().next().is_none_or(|next| entry.key() < next)
        {
            entry.remove().print(arguments, model, prompts, alone, output);
        }
    }
    if interrupt::interrupted() {
        return Err(CommandError::failed_run("stopped on request")
            .because(format!("{} of {total} answers were given", total - jobs.len())));
    }
    Ok(())
}

impl Job {
    fn hear(&mut self, event: TextEvent) {
        if event.prompt_read {
            self.prompt_seconds = self.submitted.elapsed().as_secs_f64();
            self.first = Some(Instant::now());
        }
        self.text.push_str(&event.text);
        if let Some(token) = event.token {
            self.tokens.push(token.token);
            self.log_probabilities.extend(token.log_probabilities);
        }
    }
}

impl Answer {
    fn print(&self, arguments: &Arguments, model: &Model, prompts: &[String], alone: bool, output: &Output) {
        let job = &self.job;
        let prompt_rate = job.prompt_tokens as f64 / job.prompt_seconds;
        let rate = (job.tokens.len() > 1).then(|| (job.tokens.len() - 1) as f64 / self.seconds);
        let prompt = &prompts[job.prompt];
        if alone {
            output.line("");
            self.print_log_probabilities(model, output);
            let generated = rate.map_or_else(String::new, |rate| format!(" at {rate:.0}"));
            output.note(&format!(
                "{} tokens read at {prompt_rate:.0} a second, {} generated{generated}",
                job.prompt_tokens,
                job.tokens.len(),
            ));
        } else {
            let separator = if arguments.chat { "\n" } else { "" };
            output.line(&format!("{prompt}{separator}{}\n", job.text));
            self.print_log_probabilities(model, output);
        }
        output.result_json(&Json {
            prompt,
            text: &job.text,
            tokens: &job.tokens,
            finish_reason: self.reason,
            logprobs: arguments.logprobs.map(|_| self.json_tokens(model)),
            prompt_tokens_per_second: prompt_rate,
            tokens_per_second: rate,
        });
    }

    fn print_log_probabilities(&self, model: &Model, output: &Output) {
        for token in self.json_tokens(model) {
            let top = token
                .top
                .iter()
                .map(|other| format!("{:?} {:.3}", other.text, other.logprob));
            let text = text_of(model, token.token);
            output.line(&format!(
                "{text:<20?} {:>8.3}   {}",
                token.logprob,
                top.collect::<Vec<_>>().join("   ")
            ));
        }
    }

    fn json_tokens(&self, model: &Model) -> Vec<JsonToken> {
        let tokens = self.job.tokens.iter().zip(&self.job.log_probabilities);
        let alternative = |&(token, logprob): &(u32, f32)| JsonAlternative {
            token,
            text: text_of(model, token),
            logprob,
        };
        tokens
            .map(|(&token, it)| JsonToken {
                token,
                logprob: it.token,
                top: it.alternatives.iter().map(alternative).collect(),
            })
            .collect()
    }
}

/// A token as text; what is no whole character shows as such.
fn text_of(model: &Model, token: u32) -> String {
    String::from_utf8_lossy(model.tokenizer.token_bytes(token).unwrap_or_default()).into_owned()
}

//! `etude lm eval`: the perplexity of a text, and multiple choice by likelihood.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use etude_kernels::perceptron::with_helper;
use etude_lm::Model;
use etude_lm::engine::{Engine, EngineOptions};
use etude_lm::evaluation::{Question, choose, perplexity};
use serde::Serialize;

use super::failed;
use super::open::ModelOptions;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;

/// What `etude lm eval` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    /// Compute the perplexity of this text
    #[arg(long, value_name = "FILE", required_unless_present = "choices")]
    text: Option<PathBuf>,
    /// Choose the likeliest answer to each of these questions: JSON objects, one a line, with `question`, `choices` and `answer`,
    /// the place of the right choice, from 0
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    choices: Option<PathBuf>,
    /// Read a text in windows of this many tokens; 0 stands for the model's context, or 2048
    #[arg(long, value_name = "N", default_value_t = 0)]
    window: usize,
    /// Begin the next window this many tokens later, and score its last ones only; 0 stands for half a window
    #[arg(long, value_name = "N", default_value_t = 0)]
    stride: usize,
    /// Take this many questions, the first ones; 0 stands for all
    #[arg(long, value_name = "N", default_value_t = 0, requires = "choices")]
    limit: usize,
}

/// What `--json` prints for a text.
#[derive(Serialize)]
struct JsonText {
    perplexity: f64,
    /// Standard error of the mean negative log-likelihood, through the exponential.
    standard_error: f64,
    negative_log_likelihood: f64,
    bits_per_byte: f64,
    tokens: usize,
    bytes: usize,
    window: usize,
    stride: usize,
}

/// What `--json` prints for questions.
#[derive(Serialize)]
struct JsonChoices {
    questions: usize,
    /// By the likelihood of the whole choice.
    accuracy: f64,
    accuracy_standard_error: f64,
    /// By the likelihood a byte.
    accuracy_by_bytes: f64,
    accuracy_by_bytes_standard_error: f64,
    /// What a guess would earn.
    chance: f64,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let model = arguments.model.open(output)?;
    interrupt::install()?;
    with_helper(|| match (&arguments.text, &arguments.choices) {
        (Some(path), _) => text(arguments, path, &model, output),
        (None, Some(path)) => choices(arguments, path, &model, output),
        (None, None) => Ok(()),
    })
}

fn text(arguments: &Arguments, path: &PathBuf, model: &Model, output: &Output) -> Result<(), CommandError> {
    let text = fs::read_to_string(path).bad_input(|| format!("cannot read {}", path.display()))?;
    let tokens = model.tokenizer.encode(&text, true).map_err(|error| failed(&error))?;
    let context = model.decoder.config().context;
    let window = if arguments.window == 0 {
        context.min(2048)
    } else {
        arguments.window
    };
    let stride = if arguments.stride == 0 {
        window.div_ceil(2)
    } else {
        arguments.stride
    };
    let mut engine = Engine::new(&model.decoder, EngineOptions::default());
    let bar = Progress::bar(output, "tokens", tokens.len() as u64);
    let result = perplexity(&mut engine, &tokens, window, stride, |scored, so_far| {
        bar.set(scored as u64, format!("perplexity {so_far:.3}"));
        !interrupt::interrupted()
    });
    bar.finish();
    let Some(found) = result.map_err(|error| failed(&error))? else {
        return Err(CommandError::failed_run("stopped on request"));
    };
    let json = JsonText {
        perplexity: found.mean.exp(),
        standard_error: found.standard_error * found.mean.exp(),
        negative_log_likelihood: found.mean,
        bits_per_byte: found.mean * found.tokens as f64 / std::f64::consts::LN_2 / text.len() as f64,
        tokens: found.tokens,
        bytes: text.len(),
        window,
        stride,
    };
    output.line(&format!(
        "perplexity {:.4} ± {:.4} a token, {:.4} bits a byte\n{} tokens scored, {} bytes, in windows of {window}, {stride} apart",
        json.perplexity, json.standard_error, json.bits_per_byte, json.tokens, json.bytes
    ));
    output.result_json(&json);
    Ok(())
}

fn choices(arguments: &Arguments, path: &PathBuf, model: &Model, output: &Output) -> Result<(), CommandError> {
    let text = fs::read_to_string(path).bad_input(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let limit = if arguments.limit == 0 {
        usize::MAX
    } else {
        arguments.limit
    };
    let questions: Vec<Question> = lines
        .take(limit)
        .map(|(index, line)| {
            let question: Question = serde_json::from_str(line)
                .bad_input(|| format!("cannot read the question in line {} of {}", index + 1, path.display()))?;
            question
                .check()
                .bad_input(|| format!("line {} of {} is no question", index + 1, path.display()))?;
            Ok(question)
        })
        .collect::<Result<_, CommandError>>()?;
    if questions.is_empty() {
        return Err(CommandError::bad_input(format!(
            "there is no question in {}",
            path.display()
        )));
    }
    let mut engine = Engine::new(&model.decoder, EngineOptions::default());
    let bar = Progress::bar(output, "questions", questions.len() as u64);
    let (mut right, mut right_by_bytes, mut chance) = (0_usize, 0_usize, 0.0);
    for (index, question) in questions.iter().enumerate() {
        if interrupt::interrupted() {
            return Err(CommandError::failed_run("stopped on request"));
        }
        let chosen = choose(&mut engine, &model.tokenizer, question)
            .map_err(|error| failed(&error).because(format!("question {} of {}", index + 1, path.display())))?;
        right += usize::from(chosen.likeliest == question.answer);
        right_by_bytes += usize::from(chosen.likeliest_by_bytes == question.answer);
        chance += 1.0 / question.choices.len() as f64;
        bar.set(
            index as u64 + 1,
            format!("accuracy {:.3}", right as f64 / (index + 1) as f64),
        );
    }
    bar.finish();
    let count = questions.len() as f64;
    let share = |right: usize| right as f64 / count;
    let standard_error = |share: f64| (share * (1.0 - share) / count).sqrt();
    let json = JsonChoices {
        questions: questions.len(),
        accuracy: share(right),
        accuracy_standard_error: standard_error(share(right)),
        accuracy_by_bytes: share(right_by_bytes),
        accuracy_by_bytes_standard_error: standard_error(share(right_by_bytes)),
        chance: chance / count,
    };
    output.line(&format!(
        "accuracy {:.3} ± {:.3}, by likelihood a byte {:.3} ± {:.3}; a guess earns {:.3}\n{} questions",
        json.accuracy,
        json.accuracy_standard_error,
        json.accuracy_by_bytes,
        json.accuracy_by_bytes_standard_error,
        json.chance,
        json.questions
    ));
    output.result_json(&json);
    Ok(())
}

//! The tour's stop at language models: one of a hundred thousand parameters, trained from nothing on text that is made up as it
//! goes.
//!
//! A line is a few digits, what to do with them, and the answer: `52917>12579` sorts, `52917<71925` turns round. There are so many
//! lines that hardly one comes twice, so what the model answers right it has not learnt by heart.

mod preferences;

use burn::module::Module as _;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use etude_kernels::Precision;
use etude_kernels::adam_w::AdamW;
use etude_kernels::burn::ModuleAdamW;
use etude_lm::LmError;
use etude_lm::config::DecoderConfig;
use etude_lm::cpu_decoder::CpuDecoder;
use etude_lm::decoder::Decoder;
use etude_lm::engine::{Completion, Engine, EngineOptions, Request};
use etude_train::Seed;
use rand::RngExt as _;
use serde_json::json;

pub(crate) use preferences::preferences;

use super::failed;
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::number::short;
use crate::report::{Plot, Section, Table};
use crate::terminal;
use crate::tour::{Curve, Stop};

/// The vocabulary: a token is the place of its letter.
const LETTERS: &[u8] = b"0123456789<>\n";
const DIGITS: usize = 7;
/// Digits, what to do, digits, and the end of the line.
const LINE: usize = 2 * DIGITS + 2;
const LINES: usize = 32;
const STEPS: usize = 500;
const LEARNING_RATE: f32 = 3e-3;
/// Fresh lines on which the model is judged.
const QUESTIONS: usize = 200;

/// A task with its sign and its name.
const TASKS: [(u8, &str); 2] = [(b'>', "sort"), (b'<', "turn round")];

/// Answers of a model.
struct Examination {
    /// Question, answer, and whether it is right.
    answers: Vec<(String, String, bool)>,
}

/// A small language model, before and after it has learnt.
pub(crate) fn language_models(output: &Output) -> Result<Stop, CommandError> {
    let failed = |error| failed(&error);
    let config = llama(LETTERS.len(), LINE).map_err(failed)?;
    let device = Device::flex();
    let mut decoder = Decoder::random(config.clone(), 0, &device.autodiff()).map_err(failed)?;
    let parameters: usize = etude_lm::decoder::parameters(&config)
        .iter()
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum();
    let before = examine(&decoder).map_err(failed)?;

    let mut adam = ModuleAdamW::new(AdamW {
        beta2: 0.99,
        ..AdamW::default()
    });
    let mut random = Seed(0).stream("lines");
    let bar = Progress::bar(output, "a language model", STEPS as u64);
    let mut losses: Vec<(u64, f64)> = Vec::with_capacity(STEPS);
    for step in 0..STEPS {
        let lines: Vec<u32> = (0..LINES).flat_map(|_| line(&mut random)).collect();
        let (tokens, targets, weights) = batch(&lines);
        let offsets: Vec<usize> = (0..=LINES).map(|line| line * (LINE - 1)).collect();
        let loss = decoder.loss(decoder.hidden(&tokens, &offsets), &targets, &weights);
        let gradients = GradientsParams::from_grads(loss.backward(), &decoder);
        // Up in a tenth of the steps, and down to nothing in a straight line.
        let progress = step as f32 / STEPS as f32;
        let rate = LEARNING_RATE * (10.0 * progress).min(1.0 - progress);
        (decoder, _) = adam.step(decoder, gradients, rate, Some(1.0));
        let loss = f64::from(loss.into_scalar::<f32>());
        losses.push((step as u64 + 1, loss));
        bar.set(step as u64 + 1, format!("loss {}", short(loss)));
        if interrupt::interrupted() {
            return Err(CommandError::failed_run("stopped on request"));
        }
    }
    bar.finish();
    let after = examine(&decoder).map_err(failed)?;
    Ok(stop(parameters, &losses, [&before, &after], output))
}

/// A Llama of two layers.
fn llama(vocabulary: usize, positions: usize) -> Result<DecoderConfig, LmError> {
    DecoderConfig::from_json(&json!({
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": positions, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "tie_word_embeddings": true, "initializer_range": 0.05, "rope_theta": 10_000.0,
    }))
}

/// Digits, a task, and the answer, as tokens.
fn line(random: &mut impl rand::Rng) -> [u32; LINE] {
    let digits: [u32; DIGITS] = std::array::from_fn(|_| random.random_range(0..10));
    let sorts = random.random::<bool>();
    let mut answer = digits;
    if sorts {
        answer.sort_unstable();
    } else {
        answer.reverse();
    }
    let mut line = [LETTERS.len() as u32 - 1; LINE];
    line[..DIGITS].copy_from_slice(&digits);
    line[DIGITS] = if sorts { 11 } else { 10 };
    line[DIGITS + 1..=2 * DIGITS].copy_from_slice(&answer);
    line
}

/// What the model reads, what comes next, and what each next token counts: the answers alone, since the questions are chance.
fn batch(lines: &[u32]) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
    let (mut tokens, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    let weight = 1.0 / ((LINE - 1 - DIGITS) * LINES) as f32;
    for line in lines.chunks_exact(LINE) {
        tokens.extend(&line[..LINE - 1]);
        targets.extend(&line[1..]);
        weights.extend((1..LINE).map(|place| if place > DIGITS { weight } else { 0.0 }));
    }
    (tokens, targets, weights)
}

/// Lets the model answer fresh questions, the same ones each time.
fn examine(decoder: &Decoder) -> Result<Examination, LmError> {
    let mut random = Seed(1).stream("questions");
    let lines: Vec<_> = (0..QUESTIONS).map(|_| line(&mut random)).collect();
    let questions = lines.iter().map(|line| line[..=DIGITS].to_vec());
    let answers = answers(decoder, questions, LINE - DIGITS - 1, LETTERS.len() as u32 - 1)?;
    let text = |tokens: &[u32]| -> String {
        tokens
            .iter()
            .map(|&token| char::from(LETTERS[token as usize]))
            .collect()
    };
    let answers = lines.iter().zip(answers).map(|(line, answer)| {
        let right = answer == line[DIGITS + 1..];
        (text(&line[..=DIGITS]), text(&answer).trim_end().to_owned(), right)
    });
    Ok(Examination {
        answers: answers.collect(),
    })
}

/// The likeliest answers to questions, of at most `most` tokens, the last of which is `end` where the model comes to an end.
fn answers(
    decoder: &Decoder,
    questions: impl Iterator<Item = Vec<u32>>,
    most: usize,
    end: u32,
) -> Result<Vec<Vec<u32>>, LmError> {
    let plain = decoder.valid();
    let decoder = CpuDecoder::load(plain.config().clone(), &plain.checkpoint(), Precision::F32)?;
    let requests = questions.map(|question| Request {
        stop_tokens: vec![end],
        ..Request::new(question, most)
    });
    let options = EngineOptions {
        max_batch: 64,
        ..EngineOptions::default()
    };
    let completions = Engine::new(&decoder, options).complete(requests)?;
    let tokens = |completion: Completion| completion.tokens.iter().map(|generated| generated.token).collect();
    Ok(completions.into_iter().map(tokens).collect())
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

impl Examination {
    /// The share of a task's questions that are answered right.
    fn accuracy(&self, sign: u8) -> f64 {
        let asked = self
            .answers
            .iter()
            .filter(|(question, ..)| question.ends_with(char::from(sign)));
        let count = asked.clone().count();
        asked.filter(|(.., right)| *right).count() as f64 / count as f64
    }
}

fn stop(parameters: usize, losses: &[(u64, f64)], [before, after]: [&Examination; 2], output: &Output) -> Stop {
    let mut table = Table::new(["question", "before", "after", ""]);
    for ((question, first, _), (_, last, right)) in before.answers.iter().zip(&after.answers).take(8) {
        let shown = |answer: &str| answer.replace('\n', " ");
        table = table.row([
            question.clone(),
            shown(first),
            shown(last),
            if *right { "right" } else { "wrong" }.into(),
        ]);
    }
    let mut accuracies = Table::new(["task", "right before", "right after"]);
    for (sign, name) in TASKS {
        accuracies = accuracies.row([
            name.into(),
            percent(before.accuracy(sign)),
            percent(after.accuracy(sign)),
        ]);
    }
    output.line(&format!(
        "A model of {parameters} parameters reads {} made-up lines such as 52917>12579 (sort) and 52917<71925 (turn round):",
        STEPS * LINES
    ));
    output.line(terminal::table(&table).trim_end());
    output.line(terminal::table(&accuracies).trim_end());
    let loss = Plot::new("The loss of the answers", "steps", "nats a token")
        .series("loss", losses.iter().map(|&(step, loss)| (step as f64, loss)));
    let right = TASKS.map(|(sign, _)| after.accuracy(sign)).into_iter().sum::<f64>() / TASKS.len() as f64;
    let section = Section::new("Language models: a small one learns from nothing")
        .text(format!(
            "A Llama of {parameters} parameters, two layers deep, on text that is made up while it learns: {DIGITS} digits, a sign, and the \
             digits sorted or turned round. It sees {} lines of more than ten million, is trained with AdamW through the same kernels as \
             large models are, and then answers {QUESTIONS} fresh questions, many at a time, through the same engine as they do.",
            STEPS * LINES,
        ))
        .item(&loss)
        .item(&accuracies)
        .item(&table);
    Stop {
        sections: vec![section],
        card: [
            "Language model".into(),
            percent(right),
            "of fresh questions answered right".into(),
        ],
        results: vec![json!({
            "problem": "sort or turn round",
            "parameters": parameters,
            "first_loss": losses.first().map(|&(_, loss)| loss),
            "last_loss": losses.last().map(|&(_, loss)| loss),
            "accuracy_before": TASKS.map(|(sign, _)| before.accuracy(sign)),
            "accuracy_after": TASKS.map(|(sign, _)| after.accuracy(sign)),
        })],
        curves: vec![Curve {
            name: "language-model/loss".into(),
            points: losses.to_vec(),
        }],
    }
}

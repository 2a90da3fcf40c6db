//! The tour's stop at preferences: a language model that answers one way is turned round by pairs of answers that prefer the other.
//!
//! A question is a few digits, `5291>`, and nothing says which way they are to be sorted. The text that the model learns from sorts
//! them upwards four times in five, so that its likeliest answer is always upwards. Then it sees pairs of answers, of which the
//! downward one is the better, and DPO does the rest (Rafailov et al. 2023, equation 7).

use burn::module::Module as _;
use burn::tensor::Device;
use etude_align::data::{Packed, Tokenized};
use etude_align::preference::{Aggregation, Dpo, PreferenceExample, PreferenceOptions, pair_log_probabilities};
use etude_align::sft::Sft;
use etude_align::training::{Metrics, Objective, Trainer, TrainingArguments};
use etude_lm::LmError;
use etude_lm::decoder::Decoder;
use etude_train::Seed;
use rand::RngExt as _;
use serde_json::json;

use super::{answers, llama, percent};
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::lm::failed;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::number::short;
use crate::report::{Plot, Section, Table};
use crate::terminal;
use crate::tour::{Curve, Stop};

/// The vocabulary: a token is the place of its letter.
const LETTERS: &[u8] = b"0123456789>\n";
const SIGN: u32 = 10;
const END: u32 = 11;
const DIGITS: usize = 4;
/// Digits, the sign, digits, and the end of the line.
const LINE: usize = 2 * DIGITS + 2;
/// How often a text sorts upwards.
const UPWARDS: f64 = 0.8;
/// Steps of supervised fine-tuning, from nothing, and the lines of each.
const TEXT: [usize; 2] = [400, 32];
/// Steps of DPO, and the pairs of each.
const PAIRS: [usize; 2] = [25, 16];
const BETA: f64 = 0.5;
/// Questions on which the model is judged, and the steps of DPO from one time to the next.
const QUESTIONS: usize = 200;
const JUDGED_EVERY: u64 = 5;

/// A question with both answers.
struct Task {
    question: Vec<u32>,
    upwards: Vec<u32>,
    downwards: Vec<u32>,
}

impl Task {
    /// Digits that are not all the same.
    fn random(random: &mut impl rand::Rng) -> Self {
        loop {
            let mut digits: [u32; DIGITS] = std::array::from_fn(|_| random.random_range(0..10));
            let question = [&digits[..], &[SIGN]].concat();
            digits.sort_unstable();
            let upwards = [&digits[..], &[END]].concat();
            digits.reverse();
            let downwards = [&digits[..], &[END]].concat();
            if upwards != downwards {
                return Self {
                    question,
                    upwards,
                    downwards,
                };
            }
        }
    }
}

/// The likeliest answers to random questions, the same ones each time.
struct Examination {
    /// Question and answer.
    answers: Vec<[String; 2]>,
    /// Shares of the answers that are sorted upwards, sorted downwards, and neither.
    shares: [f64; 3],
}

/// A small language model, before and after preferences.
pub(crate) fn preferences(output: &Output) -> Result<Stop, CommandError> {
    let refused = |error: LmError| failed(&error);
    let mut random = Seed(0).stream("texts");
    let texts = (0..TEXT[0] * TEXT[1]).map(|_| {
        let task = Task::random(&mut random);
        let upwards = random.random_bool(UPWARDS);
        let answer = if upwards { &task.upwards } else { &task.downwards };
        Packed::from(Tokenized::answer(&task.question, answer))
    });
    let texts: Vec<Packed> = texts.collect();
    let config = llama(LETTERS.len(), LINE).map_err(refused)?;
    let decoder = Decoder::random(config, 0, &Device::flex().autodiff()).map_err(refused)?;
    let trainer = Trainer::new(decoder, arguments(TEXT, 3e-3), texts.len()).failed_run(broken)?;
    let trainer = train(trainer, &Sft, &texts, "a language model", output, |_, _| Ok(()))?;
    let decoder = trainer.model().clone();
    let before = examine(&decoder).map_err(refused)?;

    let mut random = Seed(0).stream("pairs");
    let pairs = (0..PAIRS[0] * PAIRS[1]).map(|_| {
        let task = Task::random(&mut random);
        let answers = [&task.downwards, &task.upwards];
        PreferenceExample::new(answers.map(|answer| Tokenized::answer(&task.question, answer)))
    });
    let mut pairs: Vec<PreferenceExample> = pairs.collect();
    ask(&decoder.valid(), &mut pairs);
    let dpo = Dpo::new(PreferenceOptions {
        beta: BETA,
        ..PreferenceOptions::default()
    });
    let dpo = dpo.failed_run(broken)?;
    let trainer = Trainer::new(decoder, arguments(PAIRS, 3e-4), pairs.len()).failed_run(broken)?;
    let mut course = Course::default();
    course.downwards.push((0, before.shares[1]));
    let trainer = train(trainer, &dpo, &pairs, "preferences", output, |trainer, metrics| {
        let step = trainer.step_count();
        course.stepped(step, metrics);
        if step.is_multiple_of(JUDGED_EVERY) {
            course.downwards.push((step, examine(trainer.model())?.shares[1]));
        }
        Ok(())
    })?;
    let after = examine(trainer.model()).map_err(refused)?;
    Ok(stop([&before, &after], &course, output))
}

/// Steps over as many examples as they need, in their order: each is seen once.
fn arguments([steps, batch]: [usize; 2], learning_rate: f64) -> TrainingArguments {
    TrainingArguments {
        per_device_train_batch_size: batch,
        max_steps: Some(steps as u64),
        learning_rate: Some(learning_rate),
        warmup_steps: 0.1,
        adam_beta2: 0.99,
        shuffle: false,
        ..TrainingArguments::default()
    }
}

fn broken() -> String {
    "training has broken down".into()
}

/// Takes all steps of a trainer; `each` hears of every one.
fn train<O: Objective<Model = Decoder>>(
    mut trainer: Trainer<Decoder>,
    objective: &O,
    examples: &[O::Example],
    label: &'static str,
    output: &Output,
    mut each: impl FnMut(&Trainer<Decoder>, &Metrics) -> Result<(), LmError>,
) -> Result<Trainer<Decoder>, CommandError> {
    let bar = Progress::bar(output, label, trainer.steps());
    while trainer.step_count() < trainer.steps() {
        let metrics;
        (trainer, metrics) = trainer.step(objective, examples).failed_run(broken)?;
        each(&trainer, &metrics).map_err(|error| failed(&error))?;
        let loss = metrics.get("loss").unwrap_or(f64::NAN);
        bar.set(trainer.step_count(), format!("loss {}", short(loss)));
        if interrupt::interrupted() {
            return Err(CommandError::failed_run("stopped on request"));
        }
    }
    bar.finish();
    Ok(trainer)
}

/// Asks the reference for ln pi of both answers of each pair.
fn ask(reference: &Decoder, pairs: &mut [PreferenceExample]) {
    for pairs in pairs.chunks_mut(64) {
        let answers: Vec<_> = pairs.iter().map(|pair| &pair.sequences).collect();
        let said = pair_log_probabilities(reference, &answers, Aggregation::Sum);
        for (pair, said) in pairs.iter_mut().zip(said) {
            pair.reference = said;
        }
    }
}

/// Lets the model answer random questions.
fn examine(decoder: &Decoder) -> Result<Examination, LmError> {
    let mut random = Seed(1).stream("questions");
    let tasks: Vec<Task> = (0..QUESTIONS).map(|_| Task::random(&mut random)).collect();
    let questions = tasks.iter().map(|task| task.question.clone());
    let answers = answers(decoder, questions, DIGITS + 1, END)?;
    let answered = || tasks.iter().zip(&answers);
    let upwards = answered().filter(|(task, answer)| task.upwards == **answer).count();
    let downwards = answered().filter(|(task, answer)| task.downwards == **answer).count();
    let counts = [upwards, downwards, QUESTIONS - upwards - downwards];
    let text = |tokens: &[u32]| -> String {
        let letters = tokens.iter().filter(|token| **token != END);
        letters.map(|&token| char::from(LETTERS[token as usize])).collect()
    };
    Ok(Examination {
        answers: answered()
            .map(|(task, answer)| [text(&task.question), text(answer)])
            .collect(),
        shares: counts.map(|count| count as f64 / QUESTIONS as f64),
    })
}

/// How the preferences come through, step by step.
#[derive(Default)]
struct Course {
    accuracy: Vec<(u64, f64)>,
    margin: Vec<(u64, f64)>,
    downwards: Vec<(u64, f64)>,
}

impl Course {
    /// Of the pairs of a step, before the model has learnt from them.
    fn stepped(&mut self, step: u64, metrics: &Metrics) {
        let of = |name| (step, metrics.get(name).unwrap_or(f64::NAN));
        self.accuracy.push(of("rewards/accuracies"));
        self.margin.push(of("rewards/margins"));
    }
}

fn stop([before, after]: [&Examination; 2], course: &Course, output: &Output) -> Stop {
    let mut table = Table::new(["question", "before", "after"]);
    for ([question, first], [_, last]) in before.answers.iter().zip(&after.answers).take(8) {
        table = table.row([question.clone(), first.clone(), last.clone()]);
    }
    let mut shares = Table::new(["answers", "before", "after"]);
    let names = ["sorted upwards", "sorted downwards", "neither"];
    for ((name, before), after) in names.into_iter().zip(before.shares).zip(after.shares) {
        shares = shares.row([name.into(), percent(before), percent(after)]);
    }
    let pairs = PAIRS[0] * PAIRS[1];
    output.line(&format!(
        "A small model has read digits that are sorted, upwards four times in five. Then {pairs} pairs of answers say that downwards is \
         better:"
    ));
    output.line(terminal::table(&table).trim_end());
    output.line(terminal::table(&shares).trim_end());
    let points = |series: &[(u64, f64)]| -> Vec<(f64, f64)> {
        series.iter().map(|&(step, value)| (step as f64, value)).collect()
    };
    let turning = Plot::new("How it turns round", "steps of DPO", "share")
        .series(
            "pairs whose better answer has the greater implicit reward",
            points(&course.accuracy),
        )
        .series("questions answered downwards", points(&course.downwards));
    let margin = Plot::new("The margin of the implicit rewards", "steps of DPO", "")
        .series("better less worse answer", points(&course.margin));
    let section = Section::new("DPO: preferences turn a small model round")
        .text(format!(
            "A Llama of two layers first reads {} lines of digits that are sorted, upwards four times in five. Then DPO, with beta {BETA}, \
             shows it {pairs} pairs of answers, the downward one as the better. Each pair is seen once. {QUESTIONS} random questions, which it \
             answers now and then, tell how far it has come. No reward model says what is good, and the model never hears of an answer of its own.",
            TEXT[0] * TEXT[1],
        ))
        .item(&turning)
        .item(&margin)
        .item(&shares)
        .item(&table);
    let curve = |name: &str, points: &[(u64, f64)]| Curve {
        name: format!("preferences/{name}"),
        points: points.to_vec(),
    };
    let last = |series: &[(u64, f64)]| series.last().map(|&(_, value)| value);
    Stop {
        sections: vec![section],
        card: [
            "DPO".into(),
            percent(after.shares[1]),
            format!("of answers turned round, {} before", percent(before.shares[1])),
        ],
        results: vec![json!({
            "problem": "sort downwards",
            "pairs": pairs,
            "upwards_before": before.shares[0],
            "downwards_before": before.shares[1],
            "upwards_after": after.shares[0],
            "downwards_after": after.shares[1],
            "accuracy": last(&course.accuracy),
            "margin": last(&course.margin),
        })],
        curves: vec![
            curve("accuracy", &course.accuracy),
            curve("margin", &course.margin),
            curve("downwards", &course.downwards),
        ],
    }
}

//! Records to examples.

use etude_align::AlignError;
use etude_align::data::{DataFiles, ExampleTokenizer, Packed, Record, Tokenized, pack};
use etude_align::ppo::Question;
use etude_align::preference::{KtoExample, PreferenceExample};
use etude_align::reward::RewardExample;
use etude_align::training::{Order, Ranks};
use etude_lm::Source;

use super::recipe::Recipe;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;

/// Training examples and held-out ones.
pub(super) struct Split<T> {
    pub(super) train: Vec<T>,
    pub(super) held_out: Vec<T>,
}

/// All records, with those that are held out.
pub(super) fn read(recipe: &Recipe, output: &Output) -> Result<Split<Record>, CommandError> {
    let data = || "cannot read the data".to_owned();
    let spinner = Progress::spinner(output, "reading the data");
    let records = |paths: &[std::path::PathBuf]| -> Result<Vec<Record>, CommandError> {
        let files = DataFiles::find(paths).bad_input(data)?;
        let mut all = Vec::new();
        for record in files.records(&recipe.data.options()) {
            all.push(record.bad_input(data)?);
            if interrupt::interrupted() {
                return Err(CommandError::failed_run("stopped on request"));
            }
        }
        Ok(all)
    };
    let mut train = records(&recipe.data.train)?;
    let mut held_out = records(&recipe.data.eval)?;
    let split = train.len().saturating_sub(recipe.data.eval_examples());
    held_out.extend(train.drain(split..));
    if let Some(most) = recipe.data.train_examples {
        train.truncate(most.get());
    }
    spinner.finish();
    Ok(Split { train, held_out })
}

impl<T> Split<T> {
    /// Makes an example of each record that leaves one, and tells how many did not.
    fn examples<E>(
        &self,
        output: &Output,
        mut example: impl FnMut(&T) -> Result<Option<E>, AlignError>,
    ) -> Result<Split<E>, CommandError> {
        let mut of = |records: &[T], kind: &str| -> Result<Vec<E>, CommandError> {
            let examples: Result<Vec<Option<E>>, AlignError> = records.iter().map(&mut example).collect();
            let examples: Vec<E> = examples
                .bad_input(|| "cannot read the data".into())?
                .into_iter()
                .flatten()
                .collect();
            let lost = records.len() - examples.len();
            if lost > 0 {
                output.note(&format!(
                    "{lost} {kind} records are too long, or have no answer left after truncation: left out"
                ));
            }
            Ok(examples)
        };
        let train = of(&self.train, "training")?;
        if train.is_empty() {
            return Err(CommandError::bad_input("cannot train").caused_by(&AlignError::NoExamples));
        }
        Ok(Split {
            train,
            held_out: of(&self.held_out, "held-out")?,
        })
    }
}

fn tokenizer(source: &Source) -> ExampleTokenizer<'_> {
    ExampleTokenizer::new(&source.tokenizer, source.chat_template.as_ref())
}

/// Sequences, packed where the recipe has it.
pub(super) fn sft(
    records: &Split<Record>,
    recipe: &Recipe,
    source: &Source,
    output: &Output,
) -> Result<Split<Packed>, CommandError> {
    let (options, truncation) = (recipe.sft.loss(), recipe.data.truncation(source.config.context));
    let Some(strategy) = recipe.sft.packing else {
        return records.examples(output, |record| {
            let sequence = tokenizer(source).language_modeling(record, &options)?;
            Ok(sequence.truncated(&truncation).map(Packed::from))
        });
    };
    let whole = records.examples(output, |record| {
        let sequence = tokenizer(source).language_modeling(record, &options)?;
        Ok((sequence.supervised() > 0).then_some(sequence))
    })?;
    let length = truncation.max_length.unwrap_or(source.config.context);
    let packed = |sequences: &[_]| pack(sequences, length, strategy).bad_input(|| "cannot pack the data".into());
    Ok(Split {
        train: packed(&whole.train)?,
        held_out: packed(&whole.held_out)?,
    })
}

/// A better and a worse answer each.
pub(super) fn pairs(
    records: &Split<Record>,
    recipe: &Recipe,
    source: &Source,
    output: &Output,
) -> Result<Split<[Tokenized; 2]>, CommandError> {
    let truncation = recipe.data.truncation(source.config.context);
    records.examples(output, |record| {
        let pair = tokenizer(source).preference(record)?;
        Ok(pair.sequences(&truncation))
    })
}

/// Pairs, whose reference log-probabilities are not known yet.
pub(super) fn preferences(
    records: &Split<Record>,
    recipe: &Recipe,
    source: &Source,
    output: &Output,
) -> Result<Split<PreferenceExample>, CommandError> {
    let Split { train, held_out } = pairs(records, recipe, source, output)?;
    let examples = |pairs: Vec<_>| pairs.into_iter().map(PreferenceExample::new).collect();
    Ok(Split {
        train: examples(train),
        held_out: examples(held_out),
    })
}

/// Answers that are good or bad, mismatched as the batches of the first epoch have them, whose reference log-probabilities are not known
/// yet.
pub(super) fn unpaired(
    records: &Split<Record>,
    recipe: &Recipe,
    source: &Source,
    output: &Output,
) -> Result<Split<KtoExample>, CommandError> {
    let truncation = recipe.data.truncation(source.config.context);
    let answers = records.examples(output, |record| {
        let answer = tokenizer(source).unpaired_preference(record)?;
        Ok(answer.sequence(&truncation).is_some().then_some(answer))
    })?;
    // Which batch an answer is in does not depend on who takes the batch.
    let order = |examples| Order::new(&recipe.training, examples, &Ranks::alone());
    let mismatched = |answers: &[_], order: Order| {
        let batches = (0..order.steps_per_epoch()).flat_map(|step| order.step(step));
        let examples = KtoExample::mismatched(answers, &truncation, batches);
        examples.into_iter().flatten().collect()
    };
    Ok(Split {
        train: mismatched(&answers.train, order(answers.train.len())),
        held_out: mismatched(
            &answers.held_out,
            Order {
                shuffle: None,
                ..order(answers.held_out.len())
            },
        ),
    })
}

/// Pairs and rankings with their margins.
pub(super) fn rewards(
    records: &Split<Record>,
    recipe: &Recipe,
    source: &Source,
    output: &Output,
) -> Result<Split<RewardExample>, CommandError> {
    let longest = recipe.data.longest(source.config.context);
    records.examples(output, |record| {
        let sequences = tokenizer(source).ranking(record)?.sequences(longest);
        Ok(sequences.map(|sequences| RewardExample {
            sequences,
            margin: record.margin.unwrap_or(0.0) as f32,
        }))
    })
}

/// What the policy is asked.
pub(super) fn questions(
    records: &Split<Record>,
    recipe: &Recipe,
    source: &Source,
    output: &Output,
) -> Result<Split<Question>, CommandError> {
    // An answer has to fit in as well.
    let most = source.config.context.saturating_sub(recipe.ppo.response_length);
    records.examples(output, |record| {
        let question = question(record, source)?;
        let length = question.tokens.len();
        let fits = length > 0 && length <= most.min(recipe.data.longest(source.config.context));
        Ok(fits.then_some(question))
    })
}

/// The prompt of a record.
pub(in crate::lm) fn question(record: &Record, source: &Source) -> Result<Question, AlignError> {
    let tokens = tokenizer(source).prompt_only(record)?;
    Ok(Question {
        text: source.tokenizer.decode(&tokens, false)?,
        tokens,
        record: record.clone(),
    })
}

/// The tokens of the first prompts that leave room for an answer in the model's context.
pub(super) fn prompts(records: &Split<Record>, count: usize, max_tokens: usize, source: &Source) -> Vec<Vec<u32>> {
    let all = records.held_out.iter().chain(&records.train);
    let prompts = all.filter_map(|record| tokenizer(source).prompt_only(record).ok());
    let fits = |prompt: &Vec<u32>| !prompt.is_empty() && prompt.len() + max_tokens <= source.config.context;
    prompts.filter(fits).take(count).collect()
}

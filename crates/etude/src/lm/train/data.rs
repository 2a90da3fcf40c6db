//! Records to examples.

use std::collections::VecDeque;
use std::path::PathBuf;

use etude_align::AlignError;
use etude_align::data::{
    DataFiles, ExampleTokenizer, Examples as _, Packs, Record, StoredExamples, Tokenized, TokenizedCompletion,
};
use etude_align::ppo::Question;
use etude_align::preference::{Mismatched, PreferenceExample};
use etude_align::reward::RewardExample;
use etude_align::training::{Order, Ranks};
use etude_lm::Source;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::recipe::Recipe;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::recipe::range::Whole;

/// Training examples and held-out ones.
pub(super) struct Split<S> {
    pub(super) train: S,
    pub(super) held_out: S,
}

impl<S> Split<S> {
    /// The same of both.
    pub(super) fn map<T>(self, mut function: impl FnMut(S) -> Result<T, AlignError>) -> Result<Split<T>, CommandError> {
        let mut of = |examples| function(examples).bad_input(|| "cannot read the data".into());
        Ok(Split {
            train: of(self.train)?,
            held_out: of(self.held_out)?,
        })
    }
}

/// What a run needs of its data.
pub(super) struct Data<S> {
    pub(super) examples: Split<S>,
    /// The tokens of the first prompts, held-out ones before others, that leave room for an answer in the model's context.
    pub(super) prompts: Vec<Vec<u32>>,
}

impl<S> Data<S> {
    fn map<T>(self, function: impl FnMut(S) -> Result<T, AlignError>) -> Result<Data<T>, CommandError> {
        Ok(Data {
            examples: self.examples.map(function)?,
            prompts: self.prompts,
        })
    }
}

/// Reads the data one record at a time: what stays of them are examples, on the disk where they are many.
pub(super) struct Reader<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) source: &'a Source,
    pub(super) output: &'a Output,
}

/// Examples of one kind, while they are read.
struct Part<E> {
    examples: StoredExamples<E>,
    records: usize,
    prompts: Vec<Vec<u32>>,
}

impl<'a> Reader<'a> {
    fn tokenizer(&self) -> ExampleTokenizer<'a> {
        tokenizer(self.source)
    }

    fn records(&self, paths: &[PathBuf]) -> Result<impl Iterator<Item = Result<Record, CommandError>>, CommandError> {
        let data = || "cannot read the data".to_owned();
        let files = DataFiles::find(paths).bad_input(data)?;
        let records = files.records(&self.recipe.data.options());
        Ok(records.map(move |record| {
            if interrupt::interrupted() {
                return Err(CommandError::failed_run("stopped on request"));
            }
            record.bad_input(data)
        }))
    }

    /// Makes an example of each record that leaves one, and tells how many did not.
    fn examples<E: Clone + Serialize + DeserializeOwned>(
        &self,
        mut example: impl FnMut(Record) -> Result<Option<E>, AlignError>,
    ) -> Result<Data<StoredExamples<E>>, CommandError> {
        let spinner = Progress::spinner(self.output, "reading the data");
        let recipe = &self.recipe.data;
        let new = || Part {
            examples: StoredExamples::new(),
            records: 0,
            prompts: Vec::new(),
        };
        let (mut train, mut held_out) = (new(), new());
        let mut add = |part: &mut Part<E>, record: Record| -> Result<(), CommandError> {
            part.records += 1;
            if part.prompts.len() < self.recipe.samples.count.get() {
                part.prompts.extend(self.prompt(&record));
            }
            let stored =
                example(record).and_then(|example| example.map_or(Ok(()), |example| part.examples.push(&example)));
            stored.bad_input(|| "cannot read the data".into())
        };
        for record in self.records(&recipe.eval)? {
            add(&mut held_out, record?)?;
        }
        // The last ones so far.
        let mut last = VecDeque::new();
        let most = recipe.train_examples.map_or(usize::MAX, Whole::get);
        let mut records = self.records(&recipe.train)?;
        // Which records are the last ones is known at the end alone; where none is held out, no more are read than are asked for.
        while train.records < most || recipe.eval_examples() > 0 {
            let Some(record) = records.next() else { break };
            last.push_back(record?);
            if last.len() > recipe.eval_examples()
                && let Some(record) = last.pop_front()
                && train.records < most
            {
                add(&mut train, record)?;
            }
        }
        for record in last {
            add(&mut held_out, record)?;
        }
        spinner.finish();

        for (part, kind) in [(&train, "training"), (&held_out, "held-out")] {
            let lost = part.records - part.examples.len();
            if lost > 0 {
                self.output.note(&format!(
                    "{lost} {kind} records are too long, or have no answer left after truncation: left out"
                ));
            }
        }
        if train.examples.is_empty() {
            return Err(CommandError::bad_input("cannot train").caused_by(&AlignError::NoExamples));
        }
        if held_out.examples.is_empty() && self.recipe.training.early_stopping_patience.is_some() {
            let reason = "`training.early_stopping_patience` takes held-out examples, and none is left";
            return Err(CommandError::bad_input("cannot train so").because(reason));
        }
        let mut prompts = held_out.prompts;
        prompts.extend(train.prompts);
        prompts.truncate(self.recipe.samples.count.get());
        Ok(Data {
            examples: Split {
                train: train.examples,
                held_out: held_out.examples,
            },
            prompts,
        })
    }

    /// The prompt of a record, if an answer fits behind it.
    fn prompt(&self, record: &Record) -> Option<Vec<u32>> {
        let prompt = self.tokenizer().prompt_only(record).ok()?;
        let most = self
            .source
            .config
            .context
            .checked_sub(self.recipe.samples.max_tokens.get())?;
        (1..=most).contains(&prompt.len()).then_some(prompt)
    }

    /// Sequences, packed where the recipe has it.
    pub(super) fn sft(&self) -> Result<Data<Packs<StoredExamples<Tokenized>>>, CommandError> {
        let (options, truncation) = (
            self.recipe.sft.loss(),
            self.recipe.data.truncation(self.source.config.context),
        );
        let packing = self.recipe.sft.packing;
        let sequences = self.examples(|record| {
            let sequence = self.tokenizer().language_modeling(&record, &options)?;
            // What is packed is cut by the packing.
            let whole = packing.is_some();
            Ok(if whole {
                (sequence.supervised() > 0).then_some(sequence)
            } else {
                sequence.truncated(&truncation)
            })
        })?;
        let length = self.recipe.data.longest(self.source.config.context);
        sequences.map(|sequences| match packing {
            None => Ok(Packs::single(sequences)),
            Some(strategy) => Packs::new(sequences, length, strategy),
        })
    }

    /// A better and a worse answer each.
    pub(super) fn pairs(&self) -> Result<Data<StoredExamples<[Tokenized; 2]>>, CommandError> {
        let truncation = self.recipe.data.truncation(self.source.config.context);
        self.examples(|record| Ok(self.tokenizer().preference(&record)?.sequences(&truncation)))
    }

    /// Pairs, whose reference log-probabilities are not known yet.
    pub(super) fn preferences(&self) -> Result<Data<StoredExamples<PreferenceExample>>, CommandError> {
        let truncation = self.recipe.data.truncation(self.source.config.context);
        self.examples(|record| {
            let pair = self.tokenizer().preference(&record)?.sequences(&truncation);
            Ok(pair.map(PreferenceExample::new))
        })
    }

    /// Answers that are good or bad, mismatched as the batches of the first epoch have them, whose reference log-probabilities are not
    /// known yet.
    pub(super) fn unpaired(&self) -> Result<Data<Mismatched<StoredExamples<TokenizedCompletion>>>, CommandError> {
        let truncation = self.recipe.data.truncation(self.source.config.context);
        let answers = self.examples(|record| {
            let answer = self.tokenizer().unpaired_preference(&record)?;
            Ok(answer.sequence(&truncation).is_some().then_some(answer))
        })?;
        // Which batch an answer is in does not depend on who takes the batch.
        let order = |examples| Order::new(&self.recipe.training, examples, &Ranks::alone());
        let mismatched = |answers: StoredExamples<_>, order: Order| {
            let places = order.epoch(0);
            let batches: Vec<Vec<usize>> = places.chunks(order.batch).map(<[usize]>::to_vec).collect();
            Mismatched::new(answers, truncation, batches).bad_input(|| "cannot read the data".into())
        };
        let Data {
            examples: Split { train, held_out },
            prompts,
        } = answers;
        let (of_train, of_held_out) = (order(train.len()), order(held_out.len()));
        Ok(Data {
            examples: Split {
                train: mismatched(train, of_train)?,
                held_out: mismatched(
                    held_out,
                    Order {
                        shuffle: None,
                        ..of_held_out
                    },
                )?,
            },
            prompts,
        })
    }

    /// Pairs and rankings with their margins.
    pub(super) fn rewards(&self) -> Result<Data<StoredExamples<RewardExample>>, CommandError> {
        let longest = self.recipe.data.longest(self.source.config.context);
        self.examples(|record| {
            let sequences = self.tokenizer().ranking(&record)?.sequences(longest);
            Ok(sequences.map(|sequences| RewardExample {
                sequences,
                margin: record.margin.unwrap_or(0.0) as f32,
            }))
        })
    }

    /// What the policy is asked.
    pub(super) fn questions(&self) -> Result<Data<StoredExamples<Question>>, CommandError> {
        // An answer has to fit in as well.
        let most = self
            .source
            .config
            .context
            .saturating_sub(self.recipe.ppo.response_length);
        let most = most.min(self.recipe.data.longest(self.source.config.context));
        self.examples(|record| {
            let question = question(record, self.source)?;
            Ok((1..=most).contains(&question.tokens.len()).then_some(question))
        })
    }
}

fn tokenizer(source: &Source) -> ExampleTokenizer<'_> {
    ExampleTokenizer::new(&source.tokenizer, source.chat_template.as_ref())
}

/// The prompt of a record.
pub(in crate::lm) fn question(record: Record, source: &Source) -> Result<Question, AlignError> {
    let tokens = tokenizer(source).prompt_only(&record)?;
    Ok(Question {
        text: source.tokenizer.decode(&tokens, false)?,
        tokens,
        record,
    })
}

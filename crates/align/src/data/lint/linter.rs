//! The counting.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::check::{Check, Finding};
use super::shown::{ShownRecord, ShownSequence};
use super::{Cut, Labels, LintModel, LintOptions, LintReport, Pairs, Tokens};
use crate::AlignError;
use crate::data::example::Tokenized;
use crate::data::format::Format;
use crate::data::record::{Example, Message, Record, Text};
use crate::data::tokenize::ExampleTokenizer;

/// How often something was amiss, of how often it was looked for.
#[derive(Debug, Default)]
struct Count {
    amiss: usize,
    of: usize,
    first: Option<String>,
}

impl Count {
    /// What is true of the data as a whole, and of no record first.
    fn of_all(amiss: usize, of: usize) -> Self {
        let first = None;
        Self { amiss, of, first }
    }
}

/// Looks at records, one after the other.
pub(super) struct Linter<'a> {
    model: LintModel<'a>,
    options: LintOptions,
    examples: ExampleTokenizer<'a>,
    counts: BTreeMap<Check, Count>,
    seen: HashSet<u64>,
    records: usize,
    other_columns: BTreeSet<String>,
    tokens: Tokens,
    cut: Cut,
    /// Pairs, tokens of better and of worse answers, pairs whose better answer is longer, and shorter.
    pairs: [usize; 5],
    labels: Labels,
    shown: Vec<ShownRecord>,
}

/// A record as a trainer sees it: sequences by name, each with whether the end of an answer is expected in it.
struct Sequences {
    sequences: Vec<(&'static str, Tokenized, bool)>,
    lost_prompt: bool,
}

impl<'a> Linter<'a> {
    pub(super) fn new(model: LintModel<'a>, options: LintOptions) -> Self {
        Self {
            model,
            options,
            examples: ExampleTokenizer::new(model.tokenizer, model.chat_template),
            counts: BTreeMap::new(),
            seen: HashSet::new(),
            records: 0,
            other_columns: BTreeSet::new(),
            tokens: Tokens::default(),
            cut: Cut {
                max_length: options.truncation.max_length,
                mode: options.truncation.mode.name(),
                ..Cut::default()
            },
            pairs: [0; 5],
            labels: Labels::default(),
            shown: Vec::new(),
        }
    }

    pub(super) fn unreadable(&mut self, error: &AlignError) {
        self.check(Check::Unreadable, true, || error.to_string());
    }

    pub(super) fn look_at(&mut self, record: &Record) {
        self.records += 1;
        self.check(Check::Unreadable, false, String::new);
        self.other_columns
            .extend(record.other.iter().map(|(name, _)| name.clone()));
        self.look_at_parts(record);
        match self.sequences(record) {
            Ok(sequences) => {
                self.check(Check::Refused, false, String::new);
                self.look_at_tokens(record, &sequences);
            }
            Err(error) => self.check(Check::Refused, true, || error.to_string()),
        }
    }

    fn check(&mut self, check: Check, amiss: bool, first: impl FnOnce() -> String) {
        let count = self.counts.entry(check).or_default();
        count.of += 1;
        count.amiss += usize::from(amiss);
        if amiss && count.first.is_none() {
            count.first = Some(first());
        }
    }

    fn check_record(&mut self, check: Check, amiss: bool, record: &Record) {
        self.check(check, amiss, || record.place.to_string());
    }

    /// What can be seen without a model.
    fn look_at_parts(&mut self, record: &Record) {
        let new = self.seen.insert(hash(&record.example));
        self.check_record(Check::Duplicate, !new, record);
        let answers: Vec<&Text> = match &record.example {
            Example::LanguageModeling(text) => {
                let silent = match text {
                    Text::Standard(_) => text.is_empty(),
                    Text::Conversational(messages) => messages
                        .iter()
                        .filter(|message| message.role == "assistant")
                        .any(Message::is_empty),
                };
                self.check_record(Check::EmptyCompletion, silent, record);
                return;
            }
            Example::PromptOnly(_) => Vec::new(),
            Example::PromptCompletion { completion, .. } => vec![completion],
            Example::UnpairedPreference { completion, label, .. } => {
                if *label {
                    self.labels.desirable += 1;
                } else {
                    self.labels.undesirable += 1;
                }
                vec![completion]
            }
            Example::Preference { chosen, rejected, .. } => {
                self.check_record(Check::IdenticalPair, chosen == rejected, record);
                vec![chosen, rejected]
            }
            Example::Ranking { completions, .. } => {
                let mut earlier = (1..)
                    .zip(completions)
                    .map(|(next, answer)| (answer, &completions[next..]));
                let twice = earlier.any(|(answer, others)| others.contains(answer));
                self.check_record(Check::IdenticalPair, twice, record);
                completions.iter().collect()
            }
        };
        if !answers.is_empty() {
            let silent = answers.iter().any(|answer| answer.is_empty());
            self.check_record(Check::EmptyCompletion, silent, record);
        }
        let prompt = record.example.texts().next();
        self.check_record(Check::EmptyPrompt, prompt.is_some_and(Text::is_empty), record);
    }

    fn sequences(&self, record: &Record) -> Result<Sequences, AlignError> {
        let (sequences, lost_prompt) = match &record.example {
            Example::LanguageModeling(_) | Example::PromptCompletion { .. } => {
                let sequence = self.examples.language_modeling(record, &self.options.loss)?;
                let lost = !sequence.lost_prompt.is_empty();
                (vec![(record.example.kind(), sequence, true)], lost)
            }
            Example::PromptOnly(_) => {
                let ids = self.examples.prompt_only(record)?;
                (vec![("prompt", Tokenized::answer(&ids, &[]), false)], false)
            }
            Example::Preference { .. } => {
                let pair = self.examples.preference(record)?;
                let chosen = Tokenized::answer(&pair.prompt, &pair.chosen);
                let rejected = Tokenized::answer(&pair.prompt, &pair.rejected);
                let sequences = vec![("chosen", chosen, true), ("rejected", rejected, false)];
                (sequences, !pair.lost_prompt.is_empty())
            }
            Example::Ranking { .. } => {
                let ranking = self.examples.ranking(record)?;
                let ranked = (0..).zip(&ranking.completions).map(|(rank, answer)| {
                    let name = if rank == 0 { "best" } else { "next best" };
                    (name, Tokenized::answer(&ranking.prompt, answer), rank == 0)
                });
                (ranked.collect(), !ranking.lost_prompt.is_empty())
            }
            Example::UnpairedPreference { label, .. } => {
                let answer = self.examples.unpaired_preference(record)?;
                let sequence = Tokenized::answer(&answer.prompt, &answer.completion);
                let name = if *label { "desirable" } else { "undesirable" };
                (vec![(name, sequence, true)], !answer.lost_prompt.is_empty())
            }
        };
        Ok(Sequences { sequences, lost_prompt })
    }

    /// What a trainer sees.
    fn look_at_tokens(&mut self, record: &Record, found: &Sequences) {
        let truncation = self.options.truncation;
        let is_prompt = matches!(record.example, Example::PromptOnly(_));
        let (mut cut, mut nothing_left, mut too_long) = (false, false, false);
        for (_, sequence, ends) in &found.sequences {
            let length = sequence.ids.len();
            let kept = if is_prompt { 0..length } else { truncation.kept(length) };
            let supervised = sequence.supervised();
            let left = (kept.start + 1..kept.end).filter(|&index| sequence.loss[index]).count();
            self.tokens.sequences += 1;
            self.tokens.total += length;
            self.tokens.supervised += supervised;
            self.tokens.longest = self.tokens.longest.max(length);
            if kept.len() < length {
                self.cut.sequences += 1;
                self.cut.tokens += length - kept.len();
                self.cut.supervised += supervised - left;
                cut = true;
            }
            nothing_left |= left == 0 && supervised > 0;
            too_long |= kept.len() > self.model.context;
            if *ends {
                let stop = self.stop(sequence);
                self.check_record(Check::StopToken, stop.is_none(), record);
                if let Some(stop) = stop {
                    self.check_record(Check::StopTokenCut, !kept.contains(&stop), record);
                }
            }
            let bos = self.model.tokenizer.special_ids().bos;
            let doubled = bos.is_some_and(|bos| sequence.ids.starts_with(&[bos, bos]));
            self.check_record(Check::DoubledStart, doubled, record);
        }
        let lengths: Vec<usize> = found
            .sequences
            .iter()
            .map(|(_, sequence, _)| sequence.supervised())
            .collect();
        for (next, &chosen) in (1..).zip(&lengths) {
            for &rejected in &lengths[next..] {
                let [pairs, better, worse, longer, shorter] = &mut self.pairs;
                *pairs += 1;
                *better += chosen;
                *worse += rejected;
                *longer += usize::from(chosen > rejected);
                *shorter += usize::from(chosen < rejected);
            }
        }
        if !is_prompt {
            self.check_record(Check::Truncated, cut, record);
            self.check_record(Check::NothingLeft, nothing_left, record);
            self.check_record(Check::PromptDiffers, found.lost_prompt, record);
        }
        self.check_record(Check::Context, too_long, record);
        let kept_text = self.round_trip(record);
        self.check_record(Check::RoundTrip, !kept_text, record);
        if self.shown.len() < self.options.shown {
            let shown = found.sequences.iter().map(|(name, sequence, _)| {
                let kept = if is_prompt {
                    0..sequence.ids.len()
                } else {
                    truncation.kept(sequence.ids.len())
                };
                ShownSequence::new(name, sequence, &kept, self.model.tokenizer)
            });
            self.shown.push(ShownRecord {
                place: record.place.to_string(),
                sequences: shown.collect(),
            });
        }
    }

    /// Where the token stands that ends the last answer and counts in the loss. Space may follow it, as templates have it.
    fn stop(&self, sequence: &Tokenized) -> Option<usize> {
        let is_stop = |id: &u32| self.model.stop_tokens.contains(id);
        let is_space = |id: &u32| {
            let bytes = self.model.tokenizer.token_bytes(*id).unwrap_or_default();
            bytes.trim_ascii().is_empty()
        };
        let last = sequence.ids.iter().rposition(|id| is_stop(id) || !is_space(id))?;
        (is_stop(&sequence.ids[last]) && sequence.loss[last]).then_some(last)
    }

    /// Whether the text of a record comes back from its tokens.
    fn round_trip(&self, record: &Record) -> bool {
        // Worse answers are left out: what changes a text changes all.
        let parts: Vec<&Text> = record.example.texts().take(2).collect();
        let tokenizer = self.model.tokenizer;
        let Ok(text) = self.examples.text(record, &parts) else {
            return true;
        };
        let ids = tokenizer.encode(&text, false);
        ids.and_then(|ids| tokenizer.decode(&ids, false))
            .is_ok_and(|back| back == text)
    }

    pub(super) fn finish(mut self, format: Option<Format>) -> LintReport {
        let [pairs, better, worse, longer, shorter] = self.pairs;
        let mean = |tokens: usize| tokens as f64 / pairs.max(1) as f64;
        let unequal = longer + shorter;
        let share = longer as f64 / unequal.max(1) as f64;
        // Three standard deviations of a fair coin, and more than a trifle.
        let deviation = (share - 0.5).abs();
        if deviation > 0.1 && 2.0 * deviation * (unequal as f64).sqrt() > 3.0 {
            let (check, amiss) = if longer > shorter {
                (Check::ChosenLonger, longer)
            } else {
                (Check::ChosenShorter, shorter)
            };
            self.counts.insert(check, Count::of_all(amiss, unequal));
        }
        let labels = self.labels.desirable + self.labels.undesirable;
        if labels > 0 {
            let one = self.labels.desirable == 0 || self.labels.undesirable == 0;
            let count = Count::of_all(if one { labels } else { 0 }, labels);
            self.counts.insert(Check::OneLabel, count);
        }
        let nothing = !self.counts.contains_key(&Check::Unreadable);
        self.check(Check::NoRecords, nothing, String::new);
        let findings = Check::ALL.into_iter().filter_map(|check| self.finding(check));
        let mut findings: Vec<Finding> = findings.collect();
        findings.sort_by_key(|finding| finding.severity);
        LintReport {
            format: format.map(Format::name),
            records: self.records,
            other_columns: self.other_columns.into_iter().collect(),
            tokens: self.tokens,
            truncation: self.cut,
            pairs: (pairs > 0).then(|| Pairs {
                chosen_tokens: mean(better),
                rejected_tokens: mean(worse),
                chosen_longer: share,
            }),
            labels: (labels > 0).then_some(self.labels),
            findings,
            shown: self.shown,
        }
    }

    fn finding(&self, check: Check) -> Option<Finding> {
        let count = self.counts.get(&check).filter(|count| count.amiss > 0)?;
        let message = match check {
            Check::NoRecords => check.words().to_owned(),
            _ => format!("{} of {} {}", count.amiss, count.of, check.words()),
        };
        Some(Finding {
            severity: check.severity(count.amiss, count.of),
            check,
            count: count.amiss,
            of: count.of,
            message,
            first: count.first.clone().filter(|first| !first.is_empty()),
        })
    }
}

/// Equal examples have equal hashes; others have so by a chance of one in 2^64.
fn hash(example: &Example) -> u64 {
    let mut hasher = DefaultHasher::new();
    for text in example.texts() {
        match text {
            Text::Standard(text) => text.hash(&mut hasher),
            Text::Conversational(messages) => {
                messages.len().hash(&mut hasher);
                for message in messages {
                    message.role.hash(&mut hasher);
                    message.value.hash(&mut hasher);
                }
            }
        }
    }
    if let Example::UnpairedPreference { label, .. } = example {
        label.hash(&mut hasher);
    }
    hasher.finish()
}

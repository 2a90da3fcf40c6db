//! Reference log-probabilities, computed once and kept on disk.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use etude_hub::Checkpoint as _;
use etude_lm::decoder::Decoder;
use etude_train::{TrainError, read_checkpoint, write_checkpoint};
use sha2::{Digest as _, Sha256};

use super::{Aggregation, AnswerSequences};
use crate::AlignError;
use crate::data::{Examples, Tokenized};
use crate::training::Sequences as _;

/// What a file of these is, for its first line.
const KIND: &str = "reference log-probabilities";

/// Pairs that are computed before the file is written anew.
const SAVED_EVERY: usize = 512;

/// A hash of what a log-probability depends on.
type Fingerprint = [u8; 32];

/// What a reference says of pairs of answers, in a file of its own for each reference.
///
/// A pair is known by its tokens, which hold all that tokenizer, template and truncation have made of it; a reference by its
/// configuration, its precision and every one of its parameters. What is found under a fingerprint is therefore what would be
/// computed.
#[derive(Debug)]
pub struct ReferenceLogProbabilities {
    path: PathBuf,
    known: HashMap<Fingerprint, [f32; 2]>,
}

impl ReferenceLogProbabilities {
    /// Those of a reference that are in a folder already, which is made if need be.
    ///
    /// # Errors
    /// The folder or the file cannot be read, or is damaged.
    pub fn open(folder: &Path, reference: &Decoder) -> Result<Self, AlignError> {
        std::fs::create_dir_all(folder).map_err(|source| AlignError::Read {
            path: folder.into(),
            source,
        })?;
        let mut name = String::new();
        for byte in &of_model(reference)?[..12] {
            let _ = write!(name, "{byte:02x}");
        }
        let path = folder.join(format!("{name}.logps"));
        let mut known = HashMap::new();
        if path.exists() {
            let bytes = read_checkpoint(&path, KIND)?;
            let (entries, rest) = bytes.as_chunks::<40>();
            if !rest.is_empty() {
                let detail = "it ends within an entry".to_owned();
                return Err(TrainError::Checkpoint { path, detail }.into());
            }
            for entry in entries {
                let number = |at: usize| f32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
                let mut fingerprint = Fingerprint::default();
                fingerprint.copy_from_slice(&entry[..32]);
                known.insert(fingerprint, [number(32), number(36)]);
            }
        }
        Ok(Self { path, known })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the reference, a model without autodiff, says of the answers of the examples at these places, in their order. What is not
    /// known is computed, `together` examples at a time, and written to the file every now and then. `progress` hears how many of the
    /// places are done and says whether to go on; where it does not, numbers are missing.
    ///
    /// # Errors
    /// The examples cannot be read, or the file cannot be written; what it held before is still there.
    pub fn ask<E: Referenced>(
        &mut self,
        aggregation: Aggregation,
        reference: &Decoder,
        examples: &(impl Examples<Example = E> + ?Sized),
        places: &[usize],
        together: usize,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<Vec<[f32; 2]>, AlignError> {
        let mut said = Vec::with_capacity(places.len());
        let (mut saved, mut asked) = (self.known.len(), Vec::new());
        for (done, &place) in places.iter().enumerate() {
            let example = examples.example(place)?;
            let fingerprint = of_pair(example.answers(), aggregation);
            if !self.known.contains_key(&fingerprint) {
                asked.push((fingerprint, example));
            }
            said.push(fingerprint);
            if asked.len() < together.max(1) && done + 1 < places.len() {
                continue;
            }
            if !progress(done + 1 - asked.len()) {
                break;
            }
            let pairs: Vec<_> = asked.iter().map(|(_, example)| example.answers()).collect();
            if !pairs.is_empty() {
                let numbers = pair_log_probabilities(reference, &pairs, aggregation);
                let fingerprints = asked.iter().map(|(fingerprint, _)| *fingerprint);
                self.known.extend(fingerprints.zip(numbers));
            }
            asked.clear();
            if self.known.len() >= saved + SAVED_EVERY {
                self.save()?;
                saved = self.known.len();
            }
        }
        if self.known.len() > saved {
            self.save()?;
        }
        progress(said.len());
        let known = said
            .iter()
            .map_while(|fingerprint| self.known.get(fingerprint).copied());
        Ok(known.collect())
    }

    fn save(&self) -> Result<(), AlignError> {
        let mut entries: Vec<_> = self.known.iter().collect();
        entries.sort_unstable_by_key(|(fingerprint, _)| **fingerprint);
        let mut bytes = Vec::with_capacity(40 * entries.len());
        for (fingerprint, numbers) in entries {
            bytes.extend_from_slice(fingerprint);
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        Ok(write_checkpoint(&self.path, KIND, &[&bytes])?)
    }
}

/// Two answers of which a reference says something.
pub trait Referenced: Clone {
    /// What it is asked.
    fn answers(&self) -> &[Tokenized; 2];

    /// The same with what it says.
    #[must_use]
    fn with_reference(self, log_probabilities: [f32; 2]) -> Self;
}

/// Examples with what the reference says of each.
#[derive(Debug)]
pub struct WithReference<S> {
    examples: S,
    log_probabilities: Vec<[f32; 2]>,
}

impl<S: Examples<Example: Referenced>> WithReference<S> {
    /// It says `log_probabilities` of the examples, one after the other; of those that are not asked for, it may be anything.
    ///
    /// # Panics
    /// There are not as many of both.
    pub fn new(examples: S, log_probabilities: Vec<[f32; 2]>) -> Self {
        assert_eq!(
            examples.len(),
            log_probabilities.len(),
            "log-probabilities of answers: expected a pair of each example"
        );
        Self {
            examples,
            log_probabilities,
        }
    }
}

impl<S: Examples<Example: Referenced>> Examples for WithReference<S> {
    type Example = S::Example;

    fn len(&self) -> usize {
        self.examples.len()
    }

    fn example(&self, place: usize) -> Result<Cow<'_, S::Example>, AlignError> {
        let example = self.examples.example(place)?.into_owned();
        Ok(Cow::Owned(example.with_reference(self.log_probabilities[place])))
    }
}

/// What a model without autodiff says of both answers of each pair, all pairs at once.
pub fn pair_log_probabilities(model: &Decoder, pairs: &[&[Tokenized; 2]], aggregation: Aggregation) -> Vec<[f32; 2]> {
    let sequences = AnswerSequences::pairs(pairs);
    let hidden = model.hidden(sequences.tokens(), sequences.offsets());
    let said = sequences.log_probabilities(model, hidden, aggregation).to_data();
    let said: Vec<f32> = said.iter().collect();
    let (first, second) = said.split_at(pairs.len());
    first
        .iter()
        .zip(second)
        .map(|(first, second)| [*first, *second])
        .collect()
}

fn of_model(reference: &Decoder) -> Result<Fingerprint, AlignError> {
    let mut hash = Sha256::new();
    hash.update(format!("{:?} {:?}", reference.config(), reference.precision()));
    let parameters = reference.checkpoint();
    for tensor in parameters.tensors() {
        hash.update(&tensor.name);
        hash.update(&parameters.raw(&tensor.name)?.bytes);
    }
    Ok(hash.finalize().into())
}

fn of_pair(pair: &[Tokenized; 2], aggregation: Aggregation) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(format!("{aggregation:?}"));
    for sequence in pair {
        hash.update((sequence.ids.len() as u64).to_le_bytes());
        for (id, counts) in sequence.ids.iter().zip(&sequence.loss) {
            hash.update(id.to_le_bytes());
            hash.update([u8::from(*counts)]);
        }
    }
    hash.finalize().into()
}

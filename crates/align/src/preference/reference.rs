//! Reference log-probabilities, computed once and kept on disk.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use etude_hub::Checkpoint as _;
use etude_lm::decoder::Decoder;
use etude_train::{TrainError, read_checkpoint, write_checkpoint};
use sha2::{Digest as _, Sha256};

use super::{Aggregation, AnswerSequences};
use crate::AlignError;
use crate::data::Tokenized;
use crate::training::Sequences as _;

/// What a file of these is, for its first line.
const KIND: &str = "reference log-probabilities";

/// Sequences that are computed before the file is written anew.
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

    /// Fills in what the reference, a model without autodiff, says of pairs of answers, each with where that goes. What is not known is
    /// computed, `together` pairs at a time, and written to the file every now and then. `progress` hears how many of the pairs are done
    /// and says whether to go on.
    ///
    /// # Errors
    /// The file cannot be written; what it held before is still there.
    pub fn fill<'a>(
        &mut self,
        aggregation: Aggregation,
        reference: &Decoder,
        pairs: impl IntoIterator<Item = (&'a [Tokenized; 2], &'a mut [f32; 2])>,
        together: usize,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<(), AlignError> {
        let (mut missing, mut done) = (Vec::new(), 0);
        for (pair, to) in pairs {
            let fingerprint = of_pair(pair, aggregation);
            if let Some(known) = self.known.get(&fingerprint) {
                *to = *known;
                done += 1;
            } else {
                missing.push((fingerprint, pair, to));
            }
        }
        let mut unsaved = 0;
        for batch in missing.chunks_mut(together.max(1)) {
            if !progress(done) {
                break;
            }
            let pairs: Vec<_> = batch.iter().map(|(_, pair, _)| *pair).collect();
            let said = pair_log_probabilities(reference, &pairs, aggregation);
            for ((fingerprint, _, to), said) in batch.iter_mut().zip(said) {
                **to = said;
                self.known.insert(*fingerprint, said);
            }
            done += batch.len();
            unsaved += batch.len();
            if unsaved >= SAVED_EVERY {
                self.save()?;
                unsaved = 0;
            }
        }
        if unsaved > 0 {
            self.save()?;
        }
        progress(done);
        Ok(())
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

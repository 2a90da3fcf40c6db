//! Examples by their places, of data that may be larger than memory.

use std::borrow::Cow;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::SpooledTempFile;

use crate::AlignError;

/// Examples that are there, each found by its place.
pub trait Examples {
    /// One of them.
    type Example: Clone;

    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The example at a place, from 0.
    ///
    /// # Errors
    /// It is in a file, which cannot be read.
    ///
    /// # Panics
    /// There are not so many.
    fn example(&self, place: usize) -> Result<Cow<'_, Self::Example>, AlignError>;

    /// All of them, one after the other.
    fn examples(&self) -> impl Iterator<Item = Result<Cow<'_, Self::Example>, AlignError>> {
        (0..self.len()).map(|place| self.example(place))
    }
}

impl<E: Clone> Examples for [E] {
    type Example = E;

    fn len(&self) -> usize {
        self.len()
    }

    fn example(&self, place: usize) -> Result<Cow<'_, E>, AlignError> {
        Ok(Cow::Borrowed(&self[place]))
    }
}

impl<E: Clone> Examples for Vec<E> {
    type Example = E;

    fn len(&self) -> usize {
        self.len()
    }

    fn example(&self, place: usize) -> Result<Cow<'_, E>, AlignError> {
        Ok(Cow::Borrowed(&self[place]))
    }
}

/// Examples as bytes, one after the other: in memory as long as they are few, and then in a temporary file, which ends with them. What
/// stays in memory is 8 bytes of each.
#[derive(Debug)]
pub struct StoredExamples<E> {
    file: Mutex<SpooledTempFile>,
    /// Where each ends.
    ends: Vec<u64>,
    kind: PhantomData<fn() -> E>,
}

impl<E: Serialize + DeserializeOwned> StoredExamples<E> {
    /// Bytes that stay in memory.
    const IN_MEMORY: usize = 64 << 20;

    /// None yet.
    pub fn new() -> Self {
        Self::with_memory(Self::IN_MEMORY)
    }

    fn with_memory(bytes: usize) -> Self {
        Self {
            file: Mutex::new(SpooledTempFile::new(bytes)),
            ends: Vec::new(),
            kind: PhantomData,
        }
    }

    /// Puts an example behind the others.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn push(&mut self, example: &E) -> Result<(), AlignError> {
        let bytes = postcard::to_stdvec(example).map_err(|error| failed(io::Error::other(error)))?;
        let end = self.ends.last().copied().unwrap_or(0);
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Reading may have left it elsewhere.
        let written = file.seek(SeekFrom::Start(end)).and_then(|_| file.write_all(&bytes));
        written.map_err(failed)?;
        self.ends.push(end + bytes.len() as u64);
        Ok(())
    }

    fn read(&self, place: usize) -> io::Result<E> {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        let mut bytes = vec![0; (self.ends[place] - start) as usize];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        drop(file);
        postcard::from_bytes(&bytes).map_err(io::Error::other)
    }
}

impl<E: Serialize + DeserializeOwned> Default for StoredExamples<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Clone + Serialize + DeserializeOwned> Examples for StoredExamples<E> {
    type Example = E;

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn example(&self, place: usize) -> Result<Cow<'_, E>, AlignError> {
        self.read(place).map(Cow::Owned).map_err(failed)
    }
}

fn failed(source: io::Error) -> AlignError {
    AlignError::TemporaryFile {
        folder: std::env::temp_dir(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::Tokenized;

    proptest! {
        #[test]
        fn what_is_stored_is_found_again_in_memory_and_on_disk(
            answers in proptest::collection::vec(
                (proptest::collection::vec(any::<u32>(), 0..20), proptest::collection::vec(any::<u32>(), 0..20)), 1..20,
            ),
            memory in 0_usize..400,
            places in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
        ) {
            let examples: Vec<Tokenized> = answers.iter().map(|(prompt, answer)| Tokenized::answer(prompt, answer)).collect();
            let mut stored = StoredExamples::with_memory(memory);
            for (place, example) in examples.iter().enumerate() {
                stored.push(example).unwrap();
                // Reading between two of them does no harm.
                prop_assert_eq!(&*stored.example(place / 2).unwrap(), &examples[place / 2]);
            }
            prop_assert_eq!(stored.len(), examples.len());
            let bytes = *stored.ends.last().unwrap();
            prop_assert_eq!(stored.file.lock().unwrap().is_rolled(), bytes > memory as u64);
            for place in places {
                let place = place.index(examples.len());
                prop_assert_eq!(&*stored.example(place).unwrap(), &examples[place]);
            }
            let all: Vec<Tokenized> = stored.examples().map(|example| example.unwrap().into_owned()).collect();
            prop_assert_eq!(all, examples);
        }
    }
}

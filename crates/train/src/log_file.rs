//! The file behind an observer: buffered, and never in the learner's way.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::TrainError;

/// What was written is on disk after this long, or the next time something is written: often enough to watch a slow
/// run or to lose little of a killed one, seldom enough to cost a fast run nothing.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// A file that only grows. It keeps its first error for [`finish`](Self::finish), and writes no more after one, so
/// that a full disk leaves a clean beginning and not a file with holes.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    writer: BufWriter<File>,
    flushed: Instant,
    error: Option<io::Error>,
}

impl LogFile {
    /// Creates the file at `path`, which must not exist yet.
    pub(crate) fn create(path: &Path) -> Result<Self, TrainError> {
        let file = File::create_new(path).map_err(TrainError::io("create", path))?;
        Ok(Self::new(path, file))
    }

    fn new(path: &Path, file: File) -> Self {
        Self {
            path: path.to_owned(),
            writer: BufWriter::new(file),
            flushed: Instant::now(),
            error: None,
        }
    }

    /// Lets `write` append one record.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        if self.error.is_some() {
            return;
        }
        let mut outcome = write(&mut self.writer);
        if self.flushed.elapsed() > FLUSH_EVERY {
            outcome = outcome.and_then(|()| self.writer.flush());
            self.flushed = Instant::now();
        }
        self.error = outcome.err();
    }

    /// Writes out the buffer, and returns the first error since the last call.
    pub(crate) fn finish(&mut self) -> Result<(), TrainError> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.writer.flush(),
        }
        .map_err(TrainError::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn an_early_write_error_surfaces_at_the_end() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("metrics.jsonl");
        File::create(&path)?;
        // A file opened for reading refuses to be written to.
        let mut log = LogFile::new(&path, File::open(&path)?);
        let more_than_the_buffer = vec![b'x'; 1 << 16];
        log.append(|file| file.write_all(&more_than_the_buffer));
        log.append(|_| unreachable!("nothing is written after an error"));

        let error = log.finish().expect_err("the write must have failed");
        assert_eq!(error.to_string(), format!("cannot write {}", path.display()));
        assert!(error.source().is_some());
        Ok(())
    }

    #[test]
    fn an_existing_file_is_left_alone() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, "precious")?;
        assert!(matches!(LogFile::create(&path), Err(TrainError::Io { .. })));
        assert_eq!(std::fs::read_to_string(&path)?, "precious");
        Ok(())
    }
}

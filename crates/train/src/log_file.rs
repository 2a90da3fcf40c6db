//! The file behind an observer: buffered, and never in the learner's way.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::TrainError;

/// What was written is on disk after this long, or the next time something is written: often enough to watch a slow
/// run or to lose little of a killed one, seldom enough to cost a fast run nothing.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// A file that only grows. It keeps its first error for [`finish`](Self::finish), and writes no more after one, so
/// that a full disk leaves a clean beginning and not a file with holes.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    writer: BufWriter<File>,
    flushed: Instant,
    error: Option<io::Error>,
}

impl LogFile {
    /// Creates the file at `path`, which must not exist yet.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the file exists already or cannot be created.
    pub fn create(path: &Path) -> Result<Self, TrainError> {
        let file = File::create_new(path).map_err(TrainError::io("create", path))?;
        Ok(Self::new(path, file))
    }

    /// Opens the file in `folder` that stood at `place` to go on from there: what was written after it is cut off.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the file cannot be opened, or [`TrainError::LogTooShort`] if it ends before the place.
    pub fn resume(folder: &Path, place: &LogPlace) -> Result<Self, TrainError> {
        let path = folder.join(&place.file);
        let open = || {
            let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
            let length = file.metadata()?.len();
            if length >= place.length {
                file.set_len(place.length)?;
                file.seek(SeekFrom::End(0))?;
            }
            Ok((file, length))
        };
        let (file, length) = open().map_err(TrainError::io("go on with", &path))?;
        if length < place.length {
            let expected = place.length;
            return Err(TrainError::LogTooShort { path, length, expected });
        }
        Ok(Self::new(&path, file))
    }

    /// Writes out the buffer, and tells how far the file has come.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if it cannot be written, now or in any earlier call.
    pub fn place(&mut self) -> Result<LogPlace, TrainError> {
        self.finish()?;
        let length = self.writer.get_ref().metadata();
        Ok(LogPlace {
            file: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            length: length.map_err(TrainError::io("look at", &self.path))?.len(),
        })
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
    pub fn append(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
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

    /// Writes out the buffer.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] with the first error since the last call.
    pub fn finish(&mut self) -> Result<(), TrainError> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.writer.flush(),
        }
        .map_err(TrainError::io("write", &self.path))
    }
}

/// How far a log had come: what a checkpoint keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// The file's name in its folder.
    pub file: String,
    /// Its length in bytes.
    pub length: u64,
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

    #[test]
    fn a_log_goes_on_from_its_place() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        let mut log = LogFile::create(&path)?;
        log.append(|file| file.write_all(b"kept "));
        let place = log.place()?;
        log.append(|file| file.write_all(b"lost"));
        log.finish()?;
        drop(log);
        let mut log = LogFile::resume(folder.path(), &place)?;
        log.append(|file| file.write_all(b"new"));
        log.finish()?;
        assert_eq!(std::fs::read_to_string(&path)?, "kept new");

        let beyond = LogPlace { length: 100, ..place };
        let error = LogFile::resume(folder.path(), &beyond).expect_err("the file is shorter");
        assert!(error.to_string().contains("8 bytes"), "{error}");
        assert_eq!(std::fs::read_to_string(&path)?, "kept new");
        Ok(())
    }
}

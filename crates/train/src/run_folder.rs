//! The folder that a run leaves behind.
//!
//! ```text
//! runs/grid-5x5/
//!   config.toml                the resolved recipe, enough to repeat the run
//!   metrics.jsonl              scalars and text, one JSON object a line
//!   events.out.tfevents.*      the same and more, for `TensorBoard`
//!   checkpoints/               from the first checkpoint on
//!   report.html                one self-contained page
//! ```

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{JsonlObserver, TensorBoardObserver, TrainError};

const CONFIG: &str = "config.toml";

/// A folder that holds one run.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// Takes the folder at `path`, which is made if need be, its parents too.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunExists`] if the folder already has a `config.toml`, [`TrainError::Io`] if it cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(TrainError::io("create the folder", &path))?;
        if path.join(CONFIG).exists() {
            return Err(TrainError::RunExists { path });
        }
        Ok(Self(path))
    }

    /// The folder at `path`, whatever is in it: to go on with a run, or for a part of one. It is made if need be.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if it cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(TrainError::io("create the folder", &path))?;
        Ok(Self(path))
    }

    /// Whether a run could be written to `path`, so far as can be told beforehand. Leaves nothing behind.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunExists`] if the folder already has a `config.toml`, [`TrainError::Io`] if nothing can be
    /// written to the folder, or to the nearest one above it that exists.
    pub fn check(path: &Path) -> Result<(), TrainError> {
        if path.join(CONFIG).exists() {
            return Err(TrainError::RunExists { path: path.to_owned() });
        }
        let above = path.ancestors().find(|above| above.exists());
        let folder = above.unwrap_or(Path::new("."));
        // A file without a name, which is gone once it is closed.
        tempfile::tempfile_in(folder)
            .map(drop)
            .map_err(TrainError::io("write to", folder))
    }

    /// Makes the first of `base/stem`, `base/stem-2`, `base/stem-3`, ... that does not exist yet. Programs which ask
    /// at the same time get different folders.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the folder cannot be made.
    pub fn next_free(base: &Path, stem: &str) -> Result<Self, TrainError> {
        fs::create_dir_all(base).map_err(TrainError::io("create the folder", base))?;
        let mut path = base.join(stem);
        let mut number: u64 = 1;
        loop {
            // Only one of two racing programs can make a folder, so making it is the test of its being free.
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    number += 1;
                    path = base.join(format!("{stem}-{number}"));
                }
                Err(error) => return Err(TrainError::io("create the folder", &path)(error)),
            }
        }
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes `config.toml`, which marks the folder as taken.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the file cannot be written.
    pub fn write_config(&self, config: &str) -> Result<(), TrainError> {
        write_atomically(&self.0.join(CONFIG), config.as_bytes())
    }

    /// Starts `metrics.jsonl`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the file exists already or cannot be created.
    pub fn jsonl(&self) -> Result<JsonlObserver, TrainError> {
        JsonlObserver::create(&self.0.join("metrics.jsonl"))
    }

    /// Starts a `TensorBoard` event file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the file cannot be created.
    pub fn tensorboard(&self) -> Result<TensorBoardObserver, TrainError> {
        TensorBoardObserver::create(&self.0)
    }

    /// The folder for checkpoints, made on the first call.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the folder cannot be made.
    pub fn checkpoints_dir(&self) -> Result<PathBuf, TrainError> {
        let path = self.0.join("checkpoints");
        fs::create_dir_all(&path).map_err(TrainError::io("create the folder", &path))?;
        Ok(path)
    }

    /// Writes `report.html`, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the file cannot be written.
    pub fn write_report(&self, html: &str) -> Result<(), TrainError> {
        write_atomically(&self.0.join("report.html"), html.as_bytes())
    }
}

/// Writes `bytes` to `path` so that a reader sees the old file or the new one, whole, and never a part: the bytes go
/// to a temporary file in the same folder, which is then renamed. On an error the old file is as it was.
///
/// # Errors
///
/// [`TrainError::Io`] if the folder does not exist, or the file cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    write_parts(path, &[bytes])
}

/// The same of bytes that lie in several places.
pub(crate) fn write_parts(path: &Path, parts: &[&[u8]]) -> Result<(), TrainError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // `make_in` and not `tempfile_in`: the latter's files are readable by their owner only, even once renamed.
    tempfile::Builder::new()
        .prefix(".etude-")
        .suffix(".tmp")
        .make_in(folder, |temporary| File::create_new(temporary))
        .and_then(|mut file| {
            for part in parts {
                file.write_all(part)?;
            }
            file.persist(path)?;
            Ok(())
        })
        .map_err(TrainError::io("write", path))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, error::Error, thread};

    use super::*;
    use crate::Observer;

    fn names_in(folder: &Path) -> io::Result<HashSet<String>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    #[test]
    fn a_run_leaves_what_the_module_says() -> Result<(), Box<dyn Error>> {
        let scratch = tempfile::tempdir()?;
        let run = RunFolder::create(scratch.path().join("deep/run"))?;
        run.write_config("seed = 1\n")?;
        run.jsonl()?.finish()?;
        run.tensorboard()?.finish()?;
        run.checkpoints_dir()?;
        run.checkpoints_dir()?;
        run.write_report("<p>first")?;
        run.write_report("<p>second")?;

        let mut names = names_in(run.path())?;
        assert!(names.remove("config.toml") && names.remove("metrics.jsonl"));
        assert!(names.remove("report.html") && names.remove("checkpoints"));
        assert_eq!(names.len(), 1, "no temporary file is left: {names:?}");
        assert_eq!(fs::read_to_string(run.path().join("report.html"))?, "<p>second");
        Ok(())
    }

    #[test]
    fn a_folder_that_holds_a_run_is_refused() -> Result<(), Box<dyn Error>> {
        let scratch = tempfile::tempdir()?;
        let run = RunFolder::create(scratch.path())?;
        RunFolder::create(scratch.path())?;
        run.write_config("seed = 1\n")?;
        let message = RunFolder::create(scratch.path())
            .expect_err("the folder is taken")
            .to_string();
        assert!(message.contains("--out") && message.contains("remove"), "{message}");
        Ok(())
    }

    #[test]
    fn a_folder_is_checked_without_a_trace() -> Result<(), Box<dyn Error>> {
        let scratch = tempfile::tempdir()?;
        RunFolder::check(scratch.path())?;
        RunFolder::check(&scratch.path().join("deep/run"))?;
        assert!(names_in(scratch.path())?.is_empty());

        let file = scratch.path().join("file");
        File::create(&file)?;
        for path in [file.join("run"), file] {
            assert!(
                matches!(RunFolder::check(&path), Err(TrainError::Io { .. })),
                "{path:?}"
            );
        }
        RunFolder::create(scratch.path())?.write_config("seed = 1\n")?;
        assert!(matches!(
            RunFolder::check(scratch.path()),
            Err(TrainError::RunExists { .. })
        ));
        Ok(())
    }

    #[test]
    fn racing_programs_get_different_folders() -> Result<(), Box<dyn Error>> {
        let scratch = tempfile::tempdir()?;
        let base = scratch.path().join("runs");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| RunFolder::next_free(&base, "grid").map(drop));
            }
        });
        let expected = (2..=8).map(|i| format!("grid-{i}"));
        let expected: HashSet<_> = expected.chain(["grid".to_owned()]).collect();
        assert_eq!(names_in(&base)?, expected);
        Ok(())
    }

    #[test]
    fn a_failed_write_leaves_no_trace() -> Result<(), Box<dyn Error>> {
        let scratch = tempfile::tempdir()?;
        let path = scratch.path().join("taken");
        fs::create_dir(&path)?;
        let error = write_atomically(&path, b"bytes").expect_err("a folder is in the way");
        assert!(error.to_string().ends_with("taken"), "{error}");
        assert_eq!(names_in(scratch.path())?.len(), 1);
        assert!(write_atomically(&path.join("no/such/folder"), b"").is_err());
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn written_files_have_ordinary_permissions() -> Result<(), Box<dyn Error>> {
        let scratch = tempfile::tempdir()?;
        let [ours, plain] = ["ours", "plain"].map(|name| scratch.path().join(name));
        write_atomically(&ours, b"")?;
        File::create(&plain)?;
        assert_eq!(fs::metadata(ours)?.permissions(), fs::metadata(plain)?.permissions());
        Ok(())
    }
}

//! The bytes of a file.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::HubError;

/// The bytes of a file: mapped into memory, so that only what is looked at is read, or in memory.
#[derive(Debug)]
pub(crate) enum FileBytes {
    /// Mapped. Whoever shortens the file meanwhile ends the program with a signal; étude itself replaces files by renaming.
    Mapped(Mmap),
    /// In memory.
    Memory(Vec<u8>),
}

impl FileBytes {
    /// Maps a file.
    pub(crate) fn map(path: &Path) -> Result<Self, HubError> {
        let read = |source| HubError::Read {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        let kind = file.metadata().map_err(read)?;
        if kind.is_dir() {
            return Err(read(std::io::ErrorKind::IsADirectory.into()));
        }
        if kind.len() == 0 {
            return Ok(Self::Memory(Vec::new()));
        }
        #[expect(
            unsafe_code,
            reason = "mapping is the one way to read parts of a file without holding it"
        )]
        // SAFETY: the mapping is read-only, and its bytes are read as bytes alone, for which every value is valid; lengths and
        // offsets that are taken from it are copied before they are checked and used.
        let map = unsafe { Mmap::map(&file) }.map_err(read)?;
        Ok(Self::Mapped(map))
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Memory(bytes) => bytes,
        }
    }
}

/// The whole of a file, which must be no longer than `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, HubError> {
    let read = |source| HubError::Read {
        path: path.into(),
        source,
    };
    let length = fs::metadata(path).map_err(read)?.len();
    if length > most {
        let detail = format!("it has {length} bytes; expected at most {most} in a file of this kind");
        return Err(crate::error::fault(path, detail));
    }
    fs::read(path).map_err(read)
}

/// Writes a file beside the place where it belongs, and then puts it there in one step: whoever reads or has mapped the old
/// file meanwhile keeps the old one.
pub(crate) fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> Result<(), HubError>,
) -> Result<(), HubError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let written = (|| {
        let failed = |source| write_error(path, source);
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&beside).map_err(failed)?);
        content(&mut file)?;
        file.flush().map_err(failed)?;
        drop(file);
        fs::rename(&beside, path).map_err(failed)
    })();
    if written.is_err() {
        // What went wrong is already said; a left-over that cannot be removed adds nothing to it.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The error of a file that cannot be written.
pub(crate) fn write_error(path: &Path, source: std::io::Error) -> HubError {
    HubError::Write {
        path: path.into(),
        source,
    }
}

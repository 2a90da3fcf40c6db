//! Checkpoints: the state of a run in one file that is whole or not there.
//!
//! | bytes | what |
//! |---|---|
//! | to the first line's end | `étude checkpoint 1: KIND` |
//! | 8 | length of the state, little-endian |
//! | 4 | CRC-32C of the state, little-endian |
//! | length | the state |

use std::{fs, path::Path};

use crate::TrainError;
use crate::run_folder::write_parts;

fn first_line(kind: &str) -> String {
    format!("étude checkpoint 1: {kind}\n")
}

/// Writes a state, which a run of this `kind` understands, to `path`, part after part. An earlier checkpoint there stays until this one
/// is whole.
///
/// # Errors
///
/// [`TrainError::Io`] if the file cannot be written.
pub fn write_checkpoint(path: &Path, kind: &str, state: &[&[u8]]) -> Result<(), TrainError> {
    let length: u64 = state.iter().map(|part| part.len() as u64).sum();
    let sum = state.iter().fold(0, |sum, part| crc32c::crc32c_append(sum, part));
    let (line, length, sum) = (first_line(kind), length.to_le_bytes(), sum.to_le_bytes());
    let head: [&[u8]; 3] = [line.as_bytes(), &length, &sum];
    write_parts(path, &[&head, state].concat())
}

/// Reads the state back.
///
/// # Errors
///
/// [`TrainError::Io`] if the file cannot be read, [`TrainError::Checkpoint`] if it is not one of this `kind`, or damaged.
pub fn read_checkpoint(path: &Path, kind: &str) -> Result<Vec<u8>, TrainError> {
    let bytes = fs::read(path).map_err(TrainError::io("read", path))?;
    let wrong = |detail: &str| TrainError::Checkpoint {
        path: path.to_owned(),
        detail: detail.to_owned(),
    };
    let line = first_line(kind);
    let Some(rest) = bytes.strip_prefix(line.as_bytes()) else {
        return Err(wrong(&format!("it does not begin with `{}`", line.trim_end())));
    };
    let Some((length, rest)) = rest.split_first_chunk() else {
        return Err(wrong("it ends too early"));
    };
    let Some((sum, state)) = rest.split_first_chunk() else {
        return Err(wrong("it ends too early"));
    };
    let expected = u64::from_le_bytes(*length);
    if state.len() as u64 != expected {
        return Err(wrong(&format!(
            "its state has {} bytes, expected {expected}",
            state.len()
        )));
    }
    if crc32c::crc32c(state) != u32::from_le_bytes(*sum) {
        return Err(wrong("its check sum is wrong, so some of its bytes have changed"));
    }
    Ok(state.to_vec())
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_state_comes_back_and_every_damage_is_noticed() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("latest");
        write_checkpoint(&path, "test", &[b"a ", b"", b"state"])?;
        assert_eq!(read_checkpoint(&path, "test")?, b"a state");
        assert!(read_checkpoint(&path, "other").is_err());
        let whole = fs::read(&path)?;
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length])?;
            assert!(read_checkpoint(&path, "test").is_err(), "{length} bytes");
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, &damaged)?;
            assert!(read_checkpoint(&path, "test").is_err(), "byte {place}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("latest");
            fs::write(&path, &bytes).unwrap();
            prop_assert!(read_checkpoint(&path, "test").is_err());
            write_checkpoint(&path, "test", &[&bytes]).unwrap();
            prop_assert_eq!(read_checkpoint(&path, "test").unwrap(), bytes);
        }
    }
}

//! The bytes of which checkpoints are made.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::env::Env;
use crate::error::RlError;

/// Appends `value` to `state`.
pub(crate) fn write(value: &impl Serialize, state: &mut Vec<u8>) {
    // Writing to memory fails only for maps and sequences of unknown length, of which no state has any.
    // A memory of a million transitions should not be there three times.
    if let Ok(whole) = postcard::to_extend(value, std::mem::take(state)) {
        *state = whole;
    }
}

/// Appends `value`, which a wrapper adds to `env`, and what `env` saves. False, with nothing appended, where it cannot.
pub(crate) fn write_around(value: &impl Serialize, env: &impl Env, state: &mut Vec<u8>) -> bool {
    let start = state.len();
    write(value, state);
    let saved = env.save(state);
    if !saved {
        state.truncate(start);
    }
    saved
}

/// Takes a value from the front of `state`.
pub(crate) fn read<T: DeserializeOwned>(state: &mut &[u8]) -> Result<T, RlError> {
    let (value, rest) = postcard::take_from_bytes(state)
        .map_err(|_| RlError::SavedState("it ends too early, or was written by another version of this program"))?;
    *state = rest;
    Ok(value)
}

/// Takes `length` values from the front of `state`.
pub(crate) fn read_length<T: DeserializeOwned>(state: &mut &[u8], length: usize) -> Result<Vec<T>, RlError> {
    let values: Vec<T> = read(state)?;
    if values.len() == length {
        Ok(values)
    } else {
        Err(RlError::SavedState("it is of another size"))
    }
}

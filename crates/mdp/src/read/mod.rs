//! Readers of model files.
//!
//! | extension | format | reader |
//! |---|---|---|
//! | `.json` | Gymnasium's transition dictionary `P` | [`gymnasium`] |
//! | `.csv` | a line a transition | [`csv`] |
//! | `.npz` | a pair of sparse and dense arrays, for large models | [`npz`] |
//!
//! Every reader checks all rules of a Markov decision process and takes no more than a small multiple of its files in
//! memory, whatever they claim.

mod archive;
mod csr;
pub mod csv;
pub mod gymnasium;
mod npy;
pub mod npz;

use std::path::Path;

use crate::builder::MdpBuilder;
use crate::error::MdpError;
use crate::mdp::Mdp;

/// Reads a model, choosing the format by the extension of `path`. `rewards` is the second archive of an `.npz` pair.
///
/// # Errors
/// Names the file, the place in it, what was found and what was expected.
pub fn model(path: &Path, rewards: Option<&Path>) -> Result<Mdp, MdpError> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match (&*extension, rewards) {
        ("json", None) => gymnasium::read(path),
        ("csv", None) => csv::read(path),
        ("npz", Some(rewards)) => npz::read(path, rewards),
        ("npz", None) => Err(fault(
            path,
            "it holds the transitions, and a second .npz file the rewards; give that one too",
        )),
        ("json" | "csv", Some(rewards)) => Err(fault(
            rewards,
            format!(
                "a file of rewards goes with transitions in .npz only; {} has them itself",
                path.display()
            ),
        )),
        _ => Err(fault(
            path,
            format!("a model with the extension `{extension}`; expected .json, .csv or .npz"),
        )),
    }
}

/// The whole of a file.
fn bytes(path: &Path) -> Result<Vec<u8>, MdpError> {
    std::fs::read(path).map_err(|source| MdpError::Read {
        path: path.into(),
        source,
    })
}

/// What is wrong with the file itself.
fn fault(path: &Path, detail: impl Into<String>) -> MdpError {
    MdpError::Format {
        path: path.into(),
        detail: detail.into(),
    }
}

/// Text of a file as an error shows it: not too much of it, and nothing that would upset a terminal.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

/// Builds the model of a file that has been read to its end, whose states have these `ids`, in any order.
fn build(path: &Path, mut builder: MdpBuilder, mut ids: Vec<u32>) -> Result<Mdp, MdpError> {
    ids.sort_unstable();
    ids.dedup();
    if let Some((missing, _)) = (0..).zip(&ids).find(|&(index, &id)| index != id) {
        return Err(fault(
            path,
            format!(
                "state {missing} is missing; the file has states up to {}, and expected are all from 0 on",
                ids.last().unwrap_or(&0)
            ),
        ));
    }
    builder.set_states(ids.len());
    builder.build().map_err(|source| {
        if matches!(source, MdpError::NextState { .. }) {
            return fault(
                path,
                format!("{source}; expected a state of the file, where a terminal state leads to itself with reward 0"),
            );
        }
        MdpError::InFile {
            path: path.into(),
            source: Box::new(source),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_chooses() {
        for (path, rewards, complaint) in [
            ("model.npz", None, "give that one too"),
            (
                "model.json",
                Some("rewards.npz"),
                "rewards.npz: a file of rewards goes with",
            ),
            ("model.yaml", None, "extension `yaml`; expected .json, .csv or .npz"),
            ("model", None, "expected .json, .csv or .npz"),
            ("missing/model.json", None, "cannot read missing/model.json"),
            ("missing/model.csv", None, "cannot read missing/model.csv"),
            (
                "missing/model.npz",
                Some("rewards.npz"),
                "cannot read missing/model.npz",
            ),
        ] {
            let error = model(Path::new(path), rewards.map(Path::new)).unwrap_err().to_string();
            assert!(error.contains(complaint), "{path}: {error}");
        }
    }
}

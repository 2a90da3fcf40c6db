//! Large models as a pair of `.npz` archives, which Python's numerical libraries write.
//!
//! - *transitions*: `scipy.sparse.save_npz` of a CSR matrix of shape (|S| |A|, |S|) whose row s |A| + a holds
//!   p(. | s, a). A row without entries means that the state does not have the action.
//! - *rewards*: r(s, a) as a dense array of shape (|S|, |A|), saved by `numpy.savez` under any one name, or as a
//!   CSR matrix of that shape; or r(s, a, s') as a CSR matrix of the shape of the transitions.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use super::archive::Archive;
use super::csr::Csr;
use crate::builder::{check_probability, check_reward, normalise};
use crate::error::MdpError;
use crate::mdp::Mdp;
use crate::model::TERMINAL;
use crate::rewards::RewardSamples;

/// Reads a model from its two archives.
///
/// # Errors
/// Names the file, the array and what was expected. Memory stays within a small multiple of the arrays that the files
/// really hold, whatever their headers claim.
pub fn read(transitions: &Path, rewards: &Path) -> Result<Mdp, MdpError> {
    let open = |path: &Path| {
        let file = File::open(path).map_err(|source| MdpError::Read {
            path: path.into(),
            source,
        })?;
        Ok(BufReader::with_capacity(1 << 16, file))
    };
    read_from((transitions, open(transitions)?), (rewards, open(rewards)?))
}

/// Reads a model from two archives that are open already, each with the name that errors call it by.
///
/// # Errors
/// As [`read`].
pub fn read_from<R: Read + Seek>(transitions: (&Path, R), rewards: (&Path, R)) -> Result<Mdp, MdpError> {
    let path = transitions.0;
    let not_a_model = |source| MdpError::InFile {
        path: if matches!(source, MdpError::Reward { .. }) {
            rewards.0
        } else {
            path
        }
        .into(),
        source: Box::new(source),
    };
    let matrix = Csr::read(&mut Archive::open(path, transitions.1)?)?;
    let (rows, states) = (matrix.rows(), matrix.columns);
    if states == 0 || rows == 0 {
        return Err(not_a_model(MdpError::Empty));
    }
    if rows % states != 0 {
        let detail = format!(
            "the matrix has shape ({rows}, {states}); expected (|S| |A|, |S|), the first a multiple of the second"
        );
        return Err(MdpError::Format {
            path: path.into(),
            detail,
        });
    }
    let earned = Rewards::read(&mut Archive::open(rewards.0, rewards.1)?, &matrix)?;
    assemble(matrix, earned).map_err(not_a_model)
}

/// Rewards by row of the transition matrix.
enum Rewards {
    /// r(s, a) of every row.
    OfRow(Vec<f64>),
    /// r(s, a, s') of every stored transition.
    OfTransition(Vec<f64>),
}

impl Rewards {
    fn read<R: Read + Seek>(archive: &mut Archive<'_, R>, transitions: &Csr) -> Result<Self, MdpError> {
        let (rows, states) = (transitions.rows(), transitions.columns);
        let actions = rows / states;
        if let [name] = &archive.names()[..] {
            let (shape, dense) = archive.reals(name)?;
            return if shape == [states as u64, actions as u64] || shape == [rows as u64] {
                Ok(Self::OfRow(dense))
            } else {
                Err(archive.fault(format!(
                    "array `{name}` has shape {shape:?}; expected [{states}, {actions}]"
                )))
            };
        }
        let matrix = Csr::read(archive)?;
        let columns = matrix.columns;
        if let Some(column) = matrix.indices.iter().find(|&&column| column as usize >= columns) {
            return Err(archive.fault(format!("`indices` holds {column}; the matrix has {columns} columns")));
        }
        match (matrix.rows(), columns) {
            (r, c) if (r, c) == (states, actions) => Ok(Self::OfRow(matrix.dense())),
            (r, c) if (r, c) == (rows, states) => Ok(Self::OfTransition(transitions.look_up(matrix))),
            (r, c) => Err(archive.fault(format!(
                "the matrix has shape ({r}, {c}); expected ({states}, {actions}) for r(s, a) or ({rows}, {states}) for \
                 r(s, a, s')"
            ))),
        }
    }
}

/// Checks every row and makes a model of the arrays, in place: two copies of them would be the peak of memory.
fn assemble(matrix: Csr, rewards: Rewards) -> Result<Mdp, MdpError> {
    let (states, actions) = (matrix.columns, matrix.rows() / matrix.columns);
    let (mut reward, of_transition) = match rewards {
        Rewards::OfRow(reward) => (reward, None),
        Rewards::OfTransition(reward) => (vec![0.0; matrix.rows()], Some(reward)),
    };
    let mut mdp = Mdp {
        state_rows: Vec::with_capacity(states + 1),
        labels: labels(&matrix, actions),
        row_starts: matrix.starts,
        next: matrix.indices,
        probability: matrix.data,
        ..Mdp::default()
    };
    mdp.state_rows.push(0);
    // Rows without entries are dropped, and those kept move up.
    let mut kept = 0;
    for state in 0..states {
        let first = kept;
        for (action, row) in (0..).zip(state * actions..(state + 1) * actions) {
            let range = mdp.row_starts[row] as usize..mdp.row_starts[row + 1] as usize;
            if range.is_empty() {
                continue;
            }
            let (next, probability) = (&mdp.next[range.clone()], &mut mdp.probability[range.clone()]);
            check_row(state, action, next, probability, states)?;
            reward[kept] = match &of_transition {
                None => reward[row],
                Some(reward) => probability.iter().zip(&reward[range]).map(|(p, r)| p * r).sum(),
            };
            check_reward(state, action, reward[kept])?;
            kept += 1;
            mdp.row_starts[kept] = mdp.row_starts[row + 1];
        }
        if kept == first {
            return Err(MdpError::NoActions { state });
        }
        // As in `MdpBuilder::build`: a state that can only stay, for nothing, is terminal in all but name.
        let transitions = mdp.row_starts[first] as usize..mdp.row_starts[kept] as usize;
        let successors = &mut mdp.next[transitions];
        let stays = successors.iter().all(|&next| next as usize == state);
        if stays && reward[first..kept].iter().all(|&reward| reward == 0.0) {
            successors.fill(TERMINAL);
        }
        mdp.state_rows.push(kept as u32);
    }
    mdp.row_starts.truncate(kept + 1);
    reward.truncate(kept);
    mdp.reward = reward;
    mdp.samples = of_transition.map(|of_transition| RewardSamples {
        of_transition,
        starts: vec![0; kept + 1],
        ..RewardSamples::default()
    });
    Ok(mdp)
}

/// The action of each row that has entries, where they are not simply 0, 1, 2, ... in every state.
fn labels(matrix: &Csr, actions: usize) -> Option<Vec<u32>> {
    let has_entries = |row: &usize| !matrix.row(*row).is_empty();
    // A gap is a row with entries after one without, of the same state.
    let gap = |row: usize| !row.is_multiple_of(actions) && has_entries(&row) && !has_entries(&(row - 1));
    let rows = 0..matrix.rows();
    rows.clone()
        .any(gap)
        .then(|| rows.filter(has_entries).map(|row| (row % actions) as u32).collect())
}

/// Checks p(. | s, a) and scales it so that it sums to one exactly.
fn check_row(state: usize, action: u32, next: &[u32], probability: &mut [f64], states: usize) -> Result<(), MdpError> {
    for (&next, &probability) in next.iter().zip(&*probability) {
        let next = next as usize;
        if next >= states {
            return Err(MdpError::NextState {
                state,
                action,
                next,
                states,
            });
        }
        check_probability(state, action, next, probability)?;
    }
    normalise(state, action, probability)
}

#[cfg(test)]
mod tests;

//! Large models as a pair of NumPy archives.
//!
//! - *transitions*: `scipy.sparse.save_npz` of a CSR matrix of shape (|S| |A|, |S|) whose row s |A| + a holds
//!   p(. | s, a). A row without entries means that the state does not have the action.
//! - *rewards*: r(s, a) as a dense array of shape (|S|, |A|), saved by `numpy.savez` under any one name, or as a SciPy
//!   CSR matrix of that shape; or r(s, a, s') as a SciPy CSR matrix of the shape of the transitions.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use super::archive::Archive;
use crate::builder::{check_probability, check_reward, normalise};
use crate::error::MdpError;
use crate::mdp::Mdp;
use crate::model::TERMINAL;
use crate::rewards::RewardSamples;

/// Reads a model from its two archives.
///
/// # Errors
/// Names the file, the array and what was expected. Memory stays within a small multiple of what the files really
/// hold, whatever their headers claim.
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
        path: path.into(),
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
    let rewards = Rewards::read(&mut Archive::open(rewards.0, rewards.1)?, &matrix)?;
    assemble(matrix, rewards).map_err(not_a_model)
}

/// A SciPy matrix in compressed sparse rows.
struct Csr {
    starts: Vec<u32>,
    indices: Vec<u32>,
    data: Vec<f64>,
    columns: usize,
}

impl Csr {
    fn read<R: Read + Seek>(archive: &mut Archive<'_, R>) -> Result<Self, MdpError> {
        let names = archive.names();
        if let Some(missing) = ["indptr", "indices", "data", "shape"]
            .iter()
            .find(|name| !names.iter().any(|n| n == *name))
        {
            return Err(archive.fault(format!(
                "no array `{missing}`; expected a matrix in CSR form, saved by scipy.sparse.save_npz (found: {})",
                names.join(", ")
            )));
        }
        let (_, shape) = archive.indices("shape")?;
        let (_, starts) = archive.indices("indptr")?;
        let (_, indices) = archive.indices("indices")?;
        let (_, data) = archive.reals("data")?;
        let &[rows, columns] = &shape[..] else {
            return Err(archive.fault(format!("`shape` has {} numbers; expected 2", shape.len())));
        };
        let consistent = starts.len() == rows as usize + 1
            && starts[0] == 0
            && starts.is_sorted()
            && starts.last().is_some_and(|&end| end as usize == indices.len())
            && indices.len() == data.len();
        if !consistent {
            return Err(archive.fault(
                "`indptr`, `indices`, `data` and `shape` do not fit together; expected a matrix in CSR form (scipy: .tocsr())",
            ));
        }
        Ok(Self {
            starts,
            indices,
            data,
            columns: columns as usize,
        })
    }

    fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    fn row(&self, row: usize) -> std::ops::Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }
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
        let names = archive.names();
        if let [name] = &names[..] {
            let (shape, dense) = archive.reals(name)?;
            let fits = shape == [states as u64, actions as u64] || shape == [rows as u64];
            return if fits {
                Ok(Self::OfRow(dense))
            } else {
                Err(archive.fault(format!(
                    "array `{name}` has shape {shape:?}; expected [{states}, {actions}]"
                )))
            };
        }
        let matrix = Csr::read(archive)?;
        match (matrix.rows(), matrix.columns) {
            (r, c) if (r, c) == (states, actions) => Ok(Self::OfRow(matrix.dense())),
            (r, c) if (r, c) == (rows, states) => Ok(Self::OfTransition(transitions.look_up(&matrix))),
            (r, c) => Err(archive.fault(format!(
                "the matrix has shape ({r}, {c}); expected ({states}, {actions}) for r(s, a) or ({rows}, {states}) for r(s, a, s')"
            ))),
        }
    }
}

impl Csr {
    /// All entries, row by row.
    fn dense(&self) -> Vec<f64> {
        let mut dense = vec![0.0; self.rows() * self.columns];
        for row in 0..self.rows() {
            for entry in self.row(row) {
                if let Some(cell) = dense.get_mut(row * self.columns + self.indices[entry] as usize) {
                    *cell += self.data[entry];
                }
            }
        }
        dense
    }

    /// The entries of `other` at the places of this matrix, zero where it has none.
    fn look_up(&self, other: &Self) -> Vec<f64> {
        let mut found = Vec::with_capacity(self.data.len());
        for row in 0..self.rows() {
            let mut entries: Vec<(u32, f64)> = other.row(row).map(|e| (other.indices[e], other.data[e])).collect();
            entries.sort_unstable_by_key(|&(column, _)| column);
            found.extend(self.row(row).map(|e| {
                entries
                    .binary_search_by_key(&self.indices[e], |&(column, _)| column)
                    .map_or(0.0, |at| entries[at].1)
            }));
        }
        found
    }
}

/// Checks every row and moves the arrays into a model, without a second copy of them.
fn assemble(matrix: Csr, rewards: Rewards) -> Result<Mdp, MdpError> {
    let states = matrix.columns;
    let actions = matrix.rows() / states;
    let Csr {
        starts,
        indices: mut next,
        data: mut probability,
        ..
    } = matrix;
    let mut mdp = Mdp {
        state_rows: Vec::with_capacity(states + 1),
        row_starts: vec![0],
        ..Mdp::default()
    };
    mdp.row_starts.reserve_exact(starts.len());
    mdp.reward.reserve_exact(starts.len());
    mdp.state_rows.push(0);
    let mut labels = Vec::new();
    for state in 0..states {
        for action in 0..actions {
            let row = state * actions + action;
            let range = starts[row] as usize..starts[row + 1] as usize;
            if range.is_empty() {
                continue;
            }
            let label = action as u32;
            for (&next, &probability) in next[range.clone()].iter().zip(&probability[range.clone()]) {
                let next = next as usize;
                if next >= states {
                    return Err(MdpError::NextState {
                        state,
                        action: label,
                        next,
                        states,
                    });
                }
                check_probability(state, label, next, probability)?;
            }
            normalise(state, label, &mut probability[range.clone()])?;
            let reward = match &rewards {
                Rewards::OfRow(reward) => reward[row],
                Rewards::OfTransition(reward) => probability[range.clone()]
                    .iter()
                    .zip(&reward[range.clone()])
                    .map(|(p, r)| p * r)
                    .sum(),
            };
            check_reward(state, label, reward)?;
            mdp.reward.push(reward);
            mdp.row_starts.push(range.end as u32);
            labels.push(label);
        }
        let rows = *mdp.state_rows.last().unwrap_or(&0) as usize..mdp.reward.len();
        if rows.is_empty() {
            return Err(MdpError::NoActions { state });
        }
        // As in `MdpBuilder::build`: a state that can only stay, for nothing, is terminal in all but name.
        let transitions = mdp.row_starts[rows.start] as usize..mdp.row_starts[rows.end] as usize;
        if mdp.reward[rows.clone()].iter().all(|&r| r == 0.0)
            && next[transitions.clone()].iter().all(|&n| n as usize == state)
        {
            next[transitions].fill(TERMINAL);
        }
        mdp.state_rows.push(rows.end as u32);
    }
    let all_actions = labels.len() == starts.len() - 1;
    let samples = match rewards {
        Rewards::OfRow(_) => None,
        Rewards::OfTransition(of_transition) => Some(RewardSamples {
            of_transition,
            starts: vec![0; mdp.reward.len() + 1],
            ..RewardSamples::default()
        }),
    };
    Ok(Mdp {
        next,
        probability,
        labels: (!all_actions).then_some(labels),
        samples,
        ..mdp
    })
}

//! Policy evaluation in closed form: v = (I - gamma P_pi)^-1 r_pi by a sparse LU factorisation.

use faer::linalg::solvers::SolveCore;
use faer::sparse::{SparseColMat, Triplet};
use faer::{Conj, MatMut};

use super::chain::{Monitor, System};
use crate::error::MdpError;

/// Refinements without gain after which there is no more to be had.
const PATIENCE: usize = 3;

/// Solves and, should the monitor ask for more, refines: what remains is solved for in its turn, as long as it helps.
///
/// # Errors
/// [`MdpError::Factorisation`] where the factors do not fit in memory.
pub(crate) fn solve(system: &System<'_>, values: &mut [f64], monitor: Monitor<'_>) -> Result<(), MdpError> {
    let states = values.len();
    let lu = matrix(system)
        .and_then(|matrix| matrix.sp_lu().map_err(|error| error.to_string()))
        .map_err(MdpError::Factorisation)?;
    let mut correction = vec![0.0; states];
    system.residual(values, &mut correction);
    let (mut smallest, mut since) = (f64::INFINITY, 0);
    let mut iteration = 0;
    while since < PATIENCE {
        let column = MatMut::from_column_major_slice_mut(&mut correction, states, 1);
        lu.solve_in_place_with_conj(Conj::No, column);
        values
            .iter_mut()
            .zip(&correction)
            .for_each(|(value, correction)| *value += correction);
        let residual = system.residual(values, &mut correction);
        iteration += 1;
        if monitor(iteration, residual)? {
            break;
        }
        since += 1;
        if residual.norm() < smallest {
            (smallest, since) = (residual.norm(), 0);
        }
    }
    Ok(())
}

/// I - gamma P. Entries at the same place are added, which joins the two parts of the diagonal.
fn matrix(system: &System<'_>) -> Result<SparseColMat<u32, f64>, String> {
    let chain = system.chain;
    let mut entries = Vec::with_capacity(chain.states() + chain.next.len());
    for state in 0..chain.states() {
        let (next, probability) = chain.row(state);
        entries.push(Triplet::new(state as u32, state as u32, 1.0));
        entries.extend(
            next.iter()
                .zip(probability)
                .map(|(&next, probability)| Triplet::new(state as u32, next, -system.discount * probability)),
        );
    }
    SparseColMat::try_new_from_triplets(chain.states(), chain.states(), &entries).map_err(|error| error.to_string())
}

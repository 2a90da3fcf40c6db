//! Truncated policy iteration (Zhao, algorithm 4.3), also called modified policy iteration (Puterman and Shin 1978):
//! the greedy policy is evaluated by a fixed number of sweeps v <- T_pi v, the first of which is T v itself, starting
//! from the last values. One sweep is value iteration; ever more sweeps approach policy iteration.

use rayon::prelude::*;

use super::Raw;
use super::progress::Progress;
use crate::error::MdpError;
use crate::model::Model;
use crate::sweep;

/// States that one task backs up.
const BLOCK: usize = 4096;

pub(super) fn solve<M: Model>(model: &M, sweeps: usize, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let discount = progress.discount;
    let mut values = vec![0.0; model.states()];
    let mut backed_up = vec![0.0; model.states()];
    let mut greedy = vec![0; model.states()];
    loop {
        let residual = sweep::jacobi(model, discount, &values, &mut backed_up, &mut greedy);
        progress.sweeps += 1;
        if let Some(bound) = progress.certify(residual, &mut backed_up)? {
            return Ok(Raw {
                values: backed_up,
                greedy,
                residual,
                bound,
            });
        }
        std::mem::swap(&mut values, &mut backed_up);
        for _ in 1..sweeps {
            let block = |(index, backed_up): (usize, &mut [f64])| {
                for (state, value) in (index * BLOCK..).zip(backed_up) {
                    let action = greedy[state] as usize;
                    let terminal = action >= model.actions(state);
                    *value = if terminal {
                        0.0
                    } else {
                        model.action_value(state, action, discount, &values)
                    };
                }
            };
            if values.len() <= BLOCK {
                block((0, &mut backed_up));
            } else {
                backed_up.par_chunks_mut(BLOCK).enumerate().for_each(block);
            }
            progress.sweeps += 1;
            std::mem::swap(&mut values, &mut backed_up);
        }
    }
}

//! Truncated policy iteration (Zhao, algorithm 4.3), also called modified policy iteration (Puterman and Shin 1978):
//! the greedy policy is evaluated by a fixed number of sweeps v <- T_pi v, the first of which is T v itself, starting
//! from the last values. One sweep is value iteration; ever more sweeps approach policy iteration.

use super::Raw;
use super::progress::Progress;
use crate::error::MdpError;
use crate::model::Model;
use crate::sweep;

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
            sweep::policy(model, discount, &greedy, &values, &mut backed_up);
            progress.sweeps += 1;
            std::mem::swap(&mut values, &mut backed_up);
        }
    }
}

//! Value iteration (Zhao, algorithm 4.1): v <- T v, with (T v)(s) = max over a of r(s, a) + gamma sum p(s'|s, a) v(s').
//! T is a contraction by gamma in the sup norm, so the iterates converge to v* from anywhere (Zhao, theorem 3.3).

use super::Raw;
use super::progress::Progress;
use crate::bound::Residual;
use crate::error::MdpError;
use crate::model::Model;
use crate::sweep::{self, Direction};

/// All states from the old values, starting from zero.
pub(super) fn jacobi<M: Model>(model: &M, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let mut values = vec![0.0; model.states()];
    let mut backed_up = vec![0.0; model.states()];
    let mut greedy = vec![0; model.states()];
    loop {
        let residual = sweep::jacobi(model, progress.discount, &values, &mut backed_up, &mut greedy);
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
    }
}

/// Each state from the newest values, in alternating directions, starting from zero. Where one direction runs against
/// the flow of values, the other runs with it. Once the changes are small, Jacobi sweeps give the bound.
pub(super) fn gauss_seidel<M: Model>(model: &M, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let discount = progress.discount;
    let mut values = vec![0.0; model.states()];
    let mut backed_up = vec![0.0; model.states()];
    let mut greedy = vec![0; model.states()];
    let mut direction = Direction::Forward;
    let mut target = progress.residual_target();
    loop {
        let change = sweep::gauss_seidel(model, discount, direction, &mut values, &mut backed_up, &mut greedy);
        direction = direction.reverse();
        progress.sweeps += 1;
        if change > target {
            let scale = values.iter().fold(0.0, |scale: f64, value| scale.max(value.abs()));
            let residual = Residual {
                low: -change,
                high: change,
                scale,
            };
            if !progress.is_rounding(residual) {
                progress.iterate(residual)?;
                continue;
            }
        }
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
        target /= 2.0;
    }
}

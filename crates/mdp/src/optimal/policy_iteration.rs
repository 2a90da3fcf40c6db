//! Policy iteration (Zhao, algorithm 4.2; Howard 1960): evaluate the policy, v = v_pi, take the policy greedy for v,
//! and go on until nothing improves. The values rise in every state from one policy to the next.
//!
//! The evaluation is exact up to rounding: corrections of the policy's equations ([`super::policy_system`]) are
//! repeated until the residual, computed in 64 bits, is at most a hundredth of what the tolerance asks for.

use super::Raw;
use super::awake::Awake;
use super::correction::{self, Workspace};
use super::policy_system::PolicySystem;
use super::progress::Progress;
use crate::error::MdpError;
use crate::model::Model;
use crate::sweep;

/// How far one correction's equations are solved; 32 bits carry no more than this reliably.
const REDUCTION: f32 = 1e-3;

/// The most matrix products spent on one correction.
const MAX_STEPS: usize = 500;

/// An evaluation ends when corrections no longer shrink the residual by this factor: rounding is reached.
const STALLED: f64 = 0.5;

pub(super) fn solve<M: Model>(model: &M, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let (states, discount) = (model.states(), progress.discount);
    let target = 0.01 * progress.residual_target();
    let mut values = vec![0.0; states];
    let mut backed_up = vec![0.0; states];
    let mut policy = vec![0; states];
    let mut workspace = Workspace::default();
    let everything = Awake::all(states);
    let mut corrections = vec![0.0; states];
    let mut system = None;
    loop {
        let residual = sweep::jacobi(model, discount, &values, &mut backed_up, &mut policy);
        progress.sweeps += 1;
        if let Some(bound) = progress.certify(residual, &mut backed_up)? {
            return Ok(Raw {
                values: backed_up,
                greedy: policy,
                residual,
                bound,
            });
        }
        let mut before = f64::INFINITY;
        loop {
            let (now, residual) = PolicySystem::new(model, discount, &policy, &values, &everything, system.take());
            let size = residual.sup();
            if size <= target || size > STALLED * before {
                system = Some(now);
                break;
            }
            before = size;
            progress.sweeps += correction::bicgstab(&now, &mut corrections, REDUCTION, MAX_STEPS, &mut workspace);
            everything.add(&mut values, &corrections);
            system = Some(now);
        }
    }
}

//! Policy iteration (Zhao, algorithm 4.2; Howard 1960): evaluate the policy, v = v_pi, take the policy greedy for v,
//! and go on until nothing improves. The values rise in every state from one policy to the next.
//!
//! The evaluation is exact up to rounding: corrections of the policy's equations ([`super::policy_system`]) are
//! repeated until the residual, computed in 64 bits, is at most a hundredth of what the tolerance asks for, or what
//! rounding leaves. Each is found by BiCGSTAB; where that does not halve the residual, by sweeps, which always converge.

use super::Raw;
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

/// A correction that does not shrink the residual by this factor has failed.
const FAILED: f64 = 0.5;

/// Sweeps that take the place of BiCGSTAB where it fails; twice as many each time.
const SWEEPS: usize = 50;

/// An evaluation in which so many corrections have failed is taken as it is: rounding in 32 bits is in the way.
const MAX_FAILURES: u32 = 12;

pub(super) fn solve<M: Model>(model: &M, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let (states, discount) = (model.states(), progress.discount);
    let target = 0.01 * progress.residual_target();
    let mut values = vec![0.0; states];
    let mut backed_up = vec![0.0; states];
    let mut policy = vec![0; states];
    let mut workspace = Workspace::default();
    let mut system = PolicySystem::new(progress.max_successors());
    let all: Vec<u32> = (0..states as u32).collect();
    loop {
        let mut residual = sweep::jacobi(model, discount, &values, &mut backed_up, &mut policy);
        progress.sweeps += 1;
        if let Some(bound) = progress.certify(residual, &mut backed_up)? {
            return Ok(Raw {
                values: backed_up,
                greedy: policy,
                residual,
                bound,
            });
        }
        system.arrange(model, &policy, &all);
        let (mut before, mut failures) = (f64::INFINITY, 0);
        loop {
            let size = residual.sup();
            failures += u32::from(size.is_nan() || size > FAILED * before);
            before = size;
            if size <= target.max(0.5 * progress.residual_rounding(residual)) || failures > MAX_FAILURES {
                break;
            }
            system.set_up(model, discount, &policy, &values, &backed_up, size);
            progress.sweeps += if failures == 0 {
                correction::bicgstab(&mut system, REDUCTION, MAX_STEPS, &mut workspace)
            } else {
                correction::plain_sweeps(&mut system, SWEEPS << failures)
            };
            system.correct(&mut values);
            sweep::policy(model, discount, &policy, &values, &mut backed_up);
            residual = sweep::residual(&values, &backed_up);
        }
    }
}

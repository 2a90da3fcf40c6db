//! A planner: actions that are nearly the best there are, for laws of motion that are known and leave nothing to chance.
//!
//! It is what the DDPG paper measures policies by (Lillicrap et al. 2016, section 4): iterative LQR ([`Ilqr`]) over a
//! horizon that recedes, as in Tassa, Erez and Todorov (2012), and then over the episode as a whole.

mod expansion;
mod ilqr;

pub use ilqr::{Gain, Ilqr, Trajectory};

use crate::simulator::Dynamics;

/// How the actions of an episode are found.
#[derive(Debug, Clone, Copy)]
pub struct Planner {
    /// How many steps it looks ahead.
    pub horizon: usize,
    /// How many steps come into sight at a time.
    pub stride: usize,
    /// Improvements of each plan, at most.
    pub iterations: usize,
    /// Improvements of the whole episode at the end, at most.
    pub polish: usize,
}

impl Default for Planner {
    /// Two seconds ahead, for steps of 0.02 seconds.
    fn default() -> Self {
        Self {
            horizon: 100,
            stride: 10,
            iterations: 30,
            polish: 100,
        }
    }
}

impl Planner {
    /// Plays an episode of so many steps from `start` on. The first plan is as short as the stride and grows to the
    /// horizon: a system that falls over is kept from it before it is far away. From then on as many steps are taken as
    /// come into sight.
    ///
    /// # Panics
    /// As [`Ilqr::new`], and where the stride is 0 or beyond the horizon.
    pub fn play<D, const N: usize, const A: usize>(&self, law: &D, start: [f64; N], steps: usize) -> Trajectory<N, A>
    where
        D: Dynamics<State = [f64; N]>,
    {
        let Self { horizon, stride, .. } = *self;
        assert!(
            (1..=horizon).contains(&stride),
            "a stride of {stride} within a horizon of {horizon}"
        );
        let mut ilqr = Ilqr::new(law);
        let mut taken = Vec::with_capacity(steps);
        let mut plan = ilqr.follow(start, &[]);
        while taken.len() + plan.actions.len() < steps {
            let done = (plan.actions.len() + stride).saturating_sub(horizon);
            taken.extend_from_slice(&plan.actions[..done]);
            let mut actions = plan.actions[done..].to_vec();
            // What comes into sight begins as rest.
            actions.resize((actions.len() + stride).min(steps - taken.len()), [0.0; A]);
            plan = ilqr.follow(plan.states[done], &actions);
            plan = ilqr.improve(plan, self.iterations);
        }
        taken.extend_from_slice(&plan.actions);
        let whole = ilqr.follow(start, &taken);
        ilqr.improve(whole, self.polish)
    }
}

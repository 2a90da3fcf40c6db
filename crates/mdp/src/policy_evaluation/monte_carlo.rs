//! State values from their definition: the mean discounted return of simulated episodes.

use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use crate::discount::{check_policy_discount, longest_episode_under};
use crate::error::MdpError;
use crate::estimate::Estimate;
use crate::model::Model;
use crate::policy::Policy;
use crate::simulate::{Sample, check_state, play, stream};

/// Episodes played at a time, so that memory does not grow with their number.
const ROUND: usize = 1 << 16;

/// How many episodes to play, and from where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonteCarloOptions {
    /// The state to estimate; where absent, every state.
    pub start: Option<usize>,
    /// Episodes from each state; at least 2.
    pub episodes: usize,
    /// How much cutting episodes off may change the expected return, at most; positive.
    pub truncation_bias: f64,
    /// Episode i from state s draws from a stream of its own, chosen by this, s and i: the same on any number of threads.
    pub seed: u64,
}

/// Estimated values of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MonteCarlo {
    /// An estimate for each state asked for, in order.
    pub estimates: Vec<StateEstimate>,
    /// Steps after which episodes were cut off.
    pub horizon: usize,
    /// Bound on what that changes in the expected return; each interval is wider by it on both sides.
    pub truncation_bias: f64,
    /// Seconds of wall-clock time.
    pub seconds: f64,
}

/// The estimated value of one state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StateEstimate {
    /// The state.
    pub state: usize,
    /// The mean discounted return.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// A 95 % confidence interval of v_pi(s): by Student's t, plus the truncation bias.
    pub interval: [f64; 2],
}

/// Estimates v_pi by playing episodes, as a check on [`evaluate`](super::evaluate) that shares none of its equations.
///
/// # Errors
/// [`MdpError::Setting`] where an option is out of its range, and otherwise as [`evaluate`](super::evaluate).
pub fn monte_carlo(
    model: &impl Sample,
    policy: &Policy,
    discount: f64,
    options: &MonteCarloOptions,
) -> Result<MonteCarlo, MdpError> {
    let begun = Instant::now();
    policy.check_fits(model)?;
    check_policy_discount(model, policy, discount)?;
    if options.episodes < 2 {
        return Err(MdpError::setting("episodes", options.episodes, "at least 2"));
    }
    let horizon = horizon(model, policy, discount, options.truncation_bias)?;
    let states = match options.start {
        Some(start) => {
            check_state(model, start)?;
            start..start + 1
        }
        None => 0..model.states(),
    };
    let estimate = |state| {
        let mut estimate = Estimate::default();
        for first in (0..options.episodes).step_by(ROUND) {
            let play_one = |episode| {
                let mut random = stream(options.seed, state, episode);
                play(model, policy, state, discount, horizon, &mut random, |_| {}).discounted_return
            };
            let episodes = first..options.episodes.min(first + ROUND);
            let returns: Vec<f64> = episodes.into_par_iter().map(play_one).collect();
            for value in returns {
                estimate.push(value);
            }
        }
        StateEstimate::new(state, &estimate, options.truncation_bias)
    };
    Ok(MonteCarlo {
        estimates: states.into_par_iter().map(estimate).collect(),
        horizon,
        truncation_bias: options.truncation_bias,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

impl StateEstimate {
    fn new(state: usize, estimate: &Estimate, bias: f64) -> Self {
        let half_width = estimate.half_width().unwrap_or(f64::INFINITY) + bias;
        Self {
            state,
            mean: estimate.mean(),
            standard_error: estimate.standard_error().unwrap_or(f64::INFINITY),
            interval: [estimate.mean() - half_width, estimate.mean() + half_width],
        }
    }
}

/// The number of steps after which the expected rest of the return is at most `bias`.
///
/// With rewards of size up to R, the rest after h steps is at most gamma^h R / (1 - gamma). With discount 1 and
/// episodes of at most L expected steps, half of them at least end within 2 L steps, by Markov's inequality, and half
/// of the others within 2 L more; so the rest after 2 L j steps is at most 2^-j R L.
fn horizon(model: &impl Model, policy: &Policy, discount: f64, bias: f64) -> Result<usize, MdpError> {
    if !(bias > 0.0 && bias.is_finite()) {
        return Err(MdpError::setting("truncation_bias", bias, "a positive number"));
    }
    let mut rewards = 0.0_f64;
    for state in 0..model.states() {
        policy.for_each(state, |action, _| {
            rewards = rewards.max(model.reward(state, action).abs());
        });
    }
    let horizon = if discount < 1.0 {
        (bias * (1.0 - discount) / rewards).ln() / discount.ln()
    } else {
        let longest = longest_episode_under(model, policy)?;
        (2.0 * longest).ceil() * (rewards * longest / bias).log2().ceil()
    };
    #[expect(
        clippy::cast_sign_loss,
        reason = "saturates: 0 where the horizon is negative or, without rewards, NaN"
    )]
    let steps = horizon.ceil() as usize;
    Ok(steps.max(1))
}

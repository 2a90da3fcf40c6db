//! Continuous control: the tasks of the DDPG paper (Lillicrap et al. 2016, section 4 and its supplement) in which nothing
//! touches anything: carts, poles and arms.
//!
//! The paper's models were never published. These are mechanisms of uniform thin rods, with equations of motion by
//! Lagrange; figures and rewards are ours, and the score of a policy is told as the paper does, between that of random
//! actions and that of a planner ([`reference_returns`](crate::reference_returns)).
//!
//! Each motor takes a number from -1 to 1, and what is beyond is cut off. Every step is 0.02 seconds long and earns
//! between 0 and 1: a product of factors that are 1 where all is well and fall off smoothly. No episode terminates.
//! Lengths are in metres, angles in radians, masses in kilograms and times in seconds.

mod cart;
mod cart_poles;
mod linkage;
mod pendulum_swing_up;
mod rail;
mod reacher;
#[cfg(test)]
mod tests;

pub use cart::Cart;
pub use cart_poles::CartPoles;
pub use pendulum_swing_up::PendulumSwingUp;
pub use reacher::Reacher;

use crate::runge_kutta::runge_kutta;

/// From one action to the next.
const TIME_STEP: f64 = 0.02;
const GRAVITY: f64 = 9.81;
/// How much of a reward motors at full power cost.
const EFFORT: f64 = 0.1;

/// The state [`TIME_STEP`] later, by as many steps of fourth order.
#[inline]
fn integrate<const N: usize>(mut state: [f64; N], steps: usize, rate: impl Fn([f64; N]) -> [f64; N]) -> [f64; N] {
    for _ in 0..steps {
        state = runge_kutta(state, TIME_STEP / steps as f64, &rate);
    }
    state
}

/// What the motors are told, between -1 and 1.
#[inline]
fn motors<const A: usize>(action: &[f32]) -> [f64; A] {
    std::array::from_fn(|motor| f64::from(action[motor]).clamp(-1.0, 1.0))
}

/// 1 / (1 + (distance / margin)^2): 1 where there is no distance, 1/2 at the margin, and never flat on the way.
#[inline]
fn near(distance: f64, margin: f64) -> f64 {
    let relative = distance / margin;
    1.0 / (1.0 + relative * relative)
}

/// (1 + cos angle) / 2: 1 where a pole is upright, 0 where it hangs.
#[inline]
fn upright(cos: f64) -> f64 {
    (0.5 + 0.5 * cos).clamp(0.0, 1.0)
}

/// 1 - 0.1 u^2 on average over the motors: 1 where they rest.
#[inline]
fn ease<const A: usize>(motors: [f64; A]) -> f64 {
    let squares: f64 = motors.iter().map(|motor| motor * motor).sum();
    1.0 - EFFORT * squares / A as f64
}

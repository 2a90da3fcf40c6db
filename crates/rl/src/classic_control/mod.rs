//! The classic control tasks, held to recorded steps of Gymnasium's.
//!
//! Lengths are in metres, angles in radians, masses in kilograms and times in seconds.

mod acrobot;
mod cart_pole;
mod hills;
mod mountain_car;
mod mountain_car_continuous;
mod pendulum;

pub use acrobot::Acrobot;
pub use cart_pole::CartPole;
pub use mountain_car::MountainCar;
pub use mountain_car_continuous::{CarState, MountainCarContinuous};
pub use pendulum::Pendulum;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Numbers drawn uniformly between `-bound` and `bound`.
fn uniform<const N: usize>(random: &mut ChaCha8Rng, bound: f64) -> [f64; N] {
    std::array::from_fn(|_| random.random_range(-bound..bound))
}

/// The position in which a car starts.
fn car_start(random: &mut ChaCha8Rng) -> f64 {
    random.random_range(-0.6..-0.4)
}

//! The mountain car with a throttle.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::car_start;
use super::hills::hills;
use crate::render::Scene;
use crate::simulator::Dynamics;
use crate::space::Space;

const POSITIONS: [f64; 2] = [-1.2, 0.6];
const MOST_SPEED: f64 = 0.07;
const GOAL: f64 = 0.45;
const POWER: f64 = 0.0015;
const GRAVITY: f64 = 0.0025;

/// Reaching the hill on the right: 100 for that, less a tenth of the squared action in every step.
///
/// The action is a force from -1 to 1; what is beyond is cut off, but costs.
#[derive(Debug, Clone, Copy)]
pub struct MountainCarContinuous;

/// Position and velocity. Gymnasium computes the first step of an episode in 64 bits and keeps the state in 32 from then
/// on, so its numbers are met only by doing the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum CarState {
    /// Before the first step.
    First([f64; 2]),
    /// After it.
    Later([f32; 2]),
}

impl CarState {
    /// Position and velocity.
    pub fn values(self) -> [f64; 2] {
        match self {
            Self::First(values) => values,
            Self::Later(values) => values.map(f64::from),
        }
    }
}

impl Dynamics for MountainCarContinuous {
    type State = CarState;

    fn observation_space(&self) -> Space {
        Space::Box {
            low: vec![POSITIONS[0] as f32, -MOST_SPEED as f32],
            high: vec![POSITIONS[1] as f32, MOST_SPEED as f32],
        }
    }

    fn action_space(&self) -> Space {
        Space::symmetric(vec![1.0])
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        CarState::First([car_start(random), 0.0])
    }

    fn advance(&self, state: Self::State, action: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let (next, reached) = match state {
            CarState::First([position, velocity]) => {
                let force = acceleration(action[0], (3.0 * position).cos());
                let velocity = (velocity + force).clamp(-MOST_SPEED, MOST_SPEED);
                let position = (position + velocity).clamp(POSITIONS[0], POSITIONS[1]);
                let velocity = if position <= POSITIONS[0] {
                    velocity.max(0.0)
                } else {
                    velocity
                };
                ([position as f32, velocity as f32], position >= GOAL && velocity >= 0.0)
            }
            CarState::Later([position, velocity]) => {
                let [left, right, most_speed, goal] = [POSITIONS[0], POSITIONS[1], MOST_SPEED, GOAL].map(|x| x as f32);
                let force = acceleration(action[0], f64::from(3.0 * position).cos());
                let velocity = (velocity + force as f32).clamp(-most_speed, most_speed);
                let position = (position + velocity).clamp(left, right);
                let velocity = if position <= left { velocity.max(0.0) } else { velocity };
                ([position, velocity], position >= goal && velocity >= 0.0)
            }
        };
        let effort = f64::from(action[0]);
        let reward = if reached { 100.0 } else { 0.0 } - effort * effort * 0.1;
        (CarState::Later(next), reward, reached)
    }

    fn observe(&self, state: &Self::State, observation: &mut [f32]) {
        observation.copy_from_slice(&state.values().map(|entry| entry as f32));
    }

    fn draw(&self, state: &Self::State) -> Option<Scene> {
        Some(hills(state.values()[0], GOAL))
    }
}

/// The change of velocity in a step, rounded as NumPy rounds it: to 32 bits, unless the action was cut off.
fn acceleration(action: f32, slope: f64) -> f64 {
    let pull = GRAVITY * slope;
    if action.abs() > 1.0 {
        f64::from(action.signum()) * POWER - pull
    } else {
        f64::from(action * POWER as f32 - pull as f32)
    }
}

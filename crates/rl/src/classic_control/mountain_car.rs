//! A car in a valley, too weak to drive straight up.

use rand_chacha::ChaCha8Rng;

use super::car_start;
use super::hills::hills;
use crate::render::Scene;
use crate::simulator::Dynamics;
use crate::space::Space;
use crate::trigonometry::sin_cos;

const POSITIONS: [f64; 2] = [-1.2, 0.6];
const MOST_SPEED: f64 = 0.07;
const GOAL: f64 = 0.5;
const FORCE: f64 = 0.001;
const GRAVITY: f64 = 0.0025;

/// Reaching the hill on the right: -1 for every step (Moore 1990).
///
/// The state is position and velocity. Actions 0, 1 and 2 accelerate to the left, not at all, and to the right.
#[derive(Debug, Clone, Copy)]
pub struct MountainCar;

impl Dynamics for MountainCar {
    type State = [f64; 2];

    fn observation_space(&self) -> Space {
        Space::Box {
            low: vec![POSITIONS[0] as f32, -MOST_SPEED as f32],
            high: vec![POSITIONS[1] as f32, MOST_SPEED as f32],
        }
    }

    fn action_space(&self) -> Space {
        Space::Discrete(3)
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        [car_start(random), 0.0]
    }

    #[inline]
    fn advance(
        &self,
        [position, velocity]: Self::State,
        action: &[f32],
        _: &mut ChaCha8Rng,
    ) -> (Self::State, f64, bool) {
        let push = (f64::from(action[0]) - 1.0) * FORCE;
        let velocity = (velocity + (push - sin_cos(3.0 * position).1 * GRAVITY)).clamp(-MOST_SPEED, MOST_SPEED);
        let position = (position + velocity).clamp(POSITIONS[0], POSITIONS[1]);
        // The wall on the left stops the car.
        let stopped = position <= POSITIONS[0] && velocity < 0.0;
        let velocity = if stopped { 0.0 } else { velocity };
        ([position, velocity], -1.0, position >= GOAL && velocity >= 0.0)
    }

    #[inline]
    fn observe(&self, state: &Self::State, observation: &mut [f32]) {
        observation.copy_from_slice(&state.map(|entry| entry as f32));
    }

    fn draw(&self, [position, _]: &Self::State) -> Option<Scene> {
        Some(hills(*position, GOAL))
    }
}

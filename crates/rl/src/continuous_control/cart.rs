//! A cart on a rail.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::rail::cart_on_rail;
use super::{ease, integrate, motors, near};
use crate::render::{Scene, palette};
use crate::simulator::Dynamics;
use crate::space::Space;

const MASS: f64 = 1.0;
/// Of the motor, in newtons.
const GEAR: f64 = 5.0;
/// In newtons for each metre a second.
const FRICTION: f64 = 1.0;
const MARGIN: f64 = 0.2;

/// Moving a cart to the middle of its rail and keeping it there: x'' = (5 u - x') / 1 kg.
///
/// The state, which is seen, is position and velocity. It starts within a metre of the middle, at rest. A step that ends
/// at x earns (1 - 0.1 u^2) / (1 + (x / 0.2)^2).
#[derive(Debug, Clone, Copy)]
pub struct Cart;

impl Cart {
    /// The time derivative of the state.
    #[inline]
    pub(super) fn rate([_, velocity]: [f64; 2], [motor]: [f64; 1]) -> [f64; 2] {
        [velocity, (GEAR * motor - FRICTION * velocity) / MASS]
    }
}

impl Dynamics for Cart {
    type State = [f64; 2];

    fn observation_space(&self) -> Space {
        Space::symmetric(vec![f32::INFINITY; 2])
    }

    fn action_space(&self) -> Space {
        Space::symmetric(vec![1.0])
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        [random.random_range(-1.0..1.0), 0.0]
    }

    #[inline]
    fn advance(&self, state: Self::State, action: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let motors = motors(action);
        let next = integrate(state, 2, |state| Self::rate(state, motors));
        (next, near(next[0], MARGIN) * ease(motors), false)
    }

    #[inline]
    fn observe(&self, state: &Self::State, observation: &mut [f32]) {
        observation.copy_from_slice(&state.map(|entry| entry as f32));
    }

    fn draw(&self, [position, _]: &Self::State) -> Option<Scene> {
        let (mut scene, axle) = cart_on_rail(*position, 140.0, 66.0);
        scene.disc(axle, 4.0, palette::INK);
        Some(scene)
    }
}

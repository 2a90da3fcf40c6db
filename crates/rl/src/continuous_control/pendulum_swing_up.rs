//! A pendulum with a motor too weak to lift it at once, whose rewards are bounded.

use std::f64::consts::PI;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{GRAVITY, ease, integrate, motors, near, upright};
use crate::classic_control::Pendulum;
use crate::render::Scene;
use crate::simulator::Dynamics;
use crate::space::Space;
use crate::trigonometry::sin_cos;

const MASS: f64 = 1.0;
const LENGTH: f64 = 1.0;
/// Of the motor, in newton metres; holding the pendulum level takes 4.9.
const GEAR: f64 = 1.5;
/// An angular velocity that is too fast.
const FAST: f64 = 5.0;
/// How far from hanging, and from rest, it starts.
const START: f64 = 0.1;

/// Swinging a rod up that starts near hanging, and holding it:
/// theta'' = 3 g / (2 l) sin theta + 3 / (m l^2) 1.5 u.
///
/// The state is the angle from upright and the angular velocity; what is seen is cosine and sine of the angle, and the
/// velocity. A step that ends there earns (1 + cos theta) / 2 / (1 + (theta' / 5)^2) (1 - 0.1 u^2).
#[derive(Debug, Clone, Copy)]
pub struct PendulumSwingUp;

impl PendulumSwingUp {
    /// The time derivative of the state.
    #[inline]
    pub(super) fn rate([angle, rotation]: [f64; 2], [motor]: [f64; 1]) -> [f64; 2] {
        let pull = 3.0 * GRAVITY / (2.0 * LENGTH) * sin_cos(angle).0;
        [rotation, pull + 3.0 / (MASS * LENGTH * LENGTH) * GEAR * motor]
    }
}

impl Dynamics for PendulumSwingUp {
    type State = [f64; 2];

    fn observation_space(&self) -> Space {
        Space::symmetric(vec![1.0, 1.0, f32::INFINITY])
    }

    fn action_space(&self) -> Space {
        Space::symmetric(vec![1.0])
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        [
            PI + random.random_range(-START..START),
            random.random_range(-START..START),
        ]
    }

    #[inline]
    fn advance(&self, state: Self::State, action: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let motors = motors(action);
        let next = integrate(state, 2, |state| Self::rate(state, motors));
        let reward = upright(sin_cos(next[0]).1) * near(next[1], FAST) * ease(motors);
        (next, reward, false)
    }

    #[inline]
    fn observe(&self, [angle, rotation]: &Self::State, observation: &mut [f32]) {
        let (sin, cos) = sin_cos(*angle);
        observation.copy_from_slice(&[cos, sin, *rotation].map(|entry| entry as f32));
    }

    fn draw(&self, [angle, rotation]: &Self::State) -> Option<Scene> {
        // Angles are clockwise here, and the other way round there.
        Pendulum.draw(&[-angle, *rotation])
    }
}

//! A pendulum with a motor too weak to lift it at once.

use std::f64::consts::{PI, TAU};

use rand_chacha::ChaCha8Rng;

use super::uniform;
use crate::render::{Scene, palette};
use crate::simulator::Dynamics;
use crate::space::Space;
use crate::trigonometry::sin_cos;

const GRAVITY: f64 = 10.0;
const MASS: f64 = 1.0;
const LENGTH: f64 = 1.0;
const TIME_STEP: f64 = 0.05;
const MOST_TORQUE: f32 = 2.0;
const MOST_ROTATION: f64 = 8.0;

/// Swinging up and staying up: every step costs theta^2 + 0.1 theta'^2 + 0.001 u^2.
///
/// The state is the angle from upright and the angular velocity; what is seen is cosine and sine of the angle, and the
/// velocity. The action is a torque from -2 to 2 newton metres. No episode terminates.
#[derive(Debug, Clone, Copy)]
pub struct Pendulum;

impl Dynamics for Pendulum {
    type State = [f64; 2];

    fn observation_space(&self) -> Space {
        Space::symmetric(vec![1.0, 1.0, MOST_ROTATION as f32])
    }

    fn action_space(&self) -> Space {
        Space::symmetric(vec![MOST_TORQUE])
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        let [angle, rotation] = uniform(random, 1.0);
        [PI * angle, rotation]
    }

    #[inline]
    fn advance(&self, [angle, rotation]: Self::State, action: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let torque = action[0].clamp(-MOST_TORQUE, MOST_TORQUE);
        // Between -pi and pi.
        let from_upright = angle - TAU * ((angle + PI) / TAU).floor();
        // The torque's own terms are 32 bits wide, as in Gymnasium.
        let effort = f64::from(0.001 * (torque * torque));
        let cost = from_upright * from_upright + 0.1 * rotation * rotation + effort;
        let turn = f64::from((3.0 / (MASS * LENGTH * LENGTH)) as f32 * torque);
        let acceleration = 3.0 * GRAVITY / (2.0 * LENGTH) * sin_cos(angle).0 + turn;
        let rotation = (rotation + acceleration * TIME_STEP).clamp(-MOST_ROTATION, MOST_ROTATION);
        ([angle + rotation * TIME_STEP, rotation], -cost, false)
    }

    #[inline]
    fn observe(&self, [angle, rotation]: &Self::State, observation: &mut [f32]) {
        let (sin, cos) = sin_cos(*angle);
        observation.copy_from_slice(&[cos, sin, *rotation].map(|entry| entry as f32));
    }

    fn draw(&self, [angle, _]: &Self::State) -> Option<Scene> {
        // In centimetres; a positive angle leans to the left, as in Gymnasium.
        let mut scene = Scene::new([260.0, 260.0], palette::PAPER);
        let (pivot, length) = ([130.0, 130.0], 100.0 * LENGTH);
        // Where its end should be.
        let (top, wide) = (pivot[1] - length - 10.0, 6.0);
        scene.polygon(
            [[130.0 - wide, top - 9.0], [130.0 + wide, top - 9.0], [130.0, top]],
            palette::GREEN,
        );
        let (sin, cos) = sin_cos(*angle);
        let end = [pivot[0] - length * sin, pivot[1] - length * cos];
        scene.line([pivot, end], 18.0, palette::ORANGE);
        scene.disc(pivot, 5.0, palette::INK);
        Some(scene)
    }
}

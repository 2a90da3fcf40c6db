//! Two links that hang from a fixed point; the joint between them has a motor.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use rand_chacha::ChaCha8Rng;

use super::uniform;
use crate::render::{Scene, palette};
use crate::runge_kutta::runge_kutta;
use crate::simulator::Dynamics;
use crate::space::Space;
use crate::trigonometry::sin_cos;

const GRAVITY: f64 = 9.8;
const LINK_LENGTH: f64 = 1.0;
const LINK_MASS: f64 = 1.0;
/// From a link's upper end to its centre of mass.
const LINK_CENTRE: f64 = 0.5;
const LINK_INERTIA: f64 = 1.0;
const TIME_STEP: f64 = 0.2;
/// The greatest angular velocities.
const MOST_ROTATION: [f64; 2] = [4.0 * PI, 9.0 * PI];

/// Swinging the free end above a line, one link's length above the fixed point: -1 for every step until then (Sutton 1996,
/// with the equations of Sutton and Barto).
///
/// The state is the angle of the first link from hanging down, that of the second relative to the first, and their angular
/// velocities; what is seen is cosine and sine of both angles, and the velocities. Actions 0, 1 and 2 turn the joint by
/// -1, 0 and 1 newton metres.
#[derive(Debug, Clone, Copy)]
pub struct Acrobot;

impl Dynamics for Acrobot {
    type State = [f64; 4];

    fn observation_space(&self) -> Space {
        let rotations = MOST_ROTATION.map(|most| most as f32);
        Space::symmetric([&[1.0; 4][..], &rotations].concat())
    }

    fn action_space(&self) -> Space {
        Space::Discrete(3)
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        // Gymnasium rounds the first state to 32 bits.
        uniform(random, 0.1).map(|entry| f64::from(entry as f32))
    }

    fn advance(&self, state: Self::State, action: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let torque = f64::from(action[0]) - 1.0;
        let [first, second, first_rotation, second_rotation] =
            runge_kutta(state, TIME_STEP, |state| rate(state, torque));
        let next = [
            wrap(first),
            wrap(second),
            first_rotation.clamp(-MOST_ROTATION[0], MOST_ROTATION[0]),
            second_rotation.clamp(-MOST_ROTATION[1], MOST_ROTATION[1]),
        ];
        let height = -sin_cos(next[0]).1 - sin_cos(next[1] + next[0]).1;
        let terminated = height > 1.0;
        (next, if terminated { 0.0 } else { -1.0 }, terminated)
    }

    fn observe(&self, state: &Self::State, observation: &mut [f32]) {
        let [first, second, first_rotation, second_rotation] = *state;
        let ((first_sin, first_cos), (second_sin, second_cos)) = (sin_cos(first), sin_cos(second));
        let seen = [
            first_cos,
            first_sin,
            second_cos,
            second_sin,
            first_rotation,
            second_rotation,
        ];
        observation.copy_from_slice(&seen.map(|entry| entry as f32));
    }

    fn draw(&self, [first, second, ..]: &Self::State) -> Option<Scene> {
        // In centimetres.
        let mut scene = Scene::new([460.0, 460.0], palette::PAPER);
        let length = 100.0 * LINK_LENGTH;
        let hinge = [230.0, 230.0];
        let end = |[x, y]: [f64; 2], angle: f64| {
            let (sin, cos) = sin_cos(angle);
            [x + length * sin, y + length * cos]
        };
        let line = hinge[1] - length;
        scene.line([[20.0, line], [440.0, line]], 3.0, palette::GREEN);
        let joint = end(hinge, *first);
        let tip = end(joint, first + second);
        scene.line([hinge, joint], 20.0, palette::BLUE);
        scene.line([joint, tip], 20.0, palette::ORANGE);
        for pivot in [hinge, joint] {
            scene.disc(pivot, 6.0, palette::INK);
        }
        Some(scene)
    }
}

/// The time derivative of the state.
fn rate([first, second, first_rotation, second_rotation]: [f64; 4], torque: f64) -> [f64; 4] {
    let coupling = LINK_MASS * LINK_LENGTH * LINK_CENTRE;
    let own = LINK_MASS * LINK_CENTRE * LINK_CENTRE + LINK_INERTIA;
    let (sin, cos) = sin_cos(second);
    // The names of Sutton and Barto: the inertias d_1, d_2 and the forces phi_1, phi_2.
    let d_1 = 2.0 * own + LINK_MASS * LINK_LENGTH * LINK_LENGTH + 2.0 * coupling * cos;
    let d_2 = own + coupling * cos;
    let phi_2 = LINK_MASS * LINK_CENTRE * GRAVITY * sin_cos(first + second - FRAC_PI_2).1;
    let phi_1 = -coupling * second_rotation * sin * (second_rotation + 2.0 * first_rotation)
        + (LINK_MASS * LINK_CENTRE + LINK_MASS * LINK_LENGTH) * GRAVITY * sin_cos(first - FRAC_PI_2).1
        + phi_2;
    let second_acceleration = (torque + d_2 / d_1 * phi_1 - coupling * first_rotation * first_rotation * sin - phi_2)
        / (own - d_2 * d_2 / d_1);
    let first_acceleration = -(d_2 * second_acceleration + phi_1) / d_1;
    [first_rotation, second_rotation, first_acceleration, second_acceleration]
}

/// An angle between -pi and pi.
fn wrap(mut angle: f64) -> f64 {
    while angle > PI {
        angle -= TAU;
    }
    while angle < -PI {
        angle += TAU;
    }
    angle
}

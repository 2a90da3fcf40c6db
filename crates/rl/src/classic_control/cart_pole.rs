//! A pole on a cart that is pushed to the left or to the right.

use rand_chacha::ChaCha8Rng;

use super::uniform;
use crate::render::{Scene, palette};
use crate::simulator::Dynamics;
use crate::space::Space;
use crate::trigonometry::sin_cos;

const GRAVITY: f64 = 9.8;
const CART_MASS: f64 = 1.0;
const POLE_MASS: f64 = 0.1;
const TOTAL_MASS: f64 = CART_MASS + POLE_MASS;
/// Half of the pole's length.
const LENGTH: f64 = 0.5;
const FORCE: f64 = 10.0;
const TIME_STEP: f64 = 0.02;
/// Where the task is over: 12 degrees, and the end of the track.
const MOST_ANGLE: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
const MOST_POSITION: f64 = 2.4;

/// Balancing a pole for as long as possible: 1 for every step (Barto, Sutton and Anderson 1983).
///
/// The state is position, velocity, angle and angular velocity. Action 0 pushes to the left, 1 to the right.
#[derive(Debug, Clone, Copy)]
pub struct CartPole;

impl Dynamics for CartPole {
    type State = [f64; 4];

    fn observation_space(&self) -> Space {
        let angle = (2.0 * MOST_ANGLE) as f32;
        Space::symmetric(vec![2.0 * MOST_POSITION as f32, f32::INFINITY, angle, f32::INFINITY])
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        uniform(random, 0.05)
    }

    #[inline]
    fn advance(&self, state: Self::State, action: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let [position, velocity, angle, rotation] = state;
        let force = if action[0] > 0.5 { FORCE } else { -FORCE };
        let (sin, cos) = sin_cos(angle);
        let push = (force + POLE_MASS * LENGTH * rotation * rotation * sin) / TOTAL_MASS;
        let inertia = LENGTH * (4.0 / 3.0 - POLE_MASS * cos * cos / TOTAL_MASS);
        let angular_acceleration = (GRAVITY * sin - cos * push) / inertia;
        let acceleration = push - POLE_MASS * LENGTH * angular_acceleration * cos / TOTAL_MASS;
        // Explicit Euler: everything moves by the old velocities.
        let next = [
            position + TIME_STEP * velocity,
            velocity + TIME_STEP * acceleration,
            angle + TIME_STEP * rotation,
            rotation + TIME_STEP * angular_acceleration,
        ];
        let terminated = next[0].abs() > MOST_POSITION || next[2].abs() > MOST_ANGLE;
        (next, 1.0, terminated)
    }

    #[inline]
    fn observe(&self, state: &Self::State, observation: &mut [f32]) {
        observation.copy_from_slice(&state.map(|entry| entry as f32));
    }

    fn draw(&self, [position, _, angle, _]: &Self::State) -> Option<Scene> {
        // In centimetres, with the axle of the pole at this height.
        let mut scene = Scene::new([560.0, 280.0], palette::PAPER);
        let (axle, track) = (190.0, 228.0);
        let across = |position: f64| 280.0 + 100.0 * position;
        let ends = [-MOST_POSITION, MOST_POSITION].map(across);
        scene.line([[ends[0], track], [ends[1], track]], 4.0, palette::SOFT);
        for end in ends {
            scene.line([[end, track - 14.0], [end, track + 14.0]], 6.0, palette::RED);
        }
        let cart = across(*position);
        for wheel in [cart - 22.0, cart + 22.0] {
            scene.disc([wheel, track - 11.0], 9.0, palette::INK);
        }
        scene.rectangle([cart, axle + 8.0], [84.0, 34.0], 8.0, palette::BLUE);
        let (sin, cos) = sin_cos(*angle);
        let length = 200.0 * LENGTH;
        let tip = [cart + length * sin, axle - length * cos];
        scene.line([[cart, axle], tip], 11.0, palette::ORANGE);
        scene.disc([cart, axle], 4.0, palette::INK);
        Some(scene)
    }
}

//! The scalar linear-quadratic regulator, whose best policy is known in closed form.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::render::{Scene, palette};
use crate::simulator::Dynamics;
use crate::space::Space;

/// A number x is to be kept at zero with little effort u: x' = a x + b u + noise, and every step costs q x^2 + r u^2.
///
/// No episode terminates. The best action is u = -k x, whatever the noise (Bertsekas 2017, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearQuadratic {
    /// a: what becomes of x by itself.
    pub drift: f64,
    /// b.
    pub control: f64,
    /// q.
    pub state_cost: f64,
    /// r.
    pub control_cost: f64,
    /// The deviation of the noise.
    pub noise: f64,
}

impl Default for LinearQuadratic {
    fn default() -> Self {
        Self {
            drift: 1.0,
            control: 0.5,
            state_cost: 1.0,
            control_cost: 0.5,
            noise: 0.1,
        }
    }
}

/// The most that u may be.
const MOST: f32 = 2.0;

impl LinearQuadratic {
    /// k of the best policy u = -k x and p of its value -p x^2 + constant, with discount gamma: the fixed point of the Riccati recursion
    /// p = q + gamma a^2 p - (gamma a b p)^2 / (r + gamma b^2 p).
    pub fn riccati(&self, discount: f64) -> [f64; 2] {
        let Self {
            drift: a,
            control: b,
            state_cost,
            control_cost,
            ..
        } = *self;
        let gain = |p: f64| discount * a * b * p / (control_cost + discount * b * b * p);
        let mut p = state_cost;
        loop {
            let next = state_cost + discount * a * a * p - gain(p) * discount * a * b * p;
            if (next - p).abs() <= 1e-15 * p {
                return [gain(p), p];
            }
            p = next;
        }
    }
}

impl Dynamics for LinearQuadratic {
    type State = [f64; 1];

    fn observation_space(&self) -> Space {
        Space::symmetric(vec![f32::INFINITY])
    }

    fn action_space(&self) -> Space {
        Space::symmetric(vec![MOST])
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        [random.random_range(-1.0..1.0)]
    }

    fn advance(&self, [x]: Self::State, action: &[f32], random: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let u = f64::from(action[0].clamp(-MOST, MOST));
        let normal: f64 = StandardNormal.sample(random);
        let next = self.drift * x + self.control * u + self.noise * normal;
        let cost = self.state_cost * x * x + self.control_cost * u * u;
        ([next], -cost, false)
    }

    fn observe(&self, [x]: &Self::State, observation: &mut [f32]) {
        observation[0] = *x as f32;
    }

    fn draw(&self, [x]: &Self::State) -> Option<Scene> {
        // A ball on a line, with a mark at zero; what is far away is drawn at the edge.
        let mut scene = Scene::new([260.0, 80.0], palette::PAPER);
        scene.line([[20.0, 50.0], [240.0, 50.0]], 2.0, palette::INK);
        scene.line([[130.0, 42.0], [130.0, 58.0]], 2.0, palette::GREEN);
        let place = (130.0 + 50.0 * x).clamp(20.0, 240.0);
        scene.disc([place, 42.0], 8.0, palette::ORANGE);
        Some(scene)
    }
}

//! A cart that carries poles.

use std::f64::consts::PI;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::linkage::{Linkage, Rod};
use super::rail::{SCALE, cart_on_rail};
use super::{GRAVITY, ease, integrate, motors, near, upright};
use crate::render::{Rgb, Scene, palette};
use crate::simulator::Dynamics;
use crate::space::Space;
use crate::trigonometry::sin_cos;

const CART_MASS: f64 = 1.0;
/// Of the motor, in newtons.
const GEAR: f64 = 10.0;
/// Of the cart on its rail, in newtons for each metre a second.
const FRICTION: f64 = 1.0;
/// How far from the middle the cart, and how fast the poles, may be for half of the reward.
const MARGIN: f64 = 1.0;
const FAST: f64 = 5.0;
/// The greatest entry of a first state, but for poles that hang.
const START: f64 = 0.05;
/// Of the poles, in their order.
const COLOURS: [Rgb; 3] = [palette::ORANGE, palette::YELLOW, palette::RED];

/// Keeping `POLES` poles upright on a cart, near the middle of its rail. `ENTRIES` is 2 + 2 `POLES`.
///
/// The state is the position of the cart, the angles of the poles from upright, clockwise, and their velocities in the
/// same order; what is seen is the position, cosines and sines of the angles, and the velocities. The motor pushes the cart,
/// whose friction is 1 N s/m, with up to 10 newtons. A step that ends there earns the product of (1 + cos theta) / 2 of all poles,
/// 1 / (1 + x^2), 1 / (1 + (theta' / 5)^2) on average over the poles, and 1 - 0.1 u^2.
#[derive(Debug, Clone, Copy)]
pub struct CartPoles<const POLES: usize, const ENTRIES: usize> {
    linkage: Linkage<POLES>,
    rods: [Rod; POLES],
    /// Whether each pole is hinged to the end of the one before.
    in_series: bool,
    /// Where the poles start: 0 or pi from upright.
    start: f64,
}

/// A pole of a metre and 100 grams, as Barto, Sutton and Anderson's.
const POLE: Rod = Rod { mass: 0.1, length: 1.0 };

impl CartPoles<1, 4> {
    /// One pole of a metre that starts near upright: the paper's `cartpoleBalance`.
    pub fn balance() -> Self {
        Self::in_series([POLE], 0.0)
    }

    /// The same pole, which starts near hanging: the paper's `cartpole`.
    pub fn swing_up() -> Self {
        Self::in_series([POLE], PI)
    }
}

impl CartPoles<2, 6> {
    /// Two poles of half a metre, one on the end of the other, that start near upright: the paper's `cartpoleSerialDouble`.
    pub fn serial_double() -> Self {
        let rod = Rod { mass: 0.1, length: 0.5 };
        Self::in_series([rod; 2], 0.0)
    }

    /// A pole of a metre and one of half a metre side by side on the cart, that start near upright: the paper's
    /// `cartpoleParallelDouble`. Were they of the same length, no push could move one without the other.
    pub fn parallel_double() -> Self {
        let short = Rod {
            mass: 0.05,
            length: 0.5,
        };
        let rods = [POLE, short];
        Self {
            linkage: Linkage::parallel(rods),
            rods,
            in_series: false,
            start: 0.0,
        }
    }
}

impl CartPoles<3, 8> {
    /// Three poles of 40 centimetres, each on the end of the one before, that start near upright: the paper's
    /// `cartpoleSerialTriple`.
    pub fn serial_triple() -> Self {
        let rod = Rod { mass: 0.1, length: 0.4 };
        Self::in_series([rod; 3], 0.0)
    }
}

impl<const POLES: usize, const ENTRIES: usize> CartPoles<POLES, ENTRIES> {
    fn in_series(rods: [Rod; POLES], start: f64) -> Self {
        Self {
            linkage: Linkage::serial(rods),
            rods,
            in_series: true,
            start,
        }
    }

    /// The time derivative of the state where `force` acts on the cart.
    #[inline]
    pub(super) fn rate(&self, state: [f64; ENTRIES], force: f64) -> [f64; ENTRIES] {
        const { assert!(ENTRIES == 2 + 2 * POLES) };
        let angles = std::array::from_fn(|pole| state[1 + pole]);
        let rotations = std::array::from_fn(|pole| state[2 + POLES + pole]);
        let (acceleration, turns) = self.linkage.on_cart(CART_MASS, angles, rotations, force, GRAVITY);
        std::array::from_fn(|entry| match entry.checked_sub(1 + POLES) {
            None => state[1 + POLES + entry],
            Some(0) => acceleration,
            Some(pole) => turns[pole - 1],
        })
    }

    /// Steps of integration: the end of a chain whips about, the faster the longer the chain.
    fn steps(&self) -> usize {
        if self.in_series { 2 * POLES } else { 2 }
    }

    /// The force on the cart, from the motor and from friction.
    #[inline]
    pub(super) fn force(state: &[f64; ENTRIES], motor: f64) -> f64 {
        GEAR * motor - FRICTION * state[1 + POLES]
    }
}

impl<const POLES: usize, const ENTRIES: usize> Dynamics for CartPoles<POLES, ENTRIES>
where
    [f64; ENTRIES]: Serialize + DeserializeOwned,
{
    type State = [f64; ENTRIES];

    fn observation_space(&self) -> Space {
        let mut high = vec![f32::INFINITY; 2 + 3 * POLES];
        high[1..=2 * POLES].fill(1.0);
        Space::symmetric(high)
    }

    fn action_space(&self) -> Space {
        Space::symmetric(vec![1.0])
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        std::array::from_fn(|entry| {
            let middle = if (1..=POLES).contains(&entry) { self.start } else { 0.0 };
            middle + random.random_range(-START..START)
        })
    }

    #[inline]
    fn advance(&self, state: Self::State, action: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let motors @ [motor] = motors(action);
        let next = integrate(state, self.steps(), |state| {
            self.rate(state, Self::force(&state, motor))
        });
        let (mut reward, mut calm) = (near(next[0], MARGIN) * ease(motors), 0.0);
        for pole in 0..POLES {
            reward *= upright(sin_cos(next[1 + pole]).1);
            calm += near(next[2 + POLES + pole], FAST) / POLES as f64;
        }
        (next, reward * calm, false)
    }

    #[inline]
    fn observe(&self, state: &Self::State, observation: &mut [f32]) {
        observation[0] = state[0] as f32;
        for pole in 0..POLES {
            let (sin, cos) = sin_cos(state[1 + pole]);
            observation[1 + pole] = cos as f32;
            observation[1 + POLES + pole] = sin as f32;
        }
        for (seen, velocity) in observation[1 + 2 * POLES..].iter_mut().zip(&state[1 + POLES..]) {
            *seen = *velocity as f32;
        }
    }

    fn draw(&self, state: &Self::State) -> Option<Scene> {
        let (mut scene, axle) = cart_on_rail(state[0], 320.0, 150.0);
        let mut hinge = axle;
        let mut hinges = vec![axle];
        for (pole, rod) in self.rods.iter().enumerate() {
            let (sin, cos) = sin_cos(state[1 + pole]);
            let length = SCALE * rod.length;
            let tip = [hinge[0] + length * sin, hinge[1] - length * cos];
            scene.line([hinge, tip], 11.0, COLOURS[pole % COLOURS.len()]);
            if self.in_series {
                hinges.push(hinge);
                hinge = tip;
            }
        }
        for hinge in hinges {
            scene.disc(hinge, 4.0, palette::INK);
        }
        Some(scene)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinetic and potential energy, rod by rod.
    fn energy<const P: usize, const N: usize>(law: &CartPoles<P, N>, state: &[f64; N]) -> f64 {
        let speed = state[1 + P];
        let mut total = 0.5 * CART_MASS * speed * speed;
        // The height of the hinge, and its velocity.
        let (mut height, mut moves) = (0.0, [speed, 0.0]);
        for (pole, rod) in law.rods.iter().enumerate() {
            let ((sin, cos), rotation) = (state[1 + pole].sin_cos(), state[2 + P + pole]);
            let along = |share: f64| {
                let arm = share * rod.length;
                let velocity = [moves[0] + arm * cos * rotation, moves[1] - arm * sin * rotation];
                (height + arm * cos, velocity)
            };
            let (centre, [across, up]) = along(0.5);
            let inertia = rod.mass * rod.length * rod.length / 12.0;
            total += 0.5 * rod.mass * (across * across + up * up) + 0.5 * inertia * rotation * rotation;
            total += rod.mass * GRAVITY * centre;
            if law.in_series {
                (height, moves) = along(1.0);
            }
        }
        total
    }

    /// The greatest change of energy in ten seconds without motor and friction, as a share of what it takes to lift the
    /// poles from hanging to upright.
    fn drift<const P: usize, const N: usize>(law: &CartPoles<P, N>) -> f64 {
        let mut state = std::array::from_fn(|entry| if (1..=P).contains(&entry) { 0.1 } else { 0.0 });
        let mut hanging = state;
        let mut upright = state;
        hanging[1..=P].fill(PI);
        upright[1..=P].fill(0.0);
        let lift = energy(law, &upright) - energy(law, &hanging);
        let before = energy(law, &state);
        let mut most: f64 = 0.0;
        for _ in 0..500 {
            state = integrate(state, law.steps(), |state| law.rate(state, 0.0));
            most = most.max((energy(law, &state) - before).abs() / lift);
        }
        // It has moved.
        assert!(state[1].abs() > 0.5, "{state:?}");
        most
    }

    #[test]
    fn energy_is_conserved() {
        // Falling from near upright; a chain of three is driven harder than any policy would.
        let drifts = [
            (drift(&CartPoles::balance()), 1e-7),
            (drift(&CartPoles::parallel_double()), 1e-6),
            (drift(&CartPoles::serial_double()), 1e-3),
            (drift(&CartPoles::serial_triple()), 5e-3),
        ];
        assert!(drifts.iter().all(|(drift, bound)| drift < bound), "{drifts:?}");
    }
}

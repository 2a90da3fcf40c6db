//! Arms that reach for a target.

use std::f64::consts::PI;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::linkage::{Linkage, Rod};
use super::{ease, integrate, motors, near};
use crate::render::{Point, Rgb, Scene, palette};
use crate::simulator::Dynamics;
use crate::space::Space;
use crate::trigonometry::sin_cos;

const LINK: Rod = Rod { mass: 0.5, length: 0.5 };
/// Of the motor in a joint that moves one link, in newton metres. One that moves n of them has n^2 times as much, since
/// they are as hard to turn as that.
const GEAR: f64 = 0.25;
/// The angular velocity at which friction in a joint takes all that its motor gives.
const MOST_ROTATION: f64 = 5.0;
const MARGIN: f64 = 0.1;
/// Where a target may be, as shares of the arm's length.
const REACH: [f64; 2] = [0.4, 0.9];
/// The direction of a target that does not move: a third of a right angle.
const FIXED: f64 = PI / 6.0;
/// The links, from the base.
const COLOURS: [Rgb; 3] = [palette::BLUE, palette::ORANGE, palette::YELLOW];

/// Bringing the end of an arm of `LINKS` links to a target and keeping it there, in a horizontal plane. `ENTRIES` is 2 +
/// 2 `LINKS`.
///
/// The state is the direction of each link, its angular velocity, and the place of the target; what is seen is
/// cosine and sine of the angle of each joint, the joints' velocities, and the way from the end of the arm to the target. Each
/// joint has a motor. A step that ends at a distance d from the target earns (1 - 0.1 u^2) / (1 + (d / 0.1)^2), with u^2 the
/// mean over the motors.
#[derive(Debug, Clone, Copy)]
pub struct Reacher<const LINKS: usize, const ENTRIES: usize> {
    linkage: Linkage<LINKS>,
    /// Whether the target is elsewhere in every episode.
    moves: bool,
}

impl<const LINKS: usize, const ENTRIES: usize> Reacher<LINKS, ENTRIES> {
    /// The target is in the same place in all episodes.
    pub fn fixed_target() -> Self {
        Self::new(false)
    }

    /// The target is drawn at the start of an episode, within reach.
    pub fn random_target() -> Self {
        Self::new(true)
    }

    fn new(moves: bool) -> Self {
        Self {
            linkage: Linkage::serial([LINK; LINKS]),
            moves,
        }
    }

    /// The time derivative of the state.
    #[inline]
    pub(super) fn rate(&self, state: [f64; ENTRIES], motors: [f64; LINKS]) -> [f64; ENTRIES] {
        let rotations = Self::rotations(&state);
        let mut torques = [0.0; LINKS];
        for joint in 0..LINKS {
            let moved = (LINKS - joint) as f64;
            let turn = between(&rotations, joint) / MOST_ROTATION;
            let torque = GEAR * moved * moved * (motors[joint] - turn);
            torques[joint] += torque;
            if joint > 0 {
                // What turns a link turns the one before the other way.
                torques[joint - 1] -= torque;
            }
        }
        let turns = self
            .linkage
            .on_fixed_base(Self::angles(&state), rotations, torques, 0.0);
        let mut rate = [0.0; ENTRIES];
        rate[..LINKS].copy_from_slice(&rotations);
        rate[LINKS..2 * LINKS].copy_from_slice(&turns);
        rate
    }

    #[inline]
    fn angles(state: &[f64; ENTRIES]) -> [f64; LINKS] {
        const { assert!(ENTRIES == 2 + 2 * LINKS) };
        std::array::from_fn(|link| state[link])
    }

    #[inline]
    fn rotations(state: &[f64; ENTRIES]) -> [f64; LINKS] {
        std::array::from_fn(|link| state[LINKS + link])
    }

    /// From the end of the arm to the target.
    #[inline]
    fn way(state: &[f64; ENTRIES]) -> Point {
        let mut way = [state[2 * LINKS], state[2 * LINKS + 1]];
        for angle in Self::angles(state) {
            let (sin, cos) = sin_cos(angle);
            way[0] -= LINK.length * cos;
            way[1] -= LINK.length * sin;
        }
        way
    }
}

/// How much a link is ahead of the one before it.
#[inline]
fn between<const LINKS: usize>(links: &[f64; LINKS], joint: usize) -> f64 {
    links[joint] - if joint > 0 { links[joint - 1] } else { 0.0 }
}

impl<const LINKS: usize, const ENTRIES: usize> Dynamics for Reacher<LINKS, ENTRIES>
where
    [f64; ENTRIES]: Serialize + DeserializeOwned,
{
    type State = [f64; ENTRIES];

    fn observation_space(&self) -> Space {
        let mut high = vec![f32::INFINITY; 3 * LINKS + 2];
        high[..2 * LINKS].fill(1.0);
        Space::symmetric(high)
    }

    fn action_space(&self) -> Space {
        Space::symmetric(vec![1.0; LINKS])
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Self::State {
        let mut state = [0.0; ENTRIES];
        for angle in &mut state[..LINKS] {
            *angle = random.random_range(-PI..PI);
        }
        let direction = if self.moves {
            random.random_range(-PI..PI)
        } else {
            FIXED
        };
        // A single link reaches the places at its own length.
        let reach = match (LINKS, self.moves) {
            (1, _) => 1.0,
            (_, true) => random.random_range(REACH[0]..REACH[1]),
            (_, false) => f64::midpoint(REACH[0], REACH[1]),
        };
        let distance = reach * LINK.length * LINKS as f64;
        let (sin, cos) = sin_cos(direction);
        state[2 * LINKS] = distance * cos;
        state[2 * LINKS + 1] = distance * sin;
        state
    }

    #[inline]
    fn advance(&self, state: Self::State, action: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let motors = motors(action);
        let next = integrate(state, 2 * LINKS, |state| self.rate(state, motors));
        let [x, y] = Self::way(&next);
        (next, near((x * x + y * y).sqrt(), MARGIN) * ease(motors), false)
    }

    fn observe(&self, state: &Self::State, observation: &mut [f32]) {
        let (angles, rotations) = (Self::angles(state), Self::rotations(state));
        for joint in 0..LINKS {
            let (sin, cos) = sin_cos(between(&angles, joint));
            observation[joint] = cos as f32;
            observation[LINKS + joint] = sin as f32;
            observation[2 * LINKS + joint] = between(&rotations, joint) as f32;
        }
        let way = Self::way(state).map(|entry| entry as f32);
        observation[3 * LINKS..].copy_from_slice(&way);
    }

    fn draw(&self, state: &Self::State) -> Option<Scene> {
        let size = 400.0;
        let mut scene = Scene::new([size, size], palette::PAPER);
        let scale = 180.0 / (LINK.length * LINKS as f64);
        let place = |[x, y]: Point| [size / 2.0 + scale * x, size / 2.0 - scale * y];
        // The arm's end inside of this disc earns half of the reward or more.
        let target = place([state[2 * LINKS], state[2 * LINKS + 1]]);
        scene.disc(target, scale * MARGIN, palette::GRASS);
        scene.disc(target, 7.0, palette::GREEN);
        let mut joint = [0.0, 0.0];
        for (link, angle) in Self::angles(state).into_iter().enumerate() {
            let (sin, cos) = sin_cos(angle);
            let end = [joint[0] + LINK.length * cos, joint[1] + LINK.length * sin];
            scene.line([place(joint), place(end)], 14.0, COLOURS[link % COLOURS.len()]);
            scene.disc(place(joint), 5.0, palette::INK);
            joint = end;
        }
        Some(scene)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous_control::GRAVITY;

    /// A chain of rods that hangs from a point swings without losing energy, as it turns in a horizontal plane.
    #[test]
    fn energy_is_conserved() {
        let linkage = Linkage::serial([LINK; 3]);
        let energy = |state: &[f64; 6]| {
            let (mut total, mut height, mut moves) = (0.0, 0.0, [0.0; 2]);
            for link in 0..3 {
                let ((sin, cos), rotation) = (state[link].sin_cos(), state[3 + link]);
                let along = |arm: f64| {
                    (
                        height + arm * cos,
                        [moves[0] + arm * cos * rotation, moves[1] - arm * sin * rotation],
                    )
                };
                let (centre, [x, y]) = along(LINK.length / 2.0);
                let inertia = LINK.mass * LINK.length * LINK.length / 12.0;
                total += 0.5 * LINK.mass * (x * x + y * y) + 0.5 * inertia * rotation * rotation;
                total += LINK.mass * GRAVITY * centre;
                (height, moves) = along(LINK.length);
            }
            total
        };
        let mut state = [2.0, 2.5, 3.0, 1.0, 0.0, -1.0];
        let before = energy(&state);
        for _ in 0..500 {
            state = integrate(state, 6, |[a, b, c, p, q, r]| {
                let [u, v, w] = linkage.on_fixed_base([a, b, c], [p, q, r], [0.0; 3], GRAVITY);
                [p, q, r, u, v, w]
            });
            let off = (energy(&state) - before).abs();
            assert!(off < 1e-3, "{off} of {before}");
        }
    }
}

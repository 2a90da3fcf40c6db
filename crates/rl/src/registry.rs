//! The environments that are known by name.

use etude_mdp::{GridWorld, GridWorldSpec};
use serde_json::Map;

use crate::classic_control::{Acrobot, CartPole, MountainCar, MountainCarContinuous, Pendulum};
use crate::continuous_control::{Cart, CartPoles, PendulumSwingUp, Reacher};
use crate::env::Env;
use crate::error::RlError;
use crate::grid_world::grid_world;
use crate::gymnasium::{Extras, GymnasiumEnvs, Interpreter};
use crate::linear_quadratic::LinearQuadratic;
use crate::random_walk::random_walk;
use crate::simulator::Simulator;
use crate::simulators::Simulators;
use crate::tabular::{Tabular, TabularModel};
use crate::toy_text::{Blackjack, BlackjackRules, FROZEN_LAKE_4X4, FROZEN_LAKE_8X8, cliff_walking, frozen_lake, taxi};
use crate::vector::{Autoreset, Vector, VectorEnv};
use crate::wrappers::TimeLimit;

/// An environment that [`make`] can build.
#[derive(Debug, Clone, Copy)]
pub struct Registered {
    /// Its name: Gymnasium's, where it has the environment.
    pub id: &'static str,
    /// What it is about, in a line.
    pub summary: &'static str,
    /// The steps after which an episode is truncated.
    pub max_episode_steps: Option<usize>,
    /// The mean return from which Gymnasium calls it solved.
    pub reward_threshold: Option<f64>,
    /// How many steps a second are shown, as in Gymnasium.
    pub frames_per_second: u32,
    kind: Kind,
}

/// How it is built.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// From a model that is known.
    Model(fn() -> Result<TabularModel, RlError>),
    /// From a law of motion.
    Law(fn() -> Box<dyn Env>),
    /// From a law of motion that many can follow side by side: so many, with this limit on the steps of an episode.
    SideBySide {
        one: fn() -> Box<dyn Env>,
        many: fn(usize, Option<usize>, Autoreset) -> Box<dyn VectorEnv>,
    },
}

impl Registered {
    /// Builds the environment, with its limit on the steps of an episode.
    ///
    /// # Errors
    /// None in the environments that are registered here.
    pub fn make(&self) -> Result<Box<dyn Env>, RlError> {
        let env = match self.kind {
            Kind::Model(model) => Box::new(Tabular::new(model()?)),
            Kind::Law(one) | Kind::SideBySide { one, .. } => one(),
        };
        Ok(match self.max_episode_steps {
            Some(limit) => Box::new(TimeLimit::new(env, limit)),
            None => env,
        })
    }

    /// Builds `count` of them.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn make_vector(&self, count: usize, autoreset: Autoreset) -> Result<Box<dyn VectorEnv>, RlError> {
        if let Kind::SideBySide { many, .. } = self.kind {
            return Ok(many(count, self.max_episode_steps, autoreset));
        }
        let envs = (0..count).map(|_| self.make()).collect::<Result<Vec<_>, _>>()?;
        Ok(Box::new(Vector::new(envs, autoreset)))
    }

    /// All its chances, where they are known.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn model(&self) -> Result<Option<TabularModel>, RlError> {
        match self.kind {
            Kind::Model(model) => model().map(Some),
            Kind::Law(_) | Kind::SideBySide { .. } => Ok(None),
        }
    }
}

const fn entry(
    id: &'static str,
    summary: &'static str,
    max_episode_steps: Option<usize>,
    reward_threshold: Option<f64>,
    frames_per_second: u32,
    kind: Kind,
) -> Registered {
    Registered {
        id,
        summary,
        max_episode_steps,
        reward_threshold,
        frames_per_second,
        kind,
    }
}

/// A law whose state is an array and whose action is one number.
macro_rules! side_by_side {
    ($law:expr) => {
        Kind::SideBySide {
            one: || Box::new(Simulator::new($law)),
            many: |count, limit, autoreset| Box::new(Simulators::new($law, count, limit, autoreset)),
        }
    };
}

/// All of them.
static ENVIRONMENTS: [Registered; 30] = [
    entry(
        "Acrobot-v1",
        "swing two links up",
        Some(500),
        Some(-100.0),
        15,
        side_by_side!(Acrobot),
    ),
    entry(
        "Blackjack-v1",
        "beat the dealer",
        None,
        None,
        4,
        Kind::Law(|| {
            let rules = BlackjackRules::SuttonAndBarto;
            Box::new(Simulator::new(Blackjack { rules }))
        }),
    ),
    entry(
        "Cart-v0",
        "move a cart to the middle of its rail",
        Some(500),
        None,
        50,
        side_by_side!(Cart),
    ),
    entry(
        "CartPole-v0",
        "balance a pole for 200 steps",
        Some(200),
        Some(195.0),
        50,
        side_by_side!(CartPole),
    ),
    entry(
        "CartPole-v1",
        "balance a pole for 500 steps",
        Some(500),
        Some(475.0),
        50,
        side_by_side!(CartPole),
    ),
    entry(
        "CartPoleBalance-v0",
        "balance a pole in the middle of a rail",
        Some(500),
        None,
        50,
        side_by_side!(CartPoles::balance()),
    ),
    entry(
        "CartPoleParallelDouble-v0",
        "balance two poles side by side",
        Some(500),
        None,
        50,
        side_by_side!(CartPoles::parallel_double()),
    ),
    entry(
        "CartPoleSerialDouble-v0",
        "balance a pole on a pole",
        Some(500),
        None,
        50,
        side_by_side!(CartPoles::serial_double()),
    ),
    entry(
        "CartPoleSerialTriple-v0",
        "balance a pole on a pole on a pole",
        Some(500),
        None,
        50,
        side_by_side!(CartPoles::serial_triple()),
    ),
    entry(
        "CartPoleSwingUp-v0",
        "swing a pole up and balance it",
        Some(500),
        None,
        50,
        side_by_side!(CartPoles::swing_up()),
    ),
    entry(
        "CliffWalking-v1",
        "walk along a cliff",
        None,
        None,
        4,
        Kind::Model(|| Ok(cliff_walking(false))),
    ),
    entry(
        "CliffWalkingSlippery-v1",
        "walk along a cliff in the wet",
        None,
        None,
        4,
        Kind::Model(|| Ok(cliff_walking(true))),
    ),
    entry(
        "FixedReacher-v0",
        "reach for one place with three links",
        Some(500),
        None,
        50,
        Kind::Law(|| Box::new(Simulator::new(Reacher::<3, 8>::fixed_target()))),
    ),
    entry(
        "FixedReacherDouble-v0",
        "reach for one place with two links",
        Some(500),
        None,
        50,
        Kind::Law(|| Box::new(Simulator::new(Reacher::<2, 6>::fixed_target()))),
    ),
    entry(
        "FixedReacherSingle-v0",
        "reach for one place with a link",
        Some(500),
        None,
        50,
        side_by_side!(Reacher::<1, 4>::fixed_target()),
    ),
    entry(
        "FrozenLake-v1",
        "cross a small lake on slippery ice",
        Some(100),
        Some(0.7),
        4,
        Kind::Model(|| frozen_lake(&FROZEN_LAKE_4X4, true)),
    ),
    entry(
        "FrozenLake8x8-v1",
        "cross a large lake on slippery ice",
        Some(200),
        Some(0.85),
        4,
        Kind::Model(|| frozen_lake(&FROZEN_LAKE_8X8, true)),
    ),
    entry(
        "FrozenLakeNotSlippery-v1",
        "cross a small lake on rough ice",
        Some(100),
        None,
        4,
        Kind::Model(|| frozen_lake(&FROZEN_LAKE_4X4, false)),
    ),
    entry(
        "GridWorld-v0",
        "Zhao's 5 x 5 grid, as etude mdp solves it",
        Some(500),
        None,
        4,
        Kind::Model(|| Ok(grid_world(&GridWorld::new(&book_grid())?))),
    ),
    entry(
        "LinearQuadratic-v0",
        "keep a number at zero, at a quadratic cost",
        Some(20),
        None,
        4,
        Kind::Law(|| Box::new(Simulator::new(LinearQuadratic::default()))),
    ),
    entry(
        "MountainCar-v0",
        "drive a weak car uphill",
        Some(200),
        Some(-110.0),
        30,
        side_by_side!(MountainCar),
    ),
    entry(
        "MountainCarContinuous-v0",
        "drive a weak car uphill, with a throttle",
        Some(999),
        Some(90.0),
        30,
        Kind::Law(|| Box::new(Simulator::new(MountainCarContinuous))),
    ),
    entry(
        "Pendulum-v1",
        "swing a pendulum up and hold it",
        Some(200),
        None,
        30,
        side_by_side!(Pendulum),
    ),
    entry(
        "PendulumSwingUp-v0",
        "swing a pendulum up, for rewards from 0 to 1",
        Some(500),
        None,
        50,
        side_by_side!(PendulumSwingUp),
    ),
    entry(
        "RandomWalk-v0",
        "1,000 states without a choice",
        None,
        None,
        4,
        Kind::Model(|| Ok(random_walk())),
    ),
    entry(
        "Reacher-v0",
        "reach for any place with three links",
        Some(500),
        None,
        50,
        Kind::Law(|| Box::new(Simulator::new(Reacher::<3, 8>::random_target()))),
    ),
    entry(
        "ReacherDouble-v0",
        "reach for any place with two links",
        Some(500),
        None,
        50,
        Kind::Law(|| Box::new(Simulator::new(Reacher::<2, 6>::random_target()))),
    ),
    entry(
        "ReacherSingle-v0",
        "reach for any place with a link",
        Some(500),
        None,
        50,
        side_by_side!(Reacher::<1, 4>::random_target()),
    ),
    entry(
        "Taxi-v4",
        "fetch a passenger",
        Some(200),
        Some(8.0),
        4,
        Kind::Model(|| Ok(taxi(false))),
    ),
    entry(
        "TaxiRainy-v4",
        "fetch a passenger in the rain",
        Some(200),
        None,
        4,
        Kind::Model(|| Ok(taxi(true))),
    ),
];

/// The grid of the book's chapter 1: forbidden cells and one target, which is not absorbing.
fn book_grid() -> GridWorldSpec {
    GridWorldSpec {
        rows: 5,
        columns: 5,
        forbidden: vec![[2, 2], [2, 3], [3, 3], [4, 2], [4, 4], [5, 2]],
        targets: vec![[4, 3]],
        ..GridWorldSpec::default()
    }
}

/// The environments that [`make`] builds.
pub fn environments() -> &'static [Registered] {
    &ENVIRONMENTS
}

/// The environment called `id`.
///
/// # Errors
/// There is none.
pub fn registered(id: &str) -> Result<&'static Registered, RlError> {
    let known = ENVIRONMENTS.iter().find(|known| known.id == id);
    known.ok_or_else(|| RlError::UnknownEnvironment(id.to_owned()))
}

/// Builds `count` environments called `id`: one of [`environments`], or `gym:` and a name that Gymnasium knows, such as
/// `gym:LunarLander-v3`, or `gym:module:id` for what a module in the present folder or on `PYTHONPATH` registers.
///
/// # Errors
/// There is none, or what [`GymnasiumEnvs::start`] reports.
pub fn make_envs(id: &str, count: usize, autoreset: Autoreset) -> Result<Box<dyn VectorEnv>, RlError> {
    match id.strip_prefix("gym:") {
        Some(id) => {
            let envs = GymnasiumEnvs::start(&Interpreter::find(), id, count, autoreset, &Map::new())?;
            Ok(Box::new(envs))
        }
        None => registered(id)?.make_vector(count, autoreset),
    }
}

/// Builds one environment called as in [`make_envs`], which can be drawn and has to be told when to begin the next episode.
///
/// # Errors
/// Those of [`make_envs`], and [`RlError::NoPicture`] where Gymnasium's environment makes no pictures.
pub fn make_drawn(id: &str) -> Result<Box<dyn VectorEnv>, RlError> {
    match id.strip_prefix("gym:") {
        Some(id) => {
            let (python, extras) = (
                Interpreter::find(),
                Extras {
                    drawn: true,
                    masked: false,
                },
            );
            let one = (1, Autoreset::Disabled);
            Ok(Box::new(GymnasiumEnvs::start_with(
                &python,
                id,
                one,
                extras,
                &Map::new(),
            )?))
        }
        None => registered(id)?.make_vector(1, Autoreset::Disabled),
    }
}

/// Builds the environment called `id`, with its limit on the steps of an episode.
///
/// # Errors
/// There is none.
pub fn make(id: &str) -> Result<Box<dyn Env>, RlError> {
    registered(id)?.make()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_refused() {
        let error = registered("CartPole-v2").unwrap_err();
        assert_eq!(error.to_string(), "there is no environment called `CartPole-v2`");
    }

    #[test]
    fn names_are_unique() {
        let mut ids: Vec<&str> = environments().iter().map(|known| known.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), environments().len());
    }
}

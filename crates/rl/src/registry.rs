//! The environments that are known by name.

use std::sync::Arc;

use etude_mdp::{GridWorld, GridWorldSpec};

use crate::classic_control::{Acrobot, CartPole, MountainCar, MountainCarContinuous, Pendulum};
use crate::env::Env;
use crate::error::RlError;
use crate::grid_world::GridWorldEnv;
use crate::random_walk::random_walk;
use crate::simulator::{Dynamics, Simulator};
use crate::tabular::{Tabular, TabularModel};
use crate::time_limit::TimeLimit;
use crate::toy_text::{Blackjack, BlackjackRules, FROZEN_LAKE_4X4, FROZEN_LAKE_8X8, cliff_walking, frozen_lake, taxi};

type BoxedEnv = Box<dyn Env>;

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
    build: fn() -> Result<BoxedEnv, RlError>,
}

impl Registered {
    /// Builds the environment, with its limit on the steps of an episode.
    ///
    /// # Errors
    /// None in the environments that are registered here.
    pub fn make(&self) -> Result<BoxedEnv, RlError> {
        let env = (self.build)()?;
        Ok(match self.max_episode_steps {
            Some(limit) => Box::new(TimeLimit::new(env, limit)),
            None => env,
        })
    }
}

const fn entry(
    id: &'static str,
    summary: &'static str,
    max_episode_steps: Option<usize>,
    reward_threshold: Option<f64>,
    build: fn() -> Result<BoxedEnv, RlError>,
) -> Registered {
    Registered {
        id,
        summary,
        max_episode_steps,
        reward_threshold,
        build,
    }
}

fn simulator<D: Dynamics>() -> BoxedEnv {
    Box::new(Simulator::<D>::default())
}

fn tabular(model: TabularModel) -> BoxedEnv {
    Box::new(Tabular::new(Arc::new(model)))
}

/// All of them.
static ENVIRONMENTS: [Registered; 16] = [
    entry("Acrobot-v1", "swing two links up", Some(500), Some(-100.0), || {
        Ok(simulator::<Acrobot>())
    }),
    entry("Blackjack-v1", "beat the dealer", None, None, || {
        Ok(Box::new(Blackjack::new(BlackjackRules::SuttonAndBarto)))
    }),
    entry(
        "CartPole-v0",
        "balance a pole for 200 steps",
        Some(200),
        Some(195.0),
        || Ok(simulator::<CartPole>()),
    ),
    entry(
        "CartPole-v1",
        "balance a pole for 500 steps",
        Some(500),
        Some(475.0),
        || Ok(simulator::<CartPole>()),
    ),
    entry("CliffWalking-v1", "walk along a cliff", None, None, || {
        Ok(tabular(cliff_walking(false)))
    }),
    entry(
        "CliffWalkingSlippery-v1",
        "walk along a cliff in the wet",
        None,
        None,
        || Ok(tabular(cliff_walking(true))),
    ),
    entry(
        "FrozenLake-v1",
        "cross a small lake on slippery ice",
        Some(100),
        Some(0.7),
        || Ok(tabular(frozen_lake(&FROZEN_LAKE_4X4, true)?)),
    ),
    entry(
        "FrozenLake8x8-v1",
        "cross a large lake on slippery ice",
        Some(200),
        Some(0.85),
        || Ok(tabular(frozen_lake(&FROZEN_LAKE_8X8, true)?)),
    ),
    entry(
        "FrozenLakeNotSlippery-v1",
        "cross a small lake on rough ice",
        Some(100),
        None,
        || Ok(tabular(frozen_lake(&FROZEN_LAKE_4X4, false)?)),
    ),
    entry(
        "GridWorld-v0",
        "Zhao's 5 x 5 grid, as etude mdp solves it",
        Some(500),
        None,
        || Ok(Box::new(GridWorldEnv::new(GridWorld::new(&book_grid())?))),
    ),
    entry(
        "MountainCar-v0",
        "drive a weak car uphill",
        Some(200),
        Some(-110.0),
        || Ok(simulator::<MountainCar>()),
    ),
    entry(
        "MountainCarContinuous-v0",
        "drive a weak car uphill, with a throttle",
        Some(999),
        Some(90.0),
        || Ok(simulator::<MountainCarContinuous>()),
    ),
    entry(
        "Pendulum-v1",
        "swing a pendulum up and hold it",
        Some(200),
        None,
        || Ok(simulator::<Pendulum>()),
    ),
    entry("RandomWalk-v0", "1,000 states without a choice", None, None, || {
        Ok(tabular(random_walk()))
    }),
    entry("Taxi-v4", "fetch a passenger", Some(200), Some(8.0), || {
        Ok(tabular(taxi(false)))
    }),
    entry("TaxiRainy-v4", "fetch a passenger in the rain", Some(200), None, || {
        Ok(tabular(taxi(true)))
    }),
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

/// Builds the environment called `id`, with its limit on the steps of an episode.
///
/// # Errors
/// There is none.
pub fn make(id: &str) -> Result<BoxedEnv, RlError> {
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

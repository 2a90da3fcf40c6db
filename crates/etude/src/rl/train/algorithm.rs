//! The algorithms by name.

use etude_rl::dqn::Dqn;
use etude_rl::{Agent, RlError, VectorEnv};
use etude_train::Seed;

use crate::error::CommandError;
use crate::recipe::nearest;
use crate::rl::recipe::Recipe;

/// An algorithm that `etude rl train` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// Deep Q-learning.
    Dqn,
}

impl Algorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 1] = [Self::Dqn];

    /// Its name, which is also that of its table in a recipe.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dqn => "dqn",
        }
    }

    /// The one called `name`.
    pub(crate) fn called(name: &str) -> Result<Self, CommandError> {
        let names = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
            let hint = nearest(name, &names).map_or_else(
                || format!("there are {}", names.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            CommandError::bad_input(format!("there is no algorithm called `{name}`")).hint(hint)
        })
    }

    /// An agent that learns in `envs` as `recipe` says.
    pub(super) fn agent(
        self,
        recipe: &Recipe,
        envs: &dyn VectorEnv,
        steps: u64,
        seed: Seed,
    ) -> Result<Box<dyn Agent>, RlError> {
        let spaces = (envs.observation_space(), envs.action_space());
        match self {
            Self::Dqn => {
                let options = recipe.dqn.options();
                let agent = Dqn::new(options, spaces, (envs.count(), envs.autoreset()), steps, seed)?;
                Ok(Box::new(agent))
            }
        }
    }
}

/// The recipes that are part of the program, by algorithm and environment.
const BUILT_IN: [(Algorithm, &str, &str); 3] = [
    (
        Algorithm::Dqn,
        "Acrobot-v1",
        include_str!("../../../../../recipes/rl/dqn/Acrobot-v1.toml"),
    ),
    (
        Algorithm::Dqn,
        "CartPole-v1",
        include_str!("../../../../../recipes/rl/dqn/CartPole-v1.toml"),
    ),
    (
        Algorithm::Dqn,
        "MountainCar-v0",
        include_str!("../../../../../recipes/rl/dqn/MountainCar-v0.toml"),
    ),
];

/// The recipe of an algorithm for an environment, where there is one: its path in the repository, and its text.
pub(super) fn built_in(algorithm: Algorithm, environment: &str) -> Option<(String, &'static str)> {
    let (_, _, text) = BUILT_IN
        .iter()
        .find(|(of, on, _)| *of == algorithm && *on == environment)?;
    Some((format!("recipes/rl/{}/{environment}.toml", algorithm.name()), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe;

    #[test]
    fn built_in_recipes_can_be_read_and_are_of_their_environment() {
        for (algorithm, environment, _) in BUILT_IN {
            let (path, text) = built_in(algorithm, environment).unwrap();
            let loaded = recipe::load_text::<Recipe>(path.as_ref(), text, &[]).unwrap();
            assert_eq!(loaded.value.environment, environment);
        }
    }
}

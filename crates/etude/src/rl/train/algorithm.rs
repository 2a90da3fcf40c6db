//! The algorithms by name.

use etude_rl::control::{EpsilonGreedy, LinearActionValues, LinearAgent, Settings, Target, TdControl};
use etude_rl::dqn::Dqn;
use etude_rl::prediction::{Lstd, MonteCarlo, NStepTd, ResidualGradient, TdLambda, Tdc};
use etude_rl::{
    Agent, AnyPredictor, FeatureMap as _, KnownTask, PredictionAgent, RlError, Space, VectorEnv, registered,
};
use etude_train::Seed;

use crate::error::CommandError;
use crate::recipe::nearest;
use crate::rl::features::features;
use crate::rl::recipe::{ControlRecipe, FeaturesRecipe, PredictionRecipe, Recipe};

/// An algorithm that `etude rl train` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// What a policy is worth: the return after each state.
    MonteCarlo,
    /// TD(0) with a linear function.
    TdLinear,
    /// Targets of n rewards.
    NStepTd,
    /// Eligibility traces.
    TdLambda,
    /// The fixed point of TD from all data.
    Lstd,
    /// The least Bellman residual, by its gradient.
    ResidualGradient,
    /// TD with gradient correction.
    Tdc,
    /// On policy, by the action taken next.
    Sarsa,
    /// On policy, by the mean over actions.
    ExpectedSarsa,
    /// On policy, by n rewards.
    NStepSarsa,
    /// By the best action, while following it mostly.
    QLearning,
    /// By the best action, while taking all actions alike.
    OffPolicyQLearning,
    /// Deep Q-learning.
    Dqn,
}

impl Algorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 13] = [
        Self::MonteCarlo,
        Self::TdLinear,
        Self::NStepTd,
        Self::TdLambda,
        Self::Lstd,
        Self::ResidualGradient,
        Self::Tdc,
        Self::Sarsa,
        Self::ExpectedSarsa,
        Self::NStepSarsa,
        Self::QLearning,
        Self::OffPolicyQLearning,
        Self::Dqn,
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MonteCarlo => "monte-carlo",
            Self::TdLinear => "td-linear",
            Self::NStepTd => "n-step-td",
            Self::TdLambda => "td-lambda",
            Self::Lstd => "lstd",
            Self::ResidualGradient => "residual-gradient",
            Self::Tdc => "tdc",
            Self::Sarsa => "sarsa",
            Self::ExpectedSarsa => "expected-sarsa",
            Self::NStepSarsa => "n-step-sarsa",
            Self::QLearning => "q-learning",
            Self::OffPolicyQLearning => "off-policy-q-learning",
            Self::Dqn => "dqn",
        }
    }

    /// Whether it learns what a policy is worth, and not how to act.
    pub(super) fn predicts(self) -> bool {
        self.predictor(&PredictionRecipe::default(), 1).is_some()
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

    /// An agent that learns in `envs` as `recipe` says. An error of the inner kind is a reason why the recipe does not fit.
    pub(in crate::rl) fn agent(
        self,
        recipe: &Recipe,
        envs: &dyn VectorEnv,
        steps: u64,
        seed: Seed,
    ) -> Result<Result<Box<dyn Agent>, String>, RlError> {
        let (observations, actions) = (envs.observation_space(), envs.action_space());
        let model = match registered(&recipe.environment) {
            Ok(known) => known.model()?,
            Err(_) => None,
        };
        // Where a discount of 1 leaves some policy without values, there is nothing exact to be measured against.
        let task = |gamma: f64| model.clone().and_then(|model| KnownTask::new(model, gamma).ok());
        if self == Self::Dqn {
            let options = recipe.dqn.options();
            let task = task(options.discount);
            let envs = (envs.count(), envs.autoreset());
            let agent = Dqn::new(options, (observations, actions), envs, steps, seed)?;
            return Ok(Ok(Box::new(agent.measured_against(task))));
        }
        let &Space::Discrete(count) = actions else {
            return Err(RlError::ActionSpace {
                algorithm: self.name(),
                expected: "one of so many actions",
                found: actions.clone(),
            });
        };
        if envs.count() > 1 {
            return Ok(Err(format!("{} learns in one environment at a time", self.name())));
        }
        let map = |of: &FeaturesRecipe| features(of, observations, model.as_ref());
        let prediction = &recipe.prediction;
        if self.predicts() {
            let map = match map(&prediction.features) {
                Ok(map) => map,
                Err(reason) => return Ok(Err(reason)),
            };
            let Some(predictor) = self.predictor(prediction, map.dimension()) else {
                return Ok(Err("it predicts nothing".into()));
            };
            let task = task(prediction.gamma.get());
            let agent = PredictionAgent::new(predictor, map, count, task.as_ref(), seed)?;
            return Ok(Ok(Box::new(agent)));
        }
        let control = &recipe.control;
        let map = match map(&control.features) {
            Ok(map) => map,
            Err(reason) => return Ok(Err(reason)),
        };
        let settings = self.settings(control);
        let values = LinearActionValues::new(map, count);
        let agent = TdControl::new(values, settings, seed.stream("behaviour"));
        Ok(Ok(Box::new(LinearAgent::new(agent, task(control.gamma.get())))))
    }

    /// The prediction method, of so many features, where it is one.
    fn predictor(self, recipe: &PredictionRecipe, dimension: usize) -> Option<AnyPredictor> {
        let (weights, discount, step_size) = (vec![0.0; dimension], recipe.gamma.get(), recipe.step_size.get());
        Some(match self {
            Self::MonteCarlo => AnyPredictor::MonteCarlo(MonteCarlo::new(weights, discount, step_size)),
            Self::TdLinear => AnyPredictor::TdLambda(TdLambda::new(weights, discount, step_size, 0.0)),
            Self::NStepTd => AnyPredictor::NStepTd(NStepTd::new(weights, discount, step_size, recipe.n_steps.get())),
            Self::TdLambda => AnyPredictor::TdLambda(TdLambda::new(weights, discount, step_size, recipe.lambda.get())),
            Self::Lstd => AnyPredictor::Lstd(Lstd::new(dimension, discount, recipe.sigma.get())),
            Self::ResidualGradient => {
                AnyPredictor::ResidualGradient(ResidualGradient::new(weights, discount, step_size))
            }
            Self::Tdc => AnyPredictor::Tdc(Tdc::new(weights, discount, step_size, recipe.second_step_size.get())),
            _ => return None,
        })
    }

    /// How a control method learns.
    fn settings(self, recipe: &ControlRecipe) -> Settings {
        let (target, steps, epsilon) = match self {
            Self::ExpectedSarsa => (Target::ExpectedSarsa, 1, recipe.epsilon.get()),
            Self::NStepSarsa => (Target::Sarsa, recipe.n_steps.get(), recipe.epsilon.get()),
            Self::QLearning => (Target::QLearning, 1, recipe.epsilon.get()),
            Self::OffPolicyQLearning => (Target::QLearning, 1, 1.0),
            _ => (Target::Sarsa, 1, recipe.epsilon.get()),
        };
        Settings {
            target,
            steps,
            behaviour: EpsilonGreedy { epsilon },
            discount: recipe.gamma.get(),
            step_size: recipe.step_size.get(),
        }
    }
}

/// A recipe in the folder of its algorithm.
macro_rules! built_in {
    ($algorithm:ident, $folder:literal, $environment:literal) => {
        (
            Algorithm::$algorithm,
            $environment,
            include_str!(concat!(
                "../../../../../recipes/rl/",
                $folder,
                "/",
                $environment,
                ".toml"
            )),
        )
    };
}

/// The recipes that are part of the program, by algorithm and environment.
const BUILT_IN: [(Algorithm, &str, &str); 9] = [
    built_in!(Dqn, "dqn", "Acrobot-v1"),
    built_in!(Dqn, "dqn", "CartPole-v1"),
    built_in!(Dqn, "dqn", "MountainCar-v0"),
    built_in!(QLearning, "q-learning", "CliffWalking-v1"),
    built_in!(QLearning, "q-learning", "FrozenLake-v1"),
    built_in!(QLearning, "q-learning", "Taxi-v4"),
    built_in!(Sarsa, "sarsa", "CliffWalking-v1"),
    built_in!(TdLinear, "td-linear", "GridWorld-v0"),
    built_in!(TdLinear, "td-linear", "RandomWalk-v0"),
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

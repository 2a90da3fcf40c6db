//! The algorithms by name.

use etude_rl::actor_critic::{
    DeterministicActorCritic, Distribution, OnPolicy, OnPolicyOptions, OneStepActorCritic, OneStepMethod,
};
use etude_rl::control::{
    ControlAgent, EpsilonGreedy, LinearActionValues, NetworkActionValues, Settings, Target, TdControl,
};
use etude_rl::ddpg::{Ddpg, DdpgOptions};
use etude_rl::dqn::{Dqn, QNetwork};
use etude_rl::prediction::{Lstd, MonteCarlo, NStepTd, ResidualGradient, TdLambda, Tdc};
use etude_rl::{
    Agent, AnyPredictor, Encoding, FeatureMap as _, KnownTask, Normalizer, PredictionAgent, RlError, Space, VectorEnv,
    registered,
};
use etude_train::Seed;

use crate::error::CommandError;
use crate::recipe::nearest;
use crate::rl::features::features;
use crate::rl::recipe::{
    ControlRecipe, DdpgRecipe, FeaturesRecipe, OnPolicyRecipe, OneStepRecipe, PredictionRecipe, Recipe,
};

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
    /// Actor-critic whose critic learns q by Sarsa.
    Qac,
    /// Actor-critic from what another policy does.
    OffPolicyActorCritic,
    /// Deterministic actor-critic.
    Dpg,
    /// The policy gradient of whole episodes, with a baseline.
    Reinforce,
    /// Advantage actor-critic.
    A2c,
    /// Proximal policy optimisation.
    Ppo,
    /// Deep deterministic policy gradient.
    Ddpg,
    /// Twin delayed deep deterministic policy gradient.
    Td3,
}

impl Algorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 21] = [
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
        Self::Qac,
        Self::OffPolicyActorCritic,
        Self::Dpg,
        Self::Reinforce,
        Self::A2c,
        Self::Ppo,
        Self::Ddpg,
        Self::Td3,
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
            Self::Qac => "qac",
            Self::OffPolicyActorCritic => "off-policy-actor-critic",
            Self::Dpg => "dpg",
            Self::Reinforce => "reinforce",
            Self::A2c => "a2c",
            Self::Ppo => "ppo",
            Self::Ddpg => "ddpg",
            Self::Td3 => "td3",
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

    /// gamma.
    fn discount(self, recipe: &Recipe) -> f64 {
        if let Some((recipe, usual)) = self.on_policy(recipe) {
            return recipe.discount(usual.discount);
        }
        if let Some((recipe, usual)) = self.ddpg(recipe) {
            return recipe.discount(usual.discount);
        }
        let discount = match self {
            Self::Dqn => &recipe.dqn.gamma,
            Self::Qac => &recipe.qac.gamma,
            Self::OffPolicyActorCritic => &recipe.off_policy_actor_critic.gamma,
            Self::Dpg => &recipe.dpg.gamma,
            _ if self.predicts() => &recipe.prediction.gamma,
            _ => &recipe.control.gamma,
        };
        discount.get()
    }

    /// Whether it chooses among the actions that a mask allows.
    fn heeds_masks(self) -> bool {
        matches!(
            self,
            Self::Qac | Self::OffPolicyActorCritic | Self::Reinforce | Self::A2c | Self::Ppo
        )
    }

    /// Whether it learns in one environment at a time.
    fn learns_in_one(self) -> bool {
        !matches!(self, Self::Dqn | Self::A2c | Self::Ppo | Self::Ddpg | Self::Td3)
    }

    /// Why it cannot learn from `observations` in `count` environments.
    fn refusal(self, observations: &Space, count: usize) -> Option<String> {
        if observations.mask_length() > 0 && !self.heeds_masks() {
            let known = Self::ALL.into_iter().filter(|known| known.heeds_masks());
            let names: Vec<&str> = known.map(Self::name).collect();
            return Some(format!(
                "it would take actions that the mask forbids, which only {} heed",
                names.join(", ")
            ));
        }
        (count > 1 && self.learns_in_one()).then(|| format!("{} learns in one environment at a time", self.name()))
    }

    /// The recipe of a method that learns from one step at a time, and which one, where it is one.
    fn one_step(self, recipe: &Recipe) -> Option<(&OneStepRecipe, OneStepMethod)> {
        Some(match self {
            Self::Qac => (&recipe.qac, OneStepMethod::Qac),
            Self::OffPolicyActorCritic => (&recipe.off_policy_actor_critic, OneStepMethod::OffPolicy),
            _ => return None,
        })
    }

    /// The recipe of an on-policy method, and its usual constants, where it is one.
    fn on_policy(self, recipe: &Recipe) -> Option<(&OnPolicyRecipe, OnPolicyOptions)> {
        Some(match self {
            Self::Reinforce => (&recipe.reinforce, OnPolicyOptions::reinforce()),
            Self::A2c => (&recipe.a2c, OnPolicyOptions::a2c()),
            Self::Ppo => (&recipe.ppo, OnPolicyOptions::ppo()),
            _ => return None,
        })
    }

    /// The recipe of DDPG or TD3, and its usual constants, where it is one.
    fn ddpg(self, recipe: &Recipe) -> Option<(&DdpgRecipe, DdpgOptions)> {
        Some(match self {
            Self::Ddpg => (&recipe.ddpg, DdpgOptions::default()),
            Self::Td3 => (&recipe.td3, DdpgOptions::td3()),
            _ => return None,
        })
    }

    /// What stands between `envs` and the agent.
    ///
    /// # Errors
    /// The environments do not allow it.
    pub(in crate::rl) fn normalizer(
        self,
        recipe: &Recipe,
        envs: &dyn VectorEnv,
    ) -> Result<Option<Normalizer>, RlError> {
        let options = recipe.wrappers.normalizer(self.discount(recipe));
        options
            .map(|options| Normalizer::new(options, envs.observation_space(), envs.count()))
            .transpose()
    }

    /// An agent that learns in `envs`, or what `normalizer` makes of them, as `recipe` says. An error of the inner kind is a
    /// reason why the recipe does not fit.
    pub(in crate::rl) fn agent(
        self,
        recipe: &Recipe,
        envs: &dyn VectorEnv,
        normalizer: Option<&Normalizer>,
        steps: u64,
        seed: Seed,
    ) -> Result<Result<Box<dyn Agent>, String>, RlError> {
        let seen = normalizer.map(|normalizer| normalizer.observation_space(envs.observation_space()));
        let observations = seen.as_ref().unwrap_or(envs.observation_space());
        let actions = envs.action_space();
        if let Some(reason) = self.refusal(observations, envs.count()) {
            return Ok(Err(reason));
        }
        let model = match registered(&recipe.environment) {
            // The model is of the environment as it is.
            Ok(known) if recipe.wrappers.wrapping().is_none() && normalizer.is_none() => known.model()?,
            _ => None,
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
        let sizes = (envs.count(), envs.autoreset());
        let map = |of: &FeaturesRecipe| features(of, observations, model.as_ref());
        let shown = |of: &Option<FeaturesRecipe>| match of {
            Some(of) => map(of).map(|features| Encoding::of_features(observations, features)),
            None => Ok(Encoding::new(observations)),
        };
        if self == Self::Dpg {
            let agent = DeterministicActorCritic::new(recipe.dpg.options(), (observations, actions), sizes.1, seed)?;
            return Ok(Ok(Box::new(agent)));
        }
        if let Some((recipe, method)) = self.one_step(recipe) {
            let encoding = match shown(&recipe.features) {
                Ok(encoding) => encoding,
                Err(reason) => return Ok(Err(reason)),
            };
            let agent = OneStepActorCritic::new(
                (self.name(), method),
                recipe.options(),
                encoding,
                (actions, sizes.1),
                seed,
            )?;
            return Ok(Ok(Box::new(agent.measured_against(task(recipe.gamma.get())))));
        }
        if let Some((recipe, usual)) = self.ddpg(recipe) {
            let options = match recipe.options(usual) {
                Ok(options) => options,
                Err(reason) => return Ok(Err(reason)),
            };
            let agent = Ddpg::new(options, (observations, actions), sizes, steps, seed)?;
            return Ok(Ok(Box::new(agent)));
        }
        if let Some((recipe, usual)) = self.on_policy(recipe) {
            let (encoding, options) = match (shown(&recipe.features), recipe.options(usual)) {
                (Ok(encoding), Ok(options)) => (encoding, options),
                (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason)),
            };
            let task = task(options.discount).filter(|_| matches!(actions, Space::Discrete(_)));
            let distribution =
                Distribution::new(self.name(), actions, options.gaussian)?.masked_by(self.name(), &encoding)?;
            let agent = OnPolicy::new(options, (encoding, distribution), sizes, steps, seed);
            return Ok(Ok(Box::new(agent.measured_against(task))));
        }
        let &Space::Discrete(count) = actions else {
            return Err(RlError::ActionSpace {
                algorithm: self.name(),
                expected: "one of so many actions",
                found: actions.clone(),
            });
        };
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
        let (settings, behaviour) = (self.settings(control), seed.stream("behaviour"));
        let task = task(control.gamma.get());
        if let Some(hidden) = &control.hidden {
            let hidden: Vec<usize> = hidden.iter().map(|width| width.get()).collect();
            let encoding = Encoding::new(observations);
            let network = QNetwork::new(encoding.width(), &hidden, count, false, &mut seed.stream("network"));
            let values = NetworkActionValues::new(network, encoding);
            let agent = TdControl::new(values, settings, behaviour);
            return Ok(Ok(Box::new(ControlAgent::new(agent, task))));
        }
        let map = match map(&control.features) {
            Ok(map) => map,
            Err(reason) => return Ok(Err(reason)),
        };
        let agent = TdControl::new(LinearActionValues::new(map, count), settings, behaviour);
        Ok(Ok(Box::new(ControlAgent::new(agent, task))))
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
const BUILT_IN: [(Algorithm, &str, &str); 42] = [
    built_in!(A2c, "a2c", "Acrobot-v1"),
    built_in!(A2c, "a2c", "CartPole-v1"),
    built_in!(A2c, "a2c", "GridWorld-v0"),
    built_in!(Ddpg, "ddpg", "Cart-v0"),
    built_in!(Ddpg, "ddpg", "LinearQuadratic-v0"),
    built_in!(Ddpg, "ddpg", "MountainCarContinuous-v0"),
    built_in!(Ddpg, "ddpg", "Pendulum-v1"),
    built_in!(Ddpg, "ddpg", "PendulumSwingUp-v0"),
    built_in!(Dpg, "dpg", "LinearQuadratic-v0"),
    built_in!(Dqn, "dqn", "Acrobot-v1"),
    built_in!(Dqn, "dqn", "CartPole-v1"),
    built_in!(Dqn, "dqn", "MountainCar-v0"),
    built_in!(ExpectedSarsa, "expected-sarsa", "CartPole-v1"),
    built_in!(ExpectedSarsa, "expected-sarsa", "CliffWalking-v1"),
    built_in!(Lstd, "lstd", "GridWorld-v0"),
    built_in!(MonteCarlo, "monte-carlo", "GridWorld-v0"),
    built_in!(NStepSarsa, "n-step-sarsa", "CliffWalking-v1"),
    built_in!(NStepTd, "n-step-td", "RandomWalk-v0"),
    built_in!(OffPolicyActorCritic, "off-policy-actor-critic", "GridWorld-v0"),
    built_in!(OffPolicyQLearning, "off-policy-q-learning", "GridWorld-v0"),
    built_in!(Ppo, "ppo", "Acrobot-v1"),
    built_in!(Ppo, "ppo", "CartPole-v1"),
    built_in!(Ppo, "ppo", "Taxi-v4"),
    built_in!(QLearning, "q-learning", "Blackjack-v1"),
    built_in!(QLearning, "q-learning", "CartPole-v1"),
    built_in!(QLearning, "q-learning", "CliffWalking-v1"),
    built_in!(QLearning, "q-learning", "FrozenLake-v1"),
    built_in!(QLearning, "q-learning", "FrozenLake8x8-v1"),
    built_in!(QLearning, "q-learning", "MountainCar-v0"),
    built_in!(QLearning, "q-learning", "Taxi-v4"),
    built_in!(Qac, "qac", "GridWorld-v0"),
    built_in!(Reinforce, "reinforce", "CartPole-v1"),
    built_in!(ResidualGradient, "residual-gradient", "GridWorld-v0"),
    built_in!(Sarsa, "sarsa", "CartPole-v1"),
    built_in!(Sarsa, "sarsa", "CliffWalking-v1"),
    built_in!(Sarsa, "sarsa", "MountainCar-v0"),
    built_in!(Sarsa, "sarsa", "Taxi-v4"),
    built_in!(Td3, "td3", "Pendulum-v1"),
    built_in!(TdLambda, "td-lambda", "RandomWalk-v0"),
    built_in!(TdLinear, "td-linear", "GridWorld-v0"),
    built_in!(TdLinear, "td-linear", "RandomWalk-v0"),
    built_in!(Tdc, "tdc", "GridWorld-v0"),
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
    use std::fs;
    use std::path::Path;

    use etude_rl::Autoreset;

    use super::*;
    use crate::recipe;

    #[test]
    fn built_in_recipes_fit_their_environment() {
        for (algorithm, environment, _) in BUILT_IN {
            let (path, text) = built_in(algorithm, environment).unwrap();
            let recipe = recipe::load_text::<Recipe>(path.as_ref(), text, &[]).unwrap().value;
            assert_eq!(recipe.environment, environment);
            let wrapping = recipe.wrappers.wrapping();
            let envs = wrapping.make_envs(environment, 1, Autoreset::SameStep).unwrap();
            let normalizer = algorithm.normalizer(&recipe, &*envs).unwrap();
            let agent = algorithm.agent(&recipe, &*envs, normalizer.as_ref(), 1000, Seed(0));
            assert_eq!(agent.unwrap().err(), None, "{path}");
        }
    }

    #[test]
    fn every_recipe_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/rl");
        let mut read = 0;
        for algorithm in fs::read_dir(folder).unwrap() {
            let folder = algorithm.unwrap().path();
            Algorithm::called(folder.file_name().unwrap().to_str().unwrap()).unwrap();
            for file in fs::read_dir(folder).unwrap() {
                recipe::load::<Recipe>(Some(&file.unwrap().path()), &[]).unwrap();
                read += 1;
            }
        }
        assert!(read >= BUILT_IN.len());
    }
}

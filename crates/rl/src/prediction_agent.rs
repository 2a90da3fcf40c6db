//! The prediction methods as agents that a training drives: they follow a policy and learn what it is worth.

use std::path::Path;

use etude_mdp::Policy as ExactPolicy;
use etude_train::{Observer, Seed};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::agent::{Agent, Policy};
use crate::any_features::AnyFeatures;
use crate::error::RlError;
use crate::features::FeatureMap;
use crate::objectives::{FeatureMatrix, KnownChain};
use crate::prediction::{Lstd, MonteCarlo, NStepTd, Predictor, ResidualGradient, Sample, TdLambda, Tdc};
use crate::saved_policy::{PolicyCard, save_values};
use crate::saved_state;
use crate::truth::{KnownTask, Surface, evaluation_surface};
use crate::vector::{Batch, Transition};

/// One of the prediction methods.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum AnyPredictor {
    /// TD(lambda), and TD(0).
    TdLambda(TdLambda),
    /// n-step TD.
    NStepTd(NStepTd),
    /// Monte Carlo.
    MonteCarlo(MonteCarlo),
    /// Least-squares TD.
    Lstd(Lstd),
    /// The residual gradient.
    ResidualGradient(ResidualGradient),
    /// TD with gradient correction.
    Tdc(Tdc),
}

impl AnyPredictor {
    fn as_predictor(&self) -> &dyn Predictor {
        match self {
            Self::TdLambda(method) => method,
            Self::NStepTd(method) => method,
            Self::MonteCarlo(method) => method,
            Self::Lstd(method) => method,
            Self::ResidualGradient(method) => method,
            Self::Tdc(method) => method,
        }
    }

    fn as_predictor_mut(&mut self) -> &mut dyn Predictor {
        match self {
            Self::TdLambda(method) => method,
            Self::NStepTd(method) => method,
            Self::MonteCarlo(method) => method,
            Self::Lstd(method) => method,
            Self::ResidualGradient(method) => method,
            Self::Tdc(method) => method,
        }
    }
}

/// Follows the policy that takes all actions alike, in one environment that resets itself in the same step.
pub struct PredictionAgent {
    predictor: AnyPredictor,
    features: AnyFeatures,
    actions: usize,
    random: ChaCha8Rng,
    /// phi(s) and phi(s').
    phi: [Vec<f64>; 2],
    /// Where the model is known: the chain, and the features of all states.
    truth: Option<(KnownChain, FeatureMatrix)>,
}

impl PredictionAgent {
    /// An agent that learns by `predictor` from `features`, and is measured against `task` where that is known.
    ///
    /// # Errors
    /// The policy has no single stationary distribution there.
    pub fn new(
        predictor: AnyPredictor,
        features: AnyFeatures,
        actions: usize,
        task: Option<&KnownTask>,
        seed: Seed,
    ) -> Result<Self, RlError> {
        let truth = task
            .map(|task| {
                let policy: ExactPolicy = task.uniform();
                let points: Vec<Vec<f64>> = (0..task.model().states()).map(|state| vec![state as f64]).collect();
                Ok::<_, RlError>((task.chain(&policy)?, FeatureMatrix::new(&features, &points)))
            })
            .transpose()?;
        Ok(Self {
            phi: [vec![0.0; features.dimension()], vec![0.0; features.dimension()]],
            predictor,
            features,
            actions,
            random: seed.stream("behaviour"),
            truth,
        })
    }
}

impl Agent for PredictionAgent {
    fn act(&mut self, _: &[f32], actions: &mut [f32]) {
        actions[0] = self.random.random_range(0..self.actions) as f32;
    }

    fn learn(&mut self, observations: &[f32], _: &[f32], batch: &Batch) -> Result<(), RlError> {
        let transition = batch.transitions[0];
        if transition == Transition::Ghost {
            return Ok(());
        }
        let next = if transition.ends() {
            &batch.final_observations
        } else {
            &batch.observations
        };
        for (observation, phi) in [observations, next].into_iter().zip(&mut self.phi) {
            let mut point = [0.0; 16];
            let point = &mut point[..observation.len()];
            for (point, &entry) in point.iter_mut().zip(observation) {
                *point = f64::from(entry);
            }
            self.features.write(point, phi);
        }
        self.predictor.as_predictor_mut().learn(Sample {
            features: &self.phi[0],
            reward: batch.rewards[0],
            next: (transition != Transition::Terminated).then_some(&self.phi[1]),
            ends: transition.ends(),
        });
        Ok(())
    }

    /// A prediction is judged by its [`surface`](Agent::surface).
    fn report(&mut self, _: u64, _: &mut dyn Observer) {}

    fn surface(&mut self) -> Option<Surface> {
        let (chain, matrix) = self.truth.as_ref()?;
        let weights = self.predictor.as_predictor().weights();
        let objectives = chain.objectives(matrix, weights);
        Some(evaluation_surface(chain, matrix.values(weights), objectives))
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(UniformPolicy::new(self.actions))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        save_values(&self.features, self.predictor.as_predictor().weights(), card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        saved_state::write(&(&self.predictor, &self.random), state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        (self.predictor, self.random) = saved_state::read(state)?;
        Ok(())
    }
}

/// Takes all actions alike, in the same order each time.
pub(crate) struct UniformPolicy {
    actions: usize,
    random: ChaCha8Rng,
}

impl UniformPolicy {
    pub(crate) fn new(actions: usize) -> Self {
        Self {
            actions,
            random: Seed(0).stream("uniform policy"),
        }
    }
}

impl Policy for UniformPolicy {
    fn act(&mut self, _: &[f32], actions: &mut [f32]) {
        for action in actions {
            *action = self.random.random_range(0..self.actions) as f32;
        }
    }
}

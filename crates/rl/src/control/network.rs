//! q(s, a) by a network.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::action_values::ActionValues;
use super::agent::SavedValues;
use crate::agent::Policy;
use crate::dqn::{GreedyPolicy, QNetwork, QPass};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::saved_policy::{PolicyCard, save_network};

/// q(s, .; w), one output an action. It learns by plain steps along the semi-gradient (Sutton and Barto 2018, equation 10.1),
/// without a memory and without a target network, which is what DQN adds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct NetworkActionValues {
    network: QNetwork,
    encoding: Encoding,
    #[serde(skip)]
    pass: QPass,
    /// The observation as the network sees it.
    #[serde(skip)]
    input: Vec<f32>,
    #[serde(skip)]
    output_gradient: Vec<f32>,
    #[serde(skip)]
    gradient: Vec<Vec<f32>>,
}

/// What is kept of it.
#[derive(Deserialize)]
#[serde(rename = "NetworkActionValues")]
struct Stored {
    network: QNetwork,
    encoding: Encoding,
}

impl From<Stored> for NetworkActionValues {
    fn from(Stored { network, encoding }: Stored) -> Self {
        Self::new(network, encoding)
    }
}

impl NetworkActionValues {
    /// The values of `network`, which sees observations as `encoding` shows them.
    pub fn new(network: QNetwork, encoding: Encoding) -> Self {
        Self {
            pass: network.pass(1),
            input: Vec::new(),
            output_gradient: vec![0.0; network.actions()],
            gradient: network.zero_gradient(),
            network,
            encoding,
        }
    }

    /// The network.
    pub fn network(&self) -> &QNetwork {
        &self.network
    }
}

impl ActionValues for NetworkActionValues {
    fn actions(&self) -> usize {
        self.network.actions()
    }

    fn values(&mut self, observation: &[f32], values: &mut [f64]) {
        let input = self.encoding.encode(observation, &mut self.input);
        let outputs = self.network.forward(input, &mut self.pass);
        for (value, &output) in values.iter_mut().zip(outputs) {
            *value = f64::from(output);
        }
    }

    fn step_towards(&mut self, observation: &[f32], action: usize, target: f64, step_size: f64) {
        let input = self.encoding.encode(observation, &mut self.input);
        let value = self.network.forward(input, &mut self.pass)[action];
        self.output_gradient.fill(0.0);
        self.output_gradient[action] = (target - f64::from(value)) as f32;
        (self.network).backward(&self.output_gradient, &mut self.pass, &mut self.gradient);
        for (part, gradient) in self.network.parts_mut().iter_mut().zip(&self.gradient) {
            for (parameter, slope) in part.parameters_mut().iter_mut().zip(gradient) {
                *parameter += step_size as f32 * slope;
            }
        }
    }
}

impl SavedValues for NetworkActionValues {
    fn policy(&self) -> Box<dyn Policy> {
        Box::new(GreedyPolicy::new(self.network.clone(), self.encoding.clone()))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        save_network(&self.network, card, folder)
    }
}

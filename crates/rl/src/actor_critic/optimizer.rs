//! Optimisers that are chosen while the program runs.

use etude_kernels::perceptron::{Adam, RmsProp};
use serde::{Deserialize, Serialize};

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptimizerKind {
    /// Adam, with its epsilon.
    Adam {
        /// What keeps the quotient finite.
        epsilon: f32,
    },
    /// RMSProp, with its epsilon.
    RmsProp {
        /// What keeps the quotient finite.
        epsilon: f32,
    },
    /// Plain steps down the gradient, as the book's algorithms take them.
    Sgd,
}

/// The state of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Optimizer {
    Adam(Adam),
    RmsProp(RmsProp),
    Sgd,
}

impl Optimizer {
    pub(super) fn new(kind: OptimizerKind, parameters: usize) -> Self {
        match kind {
            OptimizerKind::Adam { epsilon } => Self::Adam(Adam::new(parameters, epsilon)),
            OptimizerKind::RmsProp { epsilon } => Self::RmsProp(RmsProp::new(parameters, epsilon)),
            OptimizerKind::Sgd => Self::Sgd,
        }
    }

    /// One step down `scale` times `gradient`.
    pub(super) fn step(&mut self, parameters: &mut [f32], gradient: &[f32], scale: f32, learning_rate: f32) {
        match self {
            Self::Adam(adam) => adam.step(parameters, gradient, scale, learning_rate),
            Self::RmsProp(rms_prop) => rms_prop.step(parameters, gradient, scale, learning_rate),
            Self::Sgd => {
                for (parameter, slope) in parameters.iter_mut().zip(gradient) {
                    *parameter -= learning_rate * scale * slope;
                }
            }
        }
    }
}

//! Networks that move by plain steps, one observation at a time, as the book's algorithms do.

use etude_kernels::perceptron::{Activation, Mlp, Pass};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::distribution::Distribution;

/// pi(.|s; theta).
#[derive(Debug)]
pub(super) struct OnlinePolicy {
    pub(super) distribution: Distribution,
    network: OnlineNetwork,
    output_gradient: Vec<f32>,
}

/// Values v(s; w), or one for each action.
#[derive(Debug)]
pub(super) struct OnlineNetwork {
    pub(super) mlp: Mlp,
    pass: Pass,
    gradient: Vec<f32>,
}

impl OnlineNetwork {
    /// Without hidden layers it is linear. Outputs are near zero at first.
    pub(super) fn new(
        inputs: usize,
        hidden: &[usize],
        outputs: usize,
        activation: Activation,
        random: &mut ChaCha8Rng,
    ) -> Self {
        let sizes = [&[inputs], hidden, &[outputs]].concat();
        let mlp = Mlp::new(&sizes, activation, random).orthogonal(std::f32::consts::SQRT_2, 0.01, random);
        Self::of(mlp)
    }

    fn of(mlp: Mlp) -> Self {
        Self {
            pass: Pass::new(&mlp, 1),
            gradient: vec![0.0; mlp.parameters().len()],
            mlp,
        }
    }

    /// Another one of the same shape in its place.
    pub(super) fn replace(&mut self, mlp: Mlp) {
        *self = Self::of(mlp);
    }

    pub(super) fn outputs(&mut self, inputs: &[f32]) -> &[f32] {
        self.mlp.forward(inputs, &mut self.pass)
    }

    /// w <- w + sum over i of `amounts[i]` grad output_i for the inputs of the last pass.
    pub(super) fn climb(&mut self, amounts: &[f32]) {
        (self.mlp).backward(amounts, &mut self.pass, &mut self.gradient, None);
        for (parameter, slope) in self.mlp.parameters_mut().iter_mut().zip(&self.gradient) {
            *parameter += slope;
        }
    }
}

impl OnlinePolicy {
    pub(super) fn new(distribution: Distribution, network: OnlineNetwork) -> Self {
        Self {
            output_gradient: vec![0.0; distribution.outputs()],
            distribution,
            network,
        }
    }

    pub(super) fn mlp(&self) -> &Mlp {
        &self.network.mlp
    }

    pub(super) fn replace(&mut self, mlp: Mlp) {
        self.network.replace(mlp);
    }

    /// Draws an action.
    pub(super) fn draw(&mut self, inputs: &[f32], random: &mut ChaCha8Rng, action: &mut [f32]) {
        let row = self.distribution.row(inputs, self.network.outputs(inputs), &[]);
        self.distribution.sample(row, random, action);
    }

    /// pi(a|s).
    pub(super) fn probability(&mut self, inputs: &[f32], action: &[f32]) -> f64 {
        let row = self.distribution.row(inputs, self.network.outputs(inputs), &[]);
        f64::from(self.distribution.log_probability_and_entropy(row, action)[0]).exp()
    }

    /// theta <- theta + `amount` grad ln pi(a|s).
    pub(super) fn climb(&mut self, inputs: &[f32], action: &[f32], amount: f64) {
        let row = self.distribution.row(inputs, self.network.outputs(inputs), &[]);
        let by = [amount as f32, 0.0];
        self.distribution
            .gradient(row, action, by, &mut self.output_gradient, &mut []);
        self.network.climb(&self.output_gradient);
    }

    /// pi(.|s) of each of `inputs`, where it is one choice of so many actions.
    pub(super) fn probabilities(&mut self, inputs: &[f32]) -> Vec<Vec<f64>> {
        let rows = inputs.chunks_exact(self.network.mlp.inputs());
        rows.map(|inputs| {
            let outputs = self.network.outputs(inputs);
            (self.distribution).probabilities(self.distribution.row(inputs, outputs, &[]))
        })
        .collect()
    }
}

/// The constants of the methods that learn from one step at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnlineOptions {
    /// The widths of the hidden layers of policy and value function. Without any both are linear.
    pub hidden: Vec<usize>,
    /// What their units do.
    pub activation: Activation,
    /// gamma.
    pub discount: f64,
    /// alpha of the policy.
    pub actor_step_size: f64,
    /// alpha of the value function.
    pub critic_step_size: f64,
    /// The share of random actions in the behaviour of the off-policy method; 1 is the uniform behaviour.
    pub behaviour_epsilon: f64,
}

impl Default for OnlineOptions {
    fn default() -> Self {
        Self {
            hidden: Vec::new(),
            activation: Activation::Tanh,
            discount: 0.9,
            actor_step_size: 0.01,
            critic_step_size: 0.05,
            behaviour_epsilon: 1.0,
        }
    }
}

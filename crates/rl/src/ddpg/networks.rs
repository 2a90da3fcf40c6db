//! The actor mu(s; theta) and the critic q(s, a; w).

use etude_kernels::{Activation, Mlp, Pass};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Where the action enters the critic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionLayer {
    /// Beside the observation, as is usual today.
    First,
    /// Beside what the first hidden layer makes of the observation (Lillicrap et al. 2016, section 7).
    Second,
}

/// mu(s; theta) = tanh of a perceptron's outputs: an action between -1 and 1. Without hidden layers it is linear and cut at these
/// bounds; where it is cut, only a gradient that leads back from them passes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Actor {
    mlp: Mlp,
}

impl Actor {
    /// For observations of `inputs` numbers and actions of `actions`; `last_layer_bound` is as in
    /// [`DdpgOptions`](super::DdpgOptions).
    pub fn new(
        (inputs, actions): (usize, usize),
        (hidden, activation): (&[usize], Activation),
        last_layer_bound: Option<f32>,
        random: &mut ChaCha8Rng,
    ) -> Self {
        let mlp = Mlp::new(&[&[inputs], hidden, &[actions]].concat(), activation, random);
        Self {
            mlp: narrowed(mlp, last_layer_bound, random),
        }
    }

    /// With the perceptron `mlp`.
    pub fn from_mlp(mlp: Mlp) -> Self {
        Self { mlp }
    }

    /// The perceptron.
    pub fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    /// The same, to be changed.
    pub fn mlp_mut(&mut self) -> &mut Mlp {
        &mut self.mlp
    }

    /// Whether its outputs are actions, but for the bounds.
    fn is_linear(&self) -> bool {
        self.mlp.sizes().len() == 2
    }

    /// mu(s), shape `[n, a]`, for `observations` of shape `[n, d]`.
    pub fn forward(&self, observations: &[f32], pass: &mut Pass, actions: &mut [f32]) {
        actions.copy_from_slice(self.mlp.forward(observations, pass));
        let linear = self.is_linear();
        for action in actions {
            *action = if linear { action.clamp(-1.0, 1.0) } else { action.tanh() };
        }
    }

    /// The gradient by theta, from that by the `actions` of the last [`forward`](Self::forward), which becomes the one by the
    /// perceptron's outputs: tanh' = 1 - tanh^2.
    pub fn backward(
        &self,
        observations: &[f32],
        actions: &[f32],
        action_gradient: &mut [f32],
        pass: &mut Pass,
        gradient: &mut [f32],
    ) {
        let linear = self.is_linear();
        for (slope, &action) in action_gradient.iter_mut().zip(actions) {
            // A step goes against the gradient.
            let outward = *slope * action < 0.0;
            *slope *= match linear {
                true if action.abs() >= 1.0 && outward => 0.0,
                true => 1.0,
                false => 1.0 - action * action,
            };
        }
        self.mlp.backward(observations, action_gradient, pass, gradient, None);
    }
}

/// q(s, a; w), a perceptron with one output. A row of its inputs is an observation and an action, between -1 and 1, wherever that
/// enters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Critic {
    mlp: Mlp,
    actions: usize,
}

impl Critic {
    /// For observations of `inputs` numbers and actions of `actions`; `last_layer_bound` is as in
    /// [`DdpgOptions`](super::DdpgOptions). Without hidden layers all enters the first.
    pub fn new(
        (inputs, actions): (usize, usize),
        (hidden, activation): (&[usize], Activation),
        action_layer: ActionLayer,
        last_layer_bound: Option<f32>,
        random: &mut ChaCha8Rng,
    ) -> Self {
        let (early, late) = match action_layer {
            ActionLayer::Second if !hidden.is_empty() => (inputs, actions),
            _ => (inputs + actions, 0),
        };
        let mlp = Mlp::with_late_inputs(&[&[early], hidden, &[1]].concat(), late, activation, random);
        Self {
            mlp: narrowed(mlp, last_layer_bound, random),
            actions,
        }
    }

    /// With the perceptron `mlp`, of whose inputs the last are the numbers of an action.
    pub fn from_mlp(mlp: Mlp, actions: usize) -> Self {
        Self { mlp, actions }
    }

    /// The perceptron.
    pub fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    /// The same, to be changed.
    pub fn mlp_mut(&mut self) -> &mut Mlp {
        &mut self.mlp
    }

    /// Rows of an observation and an action each, into `rows`: shapes `[n, d]`, `[n, a]` and `[n, d + a]`.
    pub fn join(&self, observations: &[f32], actions: &[f32], rows: &mut Vec<f32>) {
        let width = self.mlp.inputs() - self.actions;
        rows.clear();
        let pairs = observations.chunks_exact(width).zip(actions.chunks_exact(self.actions));
        for (observation, action) in pairs {
            rows.extend_from_slice(observation);
            rows.extend_from_slice(action);
        }
    }

    /// q(s, a) for each of the `rows` that [`join`](Self::join) gives: shape `[n]`.
    pub fn forward<'a>(&self, rows: &[f32], pass: &'a mut Pass) -> &'a [f32] {
        self.mlp.forward(rows, pass)
    }

    /// The gradient by w, from that by the values.
    pub fn backward(&self, rows: &[f32], value_gradient: &[f32], pass: &mut Pass, gradient: &mut [f32]) {
        self.mlp.backward(rows, value_gradient, pass, gradient, None);
    }

    /// The gradient by the actions, shape `[n, a]`, from that by the values.
    pub fn backward_to_actions(&self, value_gradient: &[f32], pass: &mut Pass, action_gradient: &mut [f32]) {
        (self.mlp).backward_to_inputs(value_gradient, pass, self.actions, action_gradient);
    }
}

fn narrowed(mlp: Mlp, last_layer_bound: Option<f32>, random: &mut ChaCha8Rng) -> Mlp {
    match last_layer_bound {
        Some(bound) => mlp.with_last_layer_within(bound, random),
        None => mlp,
    }
}

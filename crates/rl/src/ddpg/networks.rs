//! The actor mu(s; theta) and the critic q(s, a; w).

use etude_kernels::perceptron::{Activation, Mlp, Pass};
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
    pub fn backward(&self, actions: &[f32], action_gradient: &mut [f32], pass: &mut Pass, gradient: &mut [f32]) {
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
        self.mlp.backward(action_gradient, pass, gradient, None);
    }
}

/// q(s, a; w), a perceptron with one output. A row of its inputs is an observation and an action, between -1 and 1, wherever that
/// enters; in a quadratic critic followed by the products of any two of these numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Critic {
    mlp: Mlp,
    observation: usize,
    actions: usize,
    quadratic: bool,
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
        Self::from_mlp(narrowed(mlp, last_layer_bound, random), actions)
    }

    /// A quadratic function of observation and action, as the value of a linear-quadratic regulator is.
    pub fn quadratic((observation, actions): (usize, usize), random: &mut ChaCha8Rng) -> Self {
        let numbers = observation + actions;
        let inputs = numbers + numbers * (numbers + 1) / 2;
        Self {
            mlp: Mlp::new(&[inputs, 1], Activation::Relu, random),
            observation,
            actions,
            quadratic: true,
        }
    }

    /// With the perceptron `mlp`, of whose inputs the last are the numbers of an action.
    pub fn from_mlp(mlp: Mlp, actions: usize) -> Self {
        Self {
            observation: mlp.inputs() - actions,
            mlp,
            actions,
            quadratic: false,
        }
    }

    /// The perceptron.
    pub fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    /// The same, to be changed.
    pub fn mlp_mut(&mut self) -> &mut Mlp {
        &mut self.mlp
    }

    /// Rows of an observation and an action each, and what else it sees of them, into `rows`: shapes `[n, d]`, `[n, a]` and `[n, inputs]`.
    pub fn join(&self, observations: &[f32], actions: &[f32], rows: &mut Vec<f32>) {
        rows.clear();
        let observations = observations.chunks_exact(self.observation);
        for (observation, action) in observations.zip(actions.chunks_exact(self.actions)) {
            let start = rows.len();
            rows.extend_from_slice(observation);
            rows.extend_from_slice(action);
            if self.quadratic {
                let end = rows.len();
                for first in start..end {
                    for second in first..end {
                        rows.push(rows[first] * rows[second]);
                    }
                }
            }
        }
    }

    /// q(s, a) for each of the `rows` that [`join`](Self::join) gives: shape `[n]`.
    pub fn forward<'a>(&self, rows: &[f32], pass: &'a mut Pass) -> &'a [f32] {
        self.mlp.forward(rows, pass)
    }

    /// The gradient by w, from that by the values.
    pub fn backward(&self, value_gradient: &[f32], pass: &mut Pass, gradient: &mut [f32]) {
        self.mlp.backward(value_gradient, pass, gradient, None);
    }

    /// The gradient by the actions, shape `[n, a]`, from that by the values of these `rows`.
    pub fn backward_to_actions(
        &self,
        rows: &[f32],
        value_gradient: &[f32],
        pass: &mut Pass,
        action_gradient: &mut [f32],
    ) {
        if !self.quadratic {
            (self.mlp).backward_to_inputs(value_gradient, pass, self.actions, action_gradient);
            return;
        }
        // A sum of weights times inputs has the weights for its gradient by them.
        let weights = self.mlp.parameters();
        let numbers = self.observation + self.actions;
        let slopes = action_gradient.chunks_exact_mut(self.actions).zip(value_gradient);
        for (row, (slopes, slope)) in rows.chunks_exact(self.mlp.inputs()).zip(slopes) {
            slopes.copy_from_slice(&weights[self.observation..numbers]);
            let mut products = weights[numbers..].iter();
            for first in 0..numbers {
                for (second, weight) in (first..numbers).zip(products.by_ref()) {
                    for (one, other) in [(first, second), (second, first)] {
                        if let Some(action) = one.checked_sub(self.observation) {
                            slopes[action] += weight * row[other];
                        }
                    }
                }
            }
            for number in slopes {
                *number *= slope;
            }
        }
    }
}

fn narrowed(mlp: Mlp, last_layer_bound: Option<f32>, random: &mut ChaCha8Rng) -> Mlp {
    match last_layer_bound {
        Some(bound) => mlp.with_last_layer_within(bound, random),
        None => mlp,
    }
}

#[cfg(test)]
mod tests {
    use etude_train::Seed;
    use rand::RngExt;

    use super::*;

    #[test]
    fn the_slopes_of_a_quadratic_critic_are_its_differences() {
        let mut random = Seed(1).stream("test");
        let critic = Critic::quadratic((2, 2), &mut random);
        let mut pass = Pass::new(critic.mlp(), 3);
        let mut draw = |count: usize| (0..count).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f32>>();
        let (observations, actions, by_value) = (draw(6), draw(6), draw(3));
        let mut rows = Vec::new();
        let mut sum = |actions: &[f32], pass: &mut Pass| {
            critic.join(&observations, actions, &mut rows);
            let values = critic.forward(&rows, pass);
            values.iter().zip(&by_value).map(|(value, by)| value * by).sum::<f32>()
        };
        let differences: Vec<f32> = (0..6)
            .map(|index| {
                let mut moved = |by: f32| {
                    let mut actions = actions.clone();
                    actions[index] += by;
                    sum(&actions, &mut pass)
                };
                // Exact but for rounding, of a quadratic function.
                moved(0.5) - moved(-0.5)
            })
            .collect();
        sum(&actions, &mut pass);
        let mut slopes = vec![0.0; 6];
        critic.backward_to_actions(&rows, &by_value, &mut pass, &mut slopes);
        for (slope, difference) in slopes.iter().zip(differences) {
            assert!((slope - difference).abs() < 1e-5, "{slope} {difference}");
        }
    }
}

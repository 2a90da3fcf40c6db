//! One step of gradient descent on a minibatch.
//!
//! The minibatch is cut into two halves, always at the same row, and each half goes through the networks on its own: on two
//! threads where there are two, and with the same result on one.

use etude_kernels::{Adam, square_norm};

use super::loss::{Loss, double_targets, q_learning_targets};
use super::network::{QNetwork, QPass};
use crate::encoding::Encoding;
use crate::replay::Minibatch;

/// The networks, Adam's state, and memory for both halves.
#[derive(Debug)]
pub(super) struct Learner {
    pub(super) online: QNetwork,
    pub(super) target: QNetwork,
    /// One for each part of the network.
    pub(super) adam: Vec<Adam>,
    halves: [Half; 2],
    double: bool,
    loss: Loss,
}

/// Some rows of a minibatch.
#[derive(Debug)]
struct Half {
    encoding: Encoding,
    /// Encoded observations, now and next.
    memory: [Vec<f32>; 2],
    online: QPass,
    target: QPass,
    targets: Vec<f32>,
    /// y - q.
    errors: Vec<f32>,
    value_gradient: Vec<f32>,
    gradient: Vec<Vec<f32>>,
    /// The sum of the losses of its rows.
    loss: f64,
    /// The sum of q(s, a).
    values: f64,
}

/// What an update tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Updated {
    /// The mean loss.
    pub(super) loss: f64,
    /// The mean of q(s, a).
    pub(super) values: f64,
    /// The norm of the gradient before it was clipped.
    pub(super) gradient_norm: f64,
}

impl Learner {
    pub(super) fn new(
        online: QNetwork,
        encoding: &Encoding,
        batch: usize,
        adam_epsilon: f32,
        double: bool,
        loss: Loss,
    ) -> Self {
        let half = |rows: usize| Half {
            encoding: encoding.clone(),
            memory: [Vec::new(), Vec::new()],
            online: online.pass(rows),
            target: online.pass(rows),
            targets: vec![0.0; rows],
            errors: vec![0.0; rows],
            value_gradient: vec![0.0; rows * online.actions()],
            gradient: online.zero_gradient(),
            loss: 0.0,
            values: 0.0,
        };
        Self {
            halves: [half(batch / 2), half(batch - batch / 2)],
            adam: (online.parts().iter())
                .map(|part| Adam::new(part.parameters().len(), adam_epsilon))
                .collect(),
            target: online.clone(),
            online,
            double,
            loss,
        }
    }

    /// Learns from `minibatch`.
    pub(super) fn update(&mut self, minibatch: &Minibatch, learning_rate: f64, max_norm: Option<f64>) -> Updated {
        let count = minibatch.rewards.len();
        let (online, target, double, loss) = (&self.online, &self.target, self.double, self.loss);
        let [first, second] = &mut self.halves;
        let middle = first.targets.len();
        rayon::join(
            || first.differentiate(minibatch, 0..middle, online, target, double, loss),
            || second.differentiate(minibatch, middle..count, online, target, double, loss),
        );
        let gradients = |part: usize| [&first.gradient[part][..], &second.gradient[part][..]];
        let parts = self.online.parts().len();
        let square: f64 = (0..parts).map(|part| square_norm(&gradients(part))).sum();
        let norm = square.sqrt();
        // As PyTorch's clip_grad_norm_ does it.
        let scale = max_norm.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0));
        for (part, (mlp, adam)) in self.online.parts_mut().iter_mut().zip(&mut self.adam).enumerate() {
            adam.step(
                mlp.parameters_mut(),
                &gradients(part),
                scale as f32,
                learning_rate as f32,
            );
        }
        Updated {
            loss: (first.loss + second.loss) / count as f64,
            values: (first.values + second.values) / count as f64,
            gradient_norm: norm,
        }
    }

    /// y - q of the last minibatch, row by row.
    pub(super) fn errors(&self) -> impl Iterator<Item = f32> {
        self.halves.iter().flat_map(|half| half.errors.iter().copied())
    }
}

impl Half {
    /// The gradient of the loss of these rows, as their share of the mean over the minibatch.
    fn differentiate(
        &mut self,
        minibatch: &Minibatch,
        rows: std::ops::Range<usize>,
        online: &QNetwork,
        target: &QNetwork,
        double: bool,
        loss: Loss,
    ) {
        if rows.is_empty() {
            return;
        }
        let count = minibatch.rewards.len();
        let width = minibatch.observations.len() / count;
        let entries = rows.start * width..rows.end * width;
        let [now, next] = &mut self.memory;
        let now = self.encoding.encode(&minibatch.observations[entries.clone()], now);
        let next = self.encoding.encode(&minibatch.next_observations[entries], next);
        let (rewards, discounts) = (&minibatch.rewards[rows.clone()], &minibatch.discounts[rows.clone()]);
        let next_values = target.forward(next, &mut self.target);
        if double {
            let choosing = online.forward(next, &mut self.online);
            double_targets(rewards, discounts, next_values, choosing, &mut self.targets);
        } else {
            q_learning_targets(rewards, discounts, next_values, &mut self.targets);
        }
        let values = online.forward(now, &mut self.online);
        let actions = online.actions();
        self.value_gradient.fill(0.0);
        (self.loss, self.values) = (0.0, 0.0);
        let results = self
            .errors
            .iter_mut()
            .zip(self.value_gradient.chunks_exact_mut(actions));
        let chosen = minibatch.actions[rows.clone()].iter().zip(&minibatch.weights[rows]);
        let rows = values.chunks_exact(actions).zip(&self.targets);
        for (((error, gradient), (row, target)), (&action, weight)) in results.zip(rows).zip(chosen) {
            let value = row[action as usize];
            *error = target - value;
            let (height, slope) = loss.of(*error);
            self.loss += f64::from(weight * height);
            self.values += f64::from(value);
            gradient[action as usize] = -weight * slope / count as f32;
        }
        online.backward(now, &self.value_gradient, &mut self.online, &mut self.gradient);
    }
}

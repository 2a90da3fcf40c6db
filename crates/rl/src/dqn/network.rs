//! q(s, .; w).

use etude_kernels::perceptron::{Activation, Mlp, Pass};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A multilayer perceptron from an observation to the values of all actions, or the duelling network: after the hidden layers
/// two streams, of one hidden layer each, give v(s) and the advantages, and
///
/// ```text
/// q(s, a) = v(s) + adv(s, a) - mean_a' adv(s, a')         Wang et al. 2016, equation 9
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QNetwork {
    /// The perceptron alone, or the shared layers and the streams of value and advantages.
    parts: Vec<Mlp>,
}

/// Memory for passes of some rows.
#[derive(Debug, Clone, Default)]
pub struct QPass {
    parts: Vec<Pass>,
    /// The output of the shared layers of a duelling network, after ReLU; shape `[rows, h]`.
    shared: Vec<f32>,
    /// d loss / d shared, of one stream each.
    shared_gradients: [Vec<f32>; 2],
    /// d loss / d v and d loss / d adv.
    stream_gradients: [Vec<f32>; 2],
    /// Shape `[rows, a]`.
    values: Vec<f32>,
}

impl QNetwork {
    /// A network that sees `inputs` numbers, with PyTorch's usual first weights.
    pub fn new(inputs: usize, hidden: &[usize], actions: usize, duelling: bool, random: &mut ChaCha8Rng) -> Self {
        let mut mlp = |sizes: &[usize]| Mlp::new(sizes, Activation::Relu, random);
        let (shared, last) = ([&[inputs], hidden].concat(), hidden.last().copied());
        let parts = match last {
            Some(width) if duelling => vec![mlp(&shared), mlp(&[width, width, 1]), mlp(&[width, width, actions])],
            _ => vec![mlp(&[&shared[..], &[actions]].concat())],
        };
        Self { parts }
    }

    /// Of a perceptron, or of shared layers and the streams of value and advantages; none where these do not fit together.
    pub fn from_parts(parts: Vec<Mlp>) -> Option<Self> {
        let fits = match &parts[..] {
            [_] => true,
            [shared, value, advantages] => {
                let width = shared.sizes().last();
                [value, advantages].iter().all(|stream| stream.sizes().first() == width)
                    && value.sizes().last() == Some(&1)
            }
            _ => false,
        };
        fits.then_some(Self { parts })
    }

    /// The perceptron alone, or the shared layers and the streams of value and advantages.
    pub fn parts(&self) -> &[Mlp] {
        &self.parts
    }

    /// The same, to be changed.
    pub fn parts_mut(&mut self) -> &mut [Mlp] {
        &mut self.parts
    }

    /// How many numbers it sees.
    pub fn inputs(&self) -> usize {
        self.parts[0].sizes()[0]
    }

    /// How many actions it values.
    pub fn actions(&self) -> usize {
        self.parts
            .last()
            .and_then(|part| part.sizes().last().copied())
            .unwrap_or(0)
    }

    /// Memory for passes of up to `rows` rows.
    pub fn pass(&self, rows: usize) -> QPass {
        let width = match self.parts.len() {
            1 => 0,
            _ => self.parts[1].sizes()[0],
        };
        QPass {
            parts: self.parts.iter().map(|part| Pass::new(part, rows)).collect(),
            shared: vec![0.0; rows * width],
            shared_gradients: [vec![0.0; rows * width], vec![0.0; rows * width]],
            stream_gradients: [vec![0.0; rows], vec![0.0; rows * self.actions()]],
            values: vec![0.0; rows * self.actions()],
        }
    }

    /// A gradient for each part, of zeros.
    pub fn zero_gradient(&self) -> Vec<Vec<f32>> {
        self.parts
            .iter()
            .map(|part| vec![0.0; part.parameters().len()])
            .collect()
    }

    /// The values of all actions, shape `[n, a]`, for inputs of shape `[n, d]`.
    pub fn forward<'a>(&self, inputs: &[f32], pass: &'a mut QPass) -> &'a [f32] {
        let [shared, value, advantages] = &self.parts[..] else {
            return self.parts[0].forward(inputs, &mut pass.parts[0]);
        };
        let (rows, actions) = (inputs.len() / self.inputs(), self.actions());
        let features = shared.forward(inputs, &mut pass.parts[0]);
        let kept = &mut pass.shared[..features.len()];
        for (kept, feature) in kept.iter_mut().zip(features) {
            *kept = feature.max(0.0);
        }
        let [_, value_pass, advantage_pass] = &mut pass.parts[..] else {
            return &[];
        };
        let values = value.forward(kept, value_pass);
        let advantages = advantages.forward(kept, advantage_pass).chunks_exact(actions);
        let out = &mut pass.values[..rows * actions];
        for ((out, value), advantages) in out.chunks_exact_mut(actions).zip(values).zip(advantages) {
            let mean = advantages.iter().sum::<f32>() / actions as f32;
            for (out, advantage) in out.iter_mut().zip(advantages) {
                *out = value + advantage - mean;
            }
        }
        out
    }

    /// The gradient with respect to all parameters, of the last [`forward`](Self::forward) of `pass`, from
    /// d loss / d values, shape `[n, a]`.
    pub fn backward(&self, value_gradient: &[f32], pass: &mut QPass, gradient: &mut [Vec<f32>]) {
        let ([shared, value, advantages], [shared_out, value_out, advantages_out]) =
            (&self.parts[..], &mut gradient[..])
        else {
            return self.parts[0].backward(value_gradient, &mut pass.parts[0], &mut gradient[0], None);
        };
        let actions = self.actions();
        let rows = value_gradient.len() / actions;
        let [of_value, of_advantages] = &mut pass.stream_gradients;
        let (of_value, of_advantages) = (&mut of_value[..rows], &mut of_advantages[..rows * actions]);
        let rows_of = value_gradient
            .chunks_exact(actions)
            .zip(of_advantages.chunks_exact_mut(actions));
        for ((row, of_advantages), of_value) in rows_of.zip(of_value.iter_mut()) {
            let sum: f32 = row.iter().sum();
            *of_value = sum;
            for (out, entry) in of_advantages.iter_mut().zip(row) {
                *out = entry - sum / actions as f32;
            }
        }
        let width = rows * value.sizes()[0];
        let features = &pass.shared[..width];
        let [first, second] = &mut pass.shared_gradients;
        let (first, second) = (&mut first[..width], &mut second[..width]);
        let [shared_pass, value_pass, advantage_pass] = &mut pass.parts[..] else {
            return;
        };
        value.backward(of_value, value_pass, value_out, Some(first));
        advantages.backward(of_advantages, advantage_pass, advantages_out, Some(second));
        for ((first, second), feature) in first.iter_mut().zip(second).zip(features) {
            *first = if *feature > 0.0 { *first + *second } else { 0.0 };
        }
        shared.backward(first, shared_pass, shared_out, None);
    }
}

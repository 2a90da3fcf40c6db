//! Prediction: learning the values of a policy from its transitions, with a linear function of features.
//!
//! All methods move w so that v^(s) = phi(s)^T w comes nearer to some target (Zhao, chapter 8; Sutton and Barto, chapters 9,
//! 11 and 12):
//!
//! | method | target, or what is solved for |
//! |---|---|
//! | [`MonteCarlo`] | the return G |
//! | [`NStepTd`] | r_1 + gamma r_2 + ... + gamma^n v^(s_n) |
//! | [`TdLambda`] | their mixture with weights (1 - lambda) lambda^(n-1), by eligibility traces; TD(0) where lambda is 0 |
//! | [`Lstd`] | the fixed point of TD from all data at once |
//! | [`ResidualGradient`] | the least Bellman error, by its gradient |
//! | [`Tdc`] | the least projected Bellman error, by its gradient |

use serde::{Deserialize, Serialize};

use crate::window::Window;

/// One step of the policy, as features.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// phi(s).
    pub features: &'a [f64],
    /// r.
    pub reward: f64,
    /// phi(s'), and nothing where the episode was terminated: then v(s') is zero. Where it was truncated, s' has a value.
    pub next: Option<&'a [f64]>,
    /// Whether the episode ends here, one way or the other.
    pub ends: bool,
}

/// A method that learns w step by step.
pub trait Predictor {
    /// Learns from one step. Steps come in their order, episode after episode.
    fn learn(&mut self, sample: Sample<'_>);

    /// w.
    fn weights(&self) -> &[f64];
}

/// x^T y.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// y <- y + a x.
fn add(y: &mut [f64], a: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
}

/// v^(s').
fn next_value(weights: &[f64], sample: &Sample<'_>) -> f64 {
    sample.next.map_or(0.0, |next| dot(weights, next))
}

/// TD(lambda) with accumulating traces (Sutton and Barto, section 12.2): z <- gamma lambda z + phi(s), delta = r + gamma v^(s')
/// - v^(s), w <- w + alpha delta z. With lambda = 0 it is TD(0), Zhao's TD-Linear.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TdLambda {
    weights: Vec<f64>,
    traces: Vec<f64>,
    discount: f64,
    step_size: f64,
    lambda: f64,
}

impl TdLambda {
    /// From the given weights.
    pub fn new(weights: Vec<f64>, discount: f64, step_size: f64, lambda: f64) -> Self {
        Self {
            traces: vec![0.0; weights.len()],
            weights,
            discount,
            step_size,
            lambda,
        }
    }
}

impl Predictor for TdLambda {
    fn learn(&mut self, sample: Sample<'_>) {
        let decay = self.discount * self.lambda;
        for (trace, feature) in self.traces.iter_mut().zip(sample.features) {
            *trace = decay * *trace + feature;
        }
        let target = sample.reward + self.discount * next_value(&self.weights, &sample);
        let delta = target - dot(&self.weights, sample.features);
        add(&mut self.weights, self.step_size * delta, &self.traces);
        if sample.ends {
            self.traces.fill(0.0);
        }
    }

    fn weights(&self) -> &[f64] {
        &self.weights
    }
}

/// n-step TD (Sutton and Barto, section 9.4): every state moves to the discounted rewards of the n steps after it and the
/// value of where they lead.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NStepTd {
    weights: Vec<f64>,
    discount: f64,
    step_size: f64,
    /// The features of the last steps.
    window: Window<Vec<f64>>,
}

impl NStepTd {
    /// From the given weights, with `steps` at least 1.
    pub fn new(weights: Vec<f64>, discount: f64, step_size: f64, steps: usize) -> Self {
        Self {
            weights,
            discount,
            step_size,
            window: Window::new(steps),
        }
    }
}

impl Predictor for NStepTd {
    fn learn(&mut self, sample: Sample<'_>) {
        self.window.push(sample.reward, |features| {
            features.clear();
            features.extend_from_slice(sample.features);
        });
        if self.window.is_due(sample.ends) {
            let last = next_value(&self.weights, &sample);
            let Self { weights, step_size, .. } = self;
            self.window
                .settle(last, self.discount, sample.ends, |features, target| {
                    let error = target - dot(weights, features);
                    add(weights, *step_size * error, features);
                });
        }
    }

    fn weights(&self) -> &[f64] {
        &self.weights
    }
}

/// Gradient Monte Carlo (Sutton and Barto, section 9.3): at the end of an episode every state moves to the return after it.
/// Where the episode was truncated, the return goes on with v^ of the state that it was cut off in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MonteCarlo(NStepTd);

impl MonteCarlo {
    /// From the given weights.
    pub fn new(weights: Vec<f64>, discount: f64, step_size: f64) -> Self {
        Self(NStepTd::new(weights, discount, step_size, usize::MAX))
    }
}

impl Predictor for MonteCarlo {
    fn learn(&mut self, sample: Sample<'_>) {
        self.0.learn(sample);
    }

    fn weights(&self) -> &[f64] {
        self.0.weights()
    }
}

/// Least-squares TD (Bradtke and Barto 1996): A w = b for A = sigma^-1 I + sum of phi(s) (phi(s) - gamma phi(s'))^T and b = sum of
/// r phi(s), where the inverse of A is kept up to date by the formula of Sherman and Morrison.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lstd {
    /// The inverse of A, row by row.
    inverse: Vec<f64>,
    right: Vec<f64>,
    weights: Vec<f64>,
    discount: f64,
    /// v, A^-1 u and v^T A^-1 of the present step.
    step: Vec<f64>,
    column: Vec<f64>,
    row: Vec<f64>,
}

impl Lstd {
    /// Of so many features. The inverse begins as `sigma` times the identity: the greater, the sooner it is forgotten.
    pub fn new(dimension: usize, discount: f64, sigma: f64) -> Self {
        let mut inverse = vec![0.0; dimension * dimension];
        inverse
            .iter_mut()
            .step_by(dimension + 1)
            .for_each(|entry| *entry = sigma);
        Self {
            inverse,
            right: vec![0.0; dimension],
            weights: vec![0.0; dimension],
            discount,
            step: vec![0.0; dimension],
            column: vec![0.0; dimension],
            row: vec![0.0; dimension],
        }
    }
}

impl Predictor for Lstd {
    fn learn(&mut self, sample: Sample<'_>) {
        let Self {
            inverse,
            right,
            weights,
            discount,
            step,
            column,
            row,
        } = self;
        let dimension = right.len();
        step.copy_from_slice(sample.features);
        if let Some(next) = sample.next {
            add(step, -*discount, next);
        }
        // (A + u v^T)^-1 = A^-1 - (A^-1 u) (v^T A^-1) / (1 + v^T A^-1 u).
        row.fill(0.0);
        for (inverse, (column, &step)) in inverse.chunks(dimension).zip(column.iter_mut().zip(&*step)) {
            *column = dot(inverse, sample.features);
            add(row, step, inverse);
        }
        let scale = 1.0 + dot(step, column);
        for (inverse, entry) in inverse.chunks_mut(dimension).zip(&*column) {
            add(inverse, -entry / scale, row);
        }
        add(right, sample.reward, sample.features);
        for (weight, inverse) in weights.iter_mut().zip(inverse.chunks(dimension)) {
            *weight = dot(inverse, right);
        }
    }

    fn weights(&self) -> &[f64] {
        &self.weights
    }
}

/// The residual gradient (Baird 1995): w <- w + alpha delta (phi(s) - gamma phi(s')). It ends at the least Bellman error where
/// the next state is certain; where chance has a hand in it, one sample of s' in both places makes it prefer smooth values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResidualGradient {
    weights: Vec<f64>,
    discount: f64,
    step_size: f64,
}

impl ResidualGradient {
    /// From the given weights.
    pub fn new(weights: Vec<f64>, discount: f64, step_size: f64) -> Self {
        Self {
            weights,
            discount,
            step_size,
        }
    }
}

impl Predictor for ResidualGradient {
    fn learn(&mut self, sample: Sample<'_>) {
        let target = sample.reward + self.discount * next_value(&self.weights, &sample);
        let delta = target - dot(&self.weights, sample.features);
        add(&mut self.weights, self.step_size * delta, sample.features);
        if let Some(next) = sample.next {
            add(&mut self.weights, -self.step_size * delta * self.discount, next);
        }
    }

    fn weights(&self) -> &[f64] {
        &self.weights
    }
}

/// TD with gradient correction (Sutton et al. 2009; Sutton and Barto, section 11.7): a second weight vector u learns what
/// delta is on average, u <- u + beta (delta - phi^T u) phi, and w <- w + alpha (delta phi(s) - gamma phi(s') phi(s)^T u).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tdc {
    weights: Vec<f64>,
    expected: Vec<f64>,
    discount: f64,
    step_size: f64,
    second_step_size: f64,
}

impl Tdc {
    /// From the given weights, with the step sizes alpha and beta.
    pub fn new(weights: Vec<f64>, discount: f64, step_size: f64, second_step_size: f64) -> Self {
        Self {
            expected: vec![0.0; weights.len()],
            weights,
            discount,
            step_size,
            second_step_size,
        }
    }
}

impl Predictor for Tdc {
    fn learn(&mut self, sample: Sample<'_>) {
        let target = sample.reward + self.discount * next_value(&self.weights, &sample);
        let delta = target - dot(&self.weights, sample.features);
        let expected = dot(&self.expected, sample.features);
        add(&mut self.weights, self.step_size * delta, sample.features);
        if let Some(next) = sample.next {
            add(&mut self.weights, -self.step_size * self.discount * expected, next);
        }
        add(
            &mut self.expected,
            self.second_step_size * (delta - expected),
            sample.features,
        );
    }

    fn weights(&self) -> &[f64] {
        &self.weights
    }
}

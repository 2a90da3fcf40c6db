//! What linear value function approximation is after, exactly: the three objectives and where each is least.
//!
//! For a policy with transition matrix P, mean rewards r, values v = r + gamma P v and stationary distribution d, features
//! Phi (a row a state) and D = diag(d) (Zhao, chapter 8; Sutton and Barto, section 11.4). Where episodes end, P leaks, v is what
//! is earned until the end, and d is the share of time in a life of one episode after another (section 9.2):
//!
//! | objective | at v^ = Phi w | least at |
//! |---|---|---|
//! | value error | \|\|v^ - v\|\|_D | the projection of v |
//! | Bellman error | \|\|r + gamma P v^ - v^\|\|_D | the minimiser of the Bellman residual |
//! | projected Bellman error | \|\|Proj (r + gamma P v^) - v^\|\|_D | the fixed point of TD, where it is zero |

use etude_mdp::{Model, Policy, TERMINAL};
use faer::Mat;
use faer::linalg::solvers::Solve;

use crate::error::RlError;
use crate::features::FeatureMap;

/// A policy's chain, dense: what is known where the model is.
#[derive(Debug, Clone)]
pub struct KnownChain {
    /// P, of shape `[n, n]`, without what ends an episode.
    transitions: Mat<f64>,
    /// r, of shape `[n, 1]`.
    rewards: Mat<f64>,
    /// v, of shape `[n, 1]`.
    values: Mat<f64>,
    /// d, of length n.
    distribution: Vec<f64>,
    discount: f64,
}

/// Phi: the features of all states, a row a state.
#[derive(Debug, Clone)]
pub struct FeatureMatrix(Mat<f64>);

impl FeatureMatrix {
    /// What `map` makes of the states, which are seen as `points`.
    pub fn new(map: &(impl FeatureMap + ?Sized), points: &[Vec<f64>]) -> Self {
        let mut row = vec![0.0; map.dimension()];
        let mut matrix = Mat::zeros(points.len(), row.len());
        for (state, point) in points.iter().enumerate() {
            map.write(point, &mut row);
            for (entry, &feature) in row.iter().enumerate() {
                matrix[(state, entry)] = feature;
            }
        }
        Self(matrix)
    }

    /// Phi w.
    pub fn values(&self, weights: &[f64]) -> Vec<f64> {
        column(&(&self.0 * vector(weights)))
    }
}

/// The three objectives at one v^, each the square root of a mean of squares under d.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objectives {
    /// How far v^ is from v.
    pub value_error: f64,
    /// How far v^ is from its own Bellman backup.
    pub bellman_error: f64,
    /// How far v^ is from the projection of that backup onto what the features can express.
    pub projected_bellman_error: f64,
}

impl KnownChain {
    /// Of `policy` in a model whose episodes do not end.
    ///
    /// # Errors
    /// An episode can end, or the chain has no single stationary distribution.
    pub fn new(model: &impl Model, policy: &Policy, discount: f64) -> Result<Self, RlError> {
        Self::with_restarts(model, policy, discount, &[])
    }

    /// Of `policy` in a model whose episodes begin in one of the states `first`, all equally likely, and begin there again
    /// where they end.
    ///
    /// # Errors
    /// An episode can end and `first` is empty, or the chain has no single stationary distribution.
    pub fn with_restarts(model: &impl Model, policy: &Policy, discount: f64, first: &[u32]) -> Result<Self, RlError> {
        let states = model.states();
        let (mut transitions, mut rewards) = (Mat::zeros(states, states), Mat::zeros(states, 1));
        let acts = |state: usize| model.actions(state) > 0;
        // The chance that the episode is over after a state, or in it.
        let mut ending: Vec<f64> = (0..states).map(|state| f64::from(u8::from(!acts(state)))).collect();
        for (state, ending) in ending.iter_mut().enumerate() {
            policy.for_each(state, |action, chance| {
                rewards[(state, 0)] += chance * model.reward(state, action);
                model.successors(state, action, |next, probability| {
                    if next == TERMINAL || !acts(next as usize) {
                        *ending += chance * probability;
                    } else {
                        transitions[(state, next as usize)] += chance * probability;
                    }
                });
            });
        }
        if first.is_empty() && ending.iter().any(|&chance| chance > 0.0) {
            return Err(RlError::NoStationaryDistribution("its episodes end"));
        }
        let mut lasting = transitions.clone();
        for (state, chance) in ending.iter().enumerate() {
            for &next in first {
                lasting[(state, next as usize)] += chance / first.len() as f64;
            }
        }
        let identity = Mat::<f64>::identity(states, states);
        let system = &identity - faer::Scale(discount) * &transitions;
        let values = system.partial_piv_lu().solve(&rewards);
        let distribution = stationary(&lasting)?;
        Ok(Self {
            transitions,
            rewards,
            values,
            distribution,
            discount,
        })
    }

    /// v.
    pub fn values(&self) -> Vec<f64> {
        column(&self.values)
    }

    /// d: the share of time that the chain spends in each state in the long run.
    pub fn distribution(&self) -> &[f64] {
        &self.distribution
    }

    /// The weights whose values are nearest to v.
    pub fn projection(&self, FeatureMatrix(features): &FeatureMatrix) -> Vec<f64> {
        self.least_squares(features, &self.values)
    }

    /// The weights that temporal differences learn: A w = b with A = Phi^T D (I - gamma P) Phi and b = Phi^T D r, the least
    /// such weights where A is singular.
    pub fn td_fixed_point(&self, FeatureMatrix(features): &FeatureMatrix) -> Vec<f64> {
        let weighted = self.weighted(features, |d| d);
        let step = features - faer::Scale(self.discount) * (&self.transitions * features);
        let (matrix, right) = (weighted.transpose() * step, weighted.transpose() * &self.rewards);
        least_norm(&matrix, &right)
    }

    /// The weights whose values come nearest to their own Bellman backup.
    pub fn bellman_residual_minimiser(&self, FeatureMatrix(features): &FeatureMatrix) -> Vec<f64> {
        let step = features - faer::Scale(self.discount) * (&self.transitions * features);
        self.least_squares(&step, &self.rewards)
    }

    /// The objectives at v^ = Phi w.
    pub fn objectives(&self, FeatureMatrix(features): &FeatureMatrix, weights: &[f64]) -> Objectives {
        let approximate = features * vector(weights);
        let backed_up = &self.rewards + faer::Scale(self.discount) * (&self.transitions * &approximate);
        let projected = self.least_squares(features, &backed_up);
        let projected = features * vector(&projected);
        Objectives {
            value_error: self.norm(&(&approximate - &self.values)),
            bellman_error: self.norm(&(backed_up - &approximate)),
            projected_bellman_error: self.norm(&(projected - approximate)),
        }
    }

    /// ||x||_D.
    fn norm(&self, x: &Mat<f64>) -> f64 {
        let squares = self
            .distribution
            .iter()
            .enumerate()
            .map(|(row, d)| d * x[(row, 0)] * x[(row, 0)]);
        squares.sum::<f64>().sqrt()
    }

    /// The least w among those that make ||matrix w - right||_D least.
    fn least_squares(&self, matrix: &Mat<f64>, right: &Mat<f64>) -> Vec<f64> {
        least_norm(&self.weighted(matrix, f64::sqrt), &self.weighted(right, f64::sqrt))
    }

    /// Each row times `weight` of the chance of its state.
    fn weighted(&self, matrix: &Mat<f64>, weight: impl Fn(f64) -> f64) -> Mat<f64> {
        Mat::from_fn(matrix.nrows(), matrix.ncols(), |row, entry| {
            weight(self.distribution[row]) * matrix[(row, entry)]
        })
    }
}

/// The least w among those that make ||matrix w - right|| least, by the singular values.
fn least_norm(matrix: &Mat<f64>, right: &Mat<f64>) -> Vec<f64> {
    // A matrix of finite numbers has singular values.
    match matrix.thin_svd() {
        Ok(svd) => column(&(svd.pseudoinverse() * right)),
        Err(_) => vec![f64::NAN; matrix.ncols()],
    }
}

/// d with d^T P = d^T and entries that sum to one.
fn stationary(transitions: &Mat<f64>) -> Result<Vec<f64>, RlError> {
    if !meets(transitions) {
        return Err(RlError::NoStationaryDistribution(
            "it falls apart into chains that never meet",
        ));
    }
    let states = transitions.nrows();
    // One equation of d^T (P - I) = 0 follows from the others; the sum takes its place.
    let matrix = Mat::from_fn(states, states, |row, entry| {
        if row + 1 == states {
            1.0
        } else {
            transitions[(entry, row)] - f64::from(u8::from(row == entry))
        }
    });
    let right = Mat::from_fn(states, 1, |row, _| f64::from(u8::from(row + 1 == states)));
    let distribution = column(&matrix.partial_piv_lu().solve(&right));
    Ok(distribution.into_iter().map(|chance| chance.max(0.0)).collect())
}

/// Whether some state is reached from every state: then, and only then, there is one stationary distribution.
fn meets(transitions: &Mat<f64>) -> bool {
    let states = transitions.nrows();
    // Marks the states from which `goal` is reached.
    let mark = |goal: usize, reach: &mut [bool]| {
        let mut found = vec![goal];
        reach[goal] = true;
        while let Some(next) = found.pop() {
            for state in 0..states {
                if !reach[state] && transitions[(state, next)] > 0.0 {
                    reach[state] = true;
                    found.push(state);
                }
            }
        }
    };
    // If every state reaches s, then marking the first goal that s reaches marks them all: only the last goal is in question.
    let (mut reach, mut last) = (vec![false; states], 0);
    for goal in 0..states {
        if !reach[goal] {
            mark(goal, &mut reach);
            last = goal;
        }
    }
    let mut reach = vec![false; states];
    mark(last, &mut reach);
    reach.into_iter().all(|reaches| reaches)
}

fn vector(entries: &[f64]) -> Mat<f64> {
    Mat::from_fn(entries.len(), 1, |row, _| entries[row])
}

fn column(matrix: &Mat<f64>) -> Vec<f64> {
    (0..matrix.nrows()).map(|row| matrix[(row, 0)]).collect()
}

//! q(s, a) that can be learnt.

use serde::{Deserialize, Serialize};

use crate::features::FeatureMap;

/// q(s, .) of a discrete action space, as something that moves: a table, a linear function, a network.
pub trait ActionValues {
    /// How many actions there are.
    fn actions(&self) -> usize;

    /// Writes q(s, a) of every action into `values`, of length [`actions`](Self::actions).
    fn values(&mut self, observation: &[f32], values: &mut [f64]);

    /// Moves q(s, `action`) towards `target` by the semi-gradient: w <- w + alpha (target - q(s, a)) grad q(s, a).
    fn step_towards(&mut self, observation: &[f32], action: usize, target: f64, step_size: f64);
}

impl<Q: ActionValues + ?Sized> ActionValues for Box<Q> {
    fn actions(&self) -> usize {
        (**self).actions()
    }

    fn values(&mut self, observation: &[f32], values: &mut [f64]) {
        (**self).values(observation, values);
    }

    fn step_towards(&mut self, observation: &[f32], action: usize, target: f64, step_size: f64) {
        (**self).step_towards(observation, action, target, step_size);
    }
}

/// q(s, a) = phi(s)^T w_a, one weight vector an action (Zhao, section 8.3). With [`OneHot`](crate::OneHot) features it is the
/// table: w_a(s) is q(s, a) itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinearActionValues<M> {
    map: M,
    actions: usize,
    /// Shape `[dimension, actions]`: what one feature says of all actions lies together.
    weights: Vec<f64>,
    /// The observation in 64 bits.
    #[serde(skip)]
    point: Vec<f64>,
    /// Its features that are not zero.
    #[serde(skip)]
    features: Vec<(usize, f64)>,
}

impl<M: FeatureMap> LinearActionValues<M> {
    /// All weights zero.
    pub fn new(map: M, actions: usize) -> Self {
        let weights = vec![0.0; map.dimension() * actions];
        Self {
            map,
            actions,
            weights,
            point: Vec::new(),
            features: Vec::new(),
        }
    }

    /// phi.
    pub fn map(&self) -> &M {
        &self.map
    }

    /// The weights, of shape `[dimension, actions]`.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The weights, to be set to where learning should begin.
    pub fn weights_mut(&mut self) -> &mut [f64] {
        &mut self.weights
    }

    fn look(&mut self, observation: &[f32]) {
        self.point.clear();
        self.point.extend(observation.iter().map(|&entry| f64::from(entry)));
        self.features.clear();
        self.map
            .visit(&self.point, &mut |index, value| self.features.push((index, value)));
    }
}

impl<M: FeatureMap> ActionValues for LinearActionValues<M> {
    fn actions(&self) -> usize {
        self.actions
    }

    fn values(&mut self, observation: &[f32], values: &mut [f64]) {
        self.look(observation);
        values.fill(0.0);
        for &(index, feature) in &self.features {
            let weights = &self.weights[index * self.actions..][..self.actions];
            for (value, weight) in values.iter_mut().zip(weights) {
                *value += feature * weight;
            }
        }
    }

    fn step_towards(&mut self, observation: &[f32], action: usize, target: f64, step_size: f64) {
        self.look(observation);
        let weight = |index: usize| index * self.actions + action;
        let terms = self
            .features
            .iter()
            .map(|&(index, feature)| feature * self.weights[weight(index)]);
        let error = target - terms.sum::<f64>();
        for &(index, feature) in &self.features {
            self.weights[weight(index)] += step_size * error * feature;
        }
    }
}

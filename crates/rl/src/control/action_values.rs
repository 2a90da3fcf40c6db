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

/// q(s, a) = phi(s)^T w_a, one weight vector an action (Zhao, section 8.3): what is learnt of one says nothing of the others. With [`OneHot`](crate::OneHot) features it is the
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

/// q(s, a) = phi(s, a)^T w: the features are of state and action together, so that what is learnt of one action may speak for
/// others (Zhao, section 8.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JointActionValues<M> {
    map: M,
    actions: usize,
    /// One a feature.
    weights: Vec<f64>,
    /// The observation in 64 bits, and after it the action.
    #[serde(skip)]
    point: Vec<f64>,
}

impl<M: FeatureMap> JointActionValues<M> {
    /// All weights zero. `map` sees points that are an observation and after it the number of an action.
    pub fn new(map: M, actions: usize) -> Self {
        let weights = vec![0.0; map.dimension()];
        Self {
            map,
            actions,
            weights,
            point: Vec::new(),
        }
    }

    /// The weights, one a feature.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    fn look(&mut self, observation: &[f32]) {
        self.point.clear();
        self.point.extend(observation.iter().map(|&entry| f64::from(entry)));
        self.point.push(0.0);
    }

    /// q of the point, whose last entry becomes `action`.
    fn value(&mut self, action: usize) -> f64 {
        if let Some(last) = self.point.last_mut() {
            *last = action as f64;
        }
        let mut value = 0.0;
        let weights = &self.weights;
        self.map
            .visit(&self.point, &mut |index, feature| value += feature * weights[index]);
        value
    }
}

impl<M: FeatureMap> ActionValues for JointActionValues<M> {
    fn actions(&self) -> usize {
        self.actions
    }

    fn values(&mut self, observation: &[f32], values: &mut [f64]) {
        self.look(observation);
        for (action, value) in values.iter_mut().enumerate() {
            *value = self.value(action);
        }
    }

    fn step_towards(&mut self, observation: &[f32], action: usize, target: f64, step_size: f64) {
        self.look(observation);
        let step = step_size * (target - self.value(action));
        let weights = &mut self.weights;
        self.map
            .visit(&self.point, &mut |index, feature| weights[index] += step * feature);
    }
}

//! q(s, a) of every state and action.

use serde::{Serialize, Serializer};

use crate::model::Model;

/// Action values, state by state. Serialised as one list a state.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionValues {
    /// Entries of state s: `starts[s]..starts[s + 1]`. Length |S| + 1.
    starts: Vec<u32>,
    values: Vec<f64>,
}

impl ActionValues {
    /// q(s, a) = r(s, a) + gamma sum p(s'|s, a) v(s') for all states and actions, from `values` of length |S|.
    pub fn from_values(model: &impl Model, discount: f64, values: &[f64]) -> Self {
        let mut starts = Vec::with_capacity(model.states() + 1);
        let mut q = Vec::new();
        starts.push(0);
        for state in 0..model.states() {
            q.extend((0..model.actions(state)).map(|action| model.action_value(state, action, discount, values)));
            starts.push(q.len() as u32);
        }
        Self { starts, values: q }
    }

    /// q(s, .) of one state, by action index; empty where the state is terminal.
    ///
    /// # Panics
    /// Where `state` is not a state of the model.
    pub fn of(&self, state: usize) -> &[f64] {
        &self.values[self.starts[state] as usize..self.starts[state + 1] as usize]
    }

    /// q(s, .) state by state.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.starts
            .windows(2)
            .map(|bounds| &self.values[bounds[0] as usize..bounds[1] as usize])
    }
}

impl Serialize for ActionValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

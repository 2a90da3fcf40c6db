//! What simulation draws rewards from. Only their mean r(s, a) enters the Bellman equations.

/// Rewards finer than r(s, a): a part that depends on the successor, and a random part that does not.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RewardSamples {
    /// r(s, a, s') of each stored transition.
    pub(crate) of_transition: Vec<f64>,
    /// Rewards drawn from p(r | s, a) of row i: `starts[i]..starts[i + 1]`. Length rows + 1.
    pub(crate) starts: Vec<u32>,
    /// Possible rewards.
    pub(crate) reward: Vec<f64>,
    /// Their probabilities, which sum to one in each row that has any.
    pub(crate) probability: Vec<f64>,
}

//! Demonstrations of Zhao's book that are set up in their own way.

mod deep_q_learning;

pub use deep_q_learning::{DeepQLearning, SampledDeepQLearning, sampled_deep_q_learning};

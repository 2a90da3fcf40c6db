//! Demonstrations of Zhao's book that are set up in their own way.

mod baseline;
mod deep_q_learning;
mod importance_sampling;

pub use baseline::{gradient_variance, optimal_baseline};
pub use deep_q_learning::{DeepQLearning, SampledDeepQLearning, sampled_deep_q_learning};
pub use importance_sampling::{SampledMeans, importance_sampling, importance_variance};

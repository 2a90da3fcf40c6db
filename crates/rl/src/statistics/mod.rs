//! Evaluation that can be trusted with few runs (Agarwal, Schwarzer, Castro, Courville and Bellemare 2021, "Deep
//! reinforcement learning at the edge of the statistical precipice").
//!
//! A handful of runs says little, and the mean of their scores does not say how little. So what is reported comes with
//! an interval that is to hold the true value in 95 of 100 repetitions of the experiment: the percentiles of what the
//! statistic is in resampled experiments ([`bootstrap`]).
//!
//! | what | tells |
//! |---|---|
//! | [`interquartile_mean`] | the score of a typical run; neither the best nor the worst can move it far |
//! | [`optimality_gap`] | how much is missing to a score that counts as solved |
//! | [`performance_profile`] | the share of runs above any score: the whole distribution |
//! | [`probability_of_improvement`] | how likely one algorithm does better than another |
//!
//! ```
//! use etude_rl::statistics::{Scores, bootstrap, interquartile_mean};
//! use etude_train::Seed;
//!
//! // Two tasks, five runs of each.
//! let scores = Scores::new(&[[0.9, 0.8, 0.95, 0.1, 0.85], [0.4, 0.5, 0.45, 0.55, 0.6]])?;
//! let estimate = bootstrap(&scores, Seed(1), interquartile_mean);
//! assert!((estimate.value - 0.625).abs() < 1e-12);
//! assert!(estimate.interval.low < 0.625 && 0.625 < estimate.interval.high);
//! # Ok::<(), etude_rl::RlError>(())
//! ```

mod bootstrap;
mod improvement;
mod profile;
mod scores;

pub use bootstrap::{Estimate, Interval, bootstrap};
pub use improvement::probability_of_improvement;
pub use profile::performance_profile;
pub use scores::{Scores, interquartile_mean, optimality_gap};

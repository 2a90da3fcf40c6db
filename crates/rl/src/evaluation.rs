//! Playing episodes that are the same for every policy.

use crate::agent::Policy;
use crate::error::RlError;
use crate::vector::{Batch, VectorEnv};

/// What the episodes gave, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// Sums of rewards, without discount.
    pub returns: Vec<f64>,
    /// Numbers of steps.
    pub lengths: Vec<u32>,
    /// How many episodes were still going on when the patience was over; their returns are what had been earned until then.
    pub unfinished: usize,
}

impl Evaluation {
    /// The mean return.
    pub fn mean(&self) -> f64 {
        self.returns.iter().sum::<f64>() / self.returns.len() as f64
    }

    /// The standard deviation of the returns, as a population.
    pub fn standard_deviation(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.returns.iter().map(|value| (value - mean) * (value - mean)).sum();
        (squares / self.returns.len() as f64).sqrt()
    }

    /// The mean number of steps.
    pub fn mean_length(&self) -> f64 {
        self.lengths.iter().map(|&length| f64::from(length)).sum::<f64>() / self.lengths.len() as f64
    }
}

/// Plays one episode in each of `envs`, which begin as seed, seed + 1, ... say, and cuts those off that take more than
/// `patience` steps. Each environment counts with one episode, so that short ones do not count more often.
///
/// # Errors
/// The environments fail.
pub fn evaluate(
    envs: &mut dyn VectorEnv,
    policy: &mut dyn Policy,
    seed: u64,
    patience: u32,
) -> Result<Evaluation, RlError> {
    let count = envs.count();
    let mut batch = Batch::for_envs(envs);
    let mut actions = vec![0.0; count * envs.action_space().length()];
    let mut evaluation = Evaluation {
        returns: vec![0.0; count],
        lengths: vec![0; count],
        unfinished: count,
    };
    let (mut over, mut ended) = (vec![false; count], vec![false; count]);
    envs.reset(Some(seed), &mut batch)?;
    for _ in 0..patience {
        policy.act(&batch.observations, &mut actions);
        envs.step(&actions, &mut batch)?;
        for index in 0..count {
            ended[index] = batch.transitions[index].ends();
            if over[index] {
                continue;
            }
            evaluation.returns[index] += batch.rewards[index];
            evaluation.lengths[index] += 1;
            if ended[index] {
                over[index] = true;
                evaluation.unfinished -= 1;
            }
        }
        if evaluation.unfinished == 0 {
            break;
        }
        // What comes after the episode that counts is played for company.
        envs.reset_where(&ended, &mut batch)?;
    }
    Ok(evaluation)
}

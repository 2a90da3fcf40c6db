//! Exploration by noise on actions.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// What is added to actions between -1 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Noise {
    /// Draws that have nothing to do with one another, from a normal distribution of this deviation (Fujimoto et al. 2018).
    Gaussian {
        /// The deviation.
        deviation: f32,
    },
    /// Ornstein and Uhlenbeck's process (1930), which stays on one side for a while:
    /// x <- x - theta x dt + sigma sqrt(dt) N(0, 1). Its deviation in the long run is sigma / sqrt(2 theta - theta^2 dt).
    OrnsteinUhlenbeck {
        /// How strongly it is drawn to zero.
        theta: f32,
        /// How strongly it is pushed.
        sigma: f32,
        /// dt. The paper does not say; with 1, its constants make a deviation of 0.38.
        time_step: f32,
    },
}

/// The noise of some environments in the course of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseProcess {
    noise: Noise,
    /// x, shape `[n, a]`.
    state: Vec<f32>,
}

impl NoiseProcess {
    /// For so many numbers of all environments together.
    pub fn new(noise: Noise, numbers: usize) -> Self {
        Self {
            noise,
            state: vec![0.0; numbers],
        }
    }

    /// Goes on by one step, and gives the noise of it: shape `[n, a]`.
    pub fn step(&mut self, random: &mut ChaCha8Rng) -> &[f32] {
        for x in &mut self.state {
            let normal: f32 = StandardNormal.sample(random);
            *x = match self.noise {
                Noise::Gaussian { deviation } => deviation * normal,
                Noise::OrnsteinUhlenbeck {
                    theta,
                    sigma,
                    time_step,
                } => *x - theta * *x * time_step + sigma * time_step.sqrt() * normal,
            };
        }
        &self.state
    }

    /// Begins again in one environment, whose numbers these are: its episode is over.
    pub fn restart(&mut self, numbers: std::ops::Range<usize>) {
        self.state[numbers].fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use etude_train::Seed;

    use super::*;

    fn moments(noise: Noise) -> [f64; 2] {
        let (mut random, mut process) = (Seed(1).stream("noise"), NoiseProcess::new(noise, 100));
        let (mut squares, mut products, mut count, mut last) = (0.0, 0.0, 0.0, vec![0.0; 100]);
        for step in 0..2000 {
            let now = process.step(&mut random);
            if step >= 100 {
                for (&now, &last) in now.iter().zip(&last) {
                    squares += f64::from(now * now);
                    products += f64::from(now * last);
                    count += 1.0;
                }
            }
            last.copy_from_slice(now);
        }
        [(squares / count).sqrt(), products / squares]
    }

    #[test]
    fn independent_draws_are_independent() {
        let [deviation, correlation] = moments(Noise::Gaussian { deviation: 0.1 });
        assert!((deviation - 0.1).abs() < 2e-3, "{deviation}");
        assert!(correlation.abs() < 0.01, "{correlation}");
    }

    #[test]
    fn the_process_has_the_deviation_and_the_memory_of_its_equation() {
        for (time_step, expected) in [(1.0, 0.3797), (0.01, 0.3653)] {
            let [deviation, correlation] = moments(Noise::OrnsteinUhlenbeck {
                theta: 0.15,
                sigma: 0.2,
                time_step,
            });
            // With a short time step it takes long to reach its deviation: sqrt(1 - exp(-2 theta t)) of it so far.
            if time_step > 0.5 {
                assert!((deviation - expected).abs() < 0.01, "{deviation}");
            }
            assert!(
                (correlation - f64::from(1.0 - 0.15 * time_step)).abs() < 0.01,
                "{correlation}"
            );
        }
    }

    #[test]
    fn it_begins_again_with_an_episode() {
        let mut process = NoiseProcess::new(Noise::Gaussian { deviation: 1.0 }, 4);
        process.step(&mut Seed(1).stream("noise"));
        process.restart(2..4);
        assert!(process.state[..2].iter().all(|&x| x != 0.0));
        assert_eq!(process.state[2..], [0.0, 0.0]);
    }
}

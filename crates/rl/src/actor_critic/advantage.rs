//! How much better actions were than what was to be expected.

use crate::vector::Transition;

/// What followed a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ending {
    /// The episode goes on with the next step.
    Continues,
    /// Nothing that is worth anything.
    Terminated,
    /// A limit has cut the episode off, at an observation of this value.
    Truncated(f32),
    /// It was no step.
    Ghost,
}

impl Ending {
    /// Of a transition, whose last observation is worth `last_value` where the episode was truncated.
    pub fn new(transition: Transition, last_value: f32) -> Self {
        match transition {
            Transition::Continues => Self::Continues,
            Transition::Terminated => Self::Terminated,
            Transition::Truncated => Self::Truncated(last_value),
            Transition::Ghost => Self::Ghost,
        }
    }
}

/// Generalised advantage estimation (Schulman et al. 2016, equation 16), backwards in time in each of `n` environments:
///
/// ```text
/// delta_t = r_t + gamma v(s_t+1) - v(s_t)          A_t = delta_t + gamma lambda A_t+1
/// ```
///
/// `rewards`, `endings` and `advantages` have the shape `[t, n]`, and `values` the shape `[t + 1, n]`: the last row is of the
/// observations after the last step. What is no step has the advantage 0.
pub fn generalized_advantages(
    rewards: &[f32],
    endings: &[Ending],
    values: &[f32],
    [discount, lambda]: [f64; 2],
    advantages: &mut [f32],
) {
    let envs = values.len() - rewards.len();
    for env in 0..envs {
        let mut after = 0.0;
        for place in (env..rewards.len()).step_by(envs).rev() {
            let (next, carried) = match endings[place] {
                Ending::Continues => (values[place + envs], after),
                Ending::Terminated => (0.0, 0.0),
                Ending::Truncated(value) => (value, 0.0),
                Ending::Ghost => {
                    (after, advantages[place]) = (0.0, 0.0);
                    continue;
                }
            };
            let error = f64::from(rewards[place]) + discount * f64::from(next) - f64::from(values[place]);
            after = error + discount * lambda * carried;
            advantages[place] = after as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// See `scripts/rl_actor_critic_fixtures.py`.
    #[derive(Deserialize)]
    struct Fixtures {
        gae: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        gamma: f64,
        gae_lambda: f64,
        rewards: Vec<Vec<f32>>,
        values: Vec<Vec<f32>>,
        terminated: Vec<Vec<bool>>,
        truncated: Vec<Vec<bool>>,
        final_values: Vec<Vec<f32>>,
        last_values: Vec<f32>,
        advantages: Vec<Vec<f32>>,
    }

    #[test]
    fn advantages_are_stable_baselines() {
        let fixtures: Fixtures = serde_json::from_str(include_str!("../../tests/fixtures/actor_critic.json")).unwrap();
        assert!(fixtures.gae.len() >= 2);
        for case in fixtures.gae {
            let endings = case.terminated.concat().into_iter().zip(case.truncated.concat());
            let endings: Vec<Ending> = endings
                .zip(case.final_values.concat())
                .map(|((terminated, truncated), value)| match (terminated, truncated) {
                    (true, _) => Ending::Terminated,
                    (false, true) => Ending::Truncated(value),
                    (false, false) => Ending::Continues,
                })
                .collect();
            let rewards = case.rewards.concat();
            let values = [case.values.concat(), case.last_values].concat();
            let mut advantages = vec![f32::NAN; rewards.len()];
            let constants = [case.gamma, case.gae_lambda];
            generalized_advantages(&rewards, &endings, &values, constants, &mut advantages);
            for (ours, theirs) in advantages.iter().zip(case.advantages.concat()) {
                assert!((ours - theirs).abs() < 1e-5 * (1.0 + theirs.abs()), "{ours} {theirs}");
            }
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "halves and small whole numbers are exact")]
    fn what_is_no_step_separates_episodes() {
        let endings = [
            Ending::Continues,
            Ending::Truncated(4.0),
            Ending::Ghost,
            Ending::Continues,
        ];
        let mut advantages = [f32::NAN; 4];
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        generalized_advantages(&[1.0; 4], &endings, &values, [0.5, 1.0], &mut advantages);
        assert_eq!(advantages, [1.5, 1.0, 0.0, 1.0]);
    }
}

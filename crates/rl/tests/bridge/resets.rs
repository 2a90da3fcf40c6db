//! When episodes begin and end.

use etude_rl::{Autoreset, Batch, Env, Policy, Space, Step, TimeLimit, Transition, Vector, VectorEnv, evaluate};

use super::{actions, begun, python, start};

/// In every mode of resetting, what comes through the process is what our own environments do: see `Counter` in
/// `bridge_envs.py`.
#[test]
fn every_mode_of_resetting_means_the_same() {
    let Some(python) = python() else { return };
    for mode in [Autoreset::NextStep, Autoreset::SameStep, Autoreset::Disabled] {
        let mut envs = start(&python, "bridge_envs:Counter-v0", 5, mode).unwrap();
        assert_eq!(envs.max_episode_steps(), Some(4));
        let ours = (0..5).map(|_| TimeLimit::new(Counter::default(), 4)).collect();
        let mut ours = Vector::new(ours, mode);
        let (mut batch, mut expected) = (Batch::for_envs(&envs), Batch::for_envs(&ours));
        let mut seen = Vec::new();
        for seed in [10, 11] {
            envs.reset(Some(seed), &mut batch).unwrap();
            ours.reset(Some(seed), &mut expected).unwrap();
            assert_eq!(batch, expected, "{mode:?}");
            for (step, actions) in actions(&Space::Discrete(3), 5, 30).into_iter().enumerate() {
                envs.step(&actions, &mut batch).unwrap();
                ours.step(&actions, &mut expected).unwrap();
                assert_eq!(batch, expected, "{mode:?}, step {step}");
                seen.extend_from_slice(&batch.transitions);
                // Without it, the next episode begins in the next step; the second of them begins early.
                let mut which: Vec<bool> = batch.transitions.iter().map(|transition| transition.ends()).collect();
                which[1] |= step % 7 == 0;
                if mode == Autoreset::Disabled || step % 2 == 0 {
                    envs.reset_where(&which, &mut batch).unwrap();
                    ours.reset_where(&which, &mut expected).unwrap();
                    assert_eq!(batch, expected, "{mode:?}, step {step}");
                }
            }
        }
        for transition in [Transition::Continues, Transition::Terminated, Transition::Truncated] {
            assert!(seen.contains(&transition), "{mode:?}: {transition:?}");
        }
        assert_eq!(seen.contains(&Transition::Ghost), mode == Autoreset::NextStep);
    }
}

/// The counter of `bridge_envs.py`.
struct Counter {
    observations: Space,
    actions: Space,
    length: u64,
    steps: u64,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            observations: Space::symmetric(vec![f32::INFINITY; 2]),
            actions: Space::Discrete(3),
            length: 0,
            steps: 0,
        }
    }
}

impl Env for Counter {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        if let Some(seed) = seed {
            self.length = seed % 4 + 2;
        }
        self.steps = 0;
        observation.fill(0.0);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        self.steps += 1;
        observation.copy_from_slice(&[self.steps as f32, action[0]]);
        Step {
            reward: self.steps as f64 + 0.1 * f64::from(action[0]),
            terminated: self.steps == self.length,
            truncated: false,
        }
    }
}

#[test]
fn a_time_limit_of_gymnasium_truncates() {
    let Some(python) = python() else { return };
    let (mut envs, mut batch) = begun(&python, "MountainCar-v0");
    assert_eq!(envs.max_episode_steps(), Some(200));
    for step in 1..=200 {
        envs.step(&[1.0], &mut batch).unwrap();
        let expected = if step == 200 {
            Transition::Truncated
        } else {
            Transition::Continues
        };
        assert_eq!(batch.transitions, [expected], "step {step}");
    }
}

/// Goes its own way whatever it sees.
struct Stubborn;

impl Policy for Stubborn {
    fn act(&mut self, _: &[f32], actions: &mut [f32]) {
        actions.fill(1.0);
    }
}

/// Gymnasium refuses steps after the end of an episode where it does not reset by itself.
#[test]
fn a_policy_is_judged_whatever_the_mode() {
    let Some(python) = python() else { return };
    for mode in [Autoreset::NextStep, Autoreset::SameStep, Autoreset::Disabled] {
        let mut envs = start(&python, "bridge_envs:Counter-v0", 4, mode).unwrap();
        let evaluation = evaluate(&mut envs, &mut Stubborn, 12, 100).unwrap();
        assert_eq!(evaluation.lengths, [2, 3, 4, 4], "{mode:?}");
        for (sum, expected) in evaluation.returns.iter().zip([3.2, 6.3, 10.4, 10.4]) {
            assert!((sum - expected).abs() < 1e-12, "{mode:?}: {sum}");
        }
    }
}

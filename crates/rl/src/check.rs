//! Looking an environment over, as Gymnasium's checker does.

use etude_train::Seed;

use crate::env::Env;
use crate::space::Space;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It holds, but is likely not what was meant.
    Doubtful(String),
    /// It does not hold.
    Fails(String),
}

/// One check, in words, and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What should hold.
    pub rule: &'static str,
    /// Whether it does.
    pub verdict: Verdict,
}

/// Steps that are taken to see whether the rules hold.
const STEPS: usize = 2000;

/// Looks `env` over: its spaces, that what it shows belongs to them, that rewards are numbers, and that a seed decides
/// everything.
pub fn check_env(env: &mut dyn Env) -> Vec<Check> {
    let check = |rule, verdict| Check { rule, verdict };
    let mut checks = vec![
        check("the observation space makes sense", space(env.observation_space())),
        check("the action space makes sense", action_space(env.action_space())),
    ];
    if checks.iter().any(|check| matches!(check.verdict, Verdict::Fails(_))) {
        // Nothing can be drawn from such a space.
        return checks;
    }
    let first = play(env, 7);
    let again = play(env, 7);
    let other = play(env, 8);
    checks.push(check(
        "observations belong to the observation space",
        first.outside.clone().map_or(Verdict::Holds, Verdict::Fails),
    ));
    checks.push(check(
        "rewards are finite numbers",
        first.reward.clone().map_or(Verdict::Holds, Verdict::Fails),
    ));
    let differs = first.trace.iter().zip(&again.trace).position(|(a, b)| a != b);
    checks.push(check(
        "the same seed and actions give the same episodes",
        differs.map_or(Verdict::Holds, |entry| {
            // A step leaves its observation, its reward and its ending in the trace.
            let step = entry / (env.observation_space().length() + 2);
            Verdict::Fails(format!("two runs with seed 7 differ at step {step} of {STEPS}"))
        }),
    ));
    checks.push(check(
        "another seed gives other episodes",
        if first.trace == other.trace {
            Verdict::Doubtful("seeds 7 and 8 give the same episodes under the same actions".into())
        } else {
            Verdict::Holds
        },
    ));
    checks.push(check(
        "episodes end",
        if first.ends > 0 {
            Verdict::Holds
        } else {
            Verdict::Doubtful(format!("none did in {STEPS} steps of random actions"))
        },
    ));
    checks
}

fn space(space: &Space) -> Verdict {
    match space {
        Space::Discrete(0) => Verdict::Fails("it is empty".into()),
        Space::MultiDiscrete(counts) if counts.is_empty() || counts.contains(&0) => {
            Verdict::Fails(format!("its counts are {counts:?}; expected positive numbers"))
        }
        Space::Box { low, high } => {
            if low.is_empty() || low.len() != high.len() {
                let lengths = (low.len(), high.len());
                return Verdict::Fails(format!("its bounds have {} and {} entries", lengths.0, lengths.1));
            }
            let wrong = (low.iter().zip(high)).position(|(low, high)| low.is_nan() || high.is_nan() || low > high);
            let pinned = low.iter().zip(high).position(|(low, high)| low >= high);
            match (wrong, pinned) {
                (Some(entry), _) => {
                    Verdict::Fails(format!("entry {entry} lies between {} and {}", low[entry], high[entry]))
                }
                (None, Some(entry)) => Verdict::Doubtful(format!("entry {entry} can only be {}", low[entry])),
                (None, None) => Verdict::Holds,
            }
        }
        Space::Discrete(_) | Space::MultiDiscrete(_) => Verdict::Holds,
    }
}

fn action_space(actions: &Space) -> Verdict {
    match (space(actions), actions) {
        (Verdict::Holds, Space::Box { low, high }) => {
            if low.iter().chain(high).any(|bound| bound.is_infinite()) {
                return Verdict::Doubtful("an entry has no bound".into());
            }
            if low.iter().zip(high).any(|(low, high)| (low + high).abs() > 0.0) {
                return Verdict::Doubtful("its bounds are not symmetric, which many policies take for granted".into());
            }
            Verdict::Holds
        }
        (verdict, _) => verdict,
    }
}

/// What was seen.
#[derive(Default)]
struct Played {
    /// Observations, rewards and endings, bit by bit.
    trace: Vec<u64>,
    /// The first observation that did not belong.
    outside: Option<String>,
    /// The first reward that was no number.
    reward: Option<String>,
    ends: usize,
}

/// Plays with random actions, the same whatever the seed.
fn play(env: &mut dyn Env, seed: u64) -> Played {
    let mut random = Seed(0).stream("actions");
    let (observations, actions) = (env.observation_space().clone(), env.action_space().clone());
    let mut observation = vec![f32::NAN; observations.length()];
    let mut action = vec![0.0; actions.length()];
    let mut played = Played::default();
    env.reset(Some(seed), &mut observation);
    for step in 0..STEPS {
        played
            .trace
            .extend(observation.iter().map(|entry| u64::from(entry.to_bits())));
        if played.outside.is_none() && !observations.contains(&observation) {
            played.outside = Some(format!("{observation:?} at step {step} does not"));
        }
        actions.sample(&mut random, &mut action);
        let taken = env.step(&action, &mut observation);
        if played.reward.is_none() && !taken.reward.is_finite() {
            played.reward = Some(format!("that of step {step} is {}", taken.reward));
        }
        let ending = u64::from(taken.terminated) + 2 * u64::from(taken.truncated);
        played.trace.extend([taken.reward.to_bits(), ending]);
        if taken.ends() {
            played.ends += 1;
            env.reset(None, &mut observation);
        }
    }
    played
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Step;
    use crate::registry::environments;

    #[test]
    fn every_environment_of_ours_is_sound() {
        for known in environments() {
            for check in check_env(&mut *known.make().unwrap()) {
                assert!(!matches!(check.verdict, Verdict::Fails(_)), "{}: {check:?}", known.id);
            }
        }
    }

    /// An environment that is wrong in one way.
    struct Wrong {
        observations: Space,
        actions: Space,
        fault: Fault,
        resets: usize,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        Outside,
        Reward,
        Memory,
    }

    impl Env for Wrong {
        fn observation_space(&self) -> &Space {
            &self.observations
        }

        fn action_space(&self) -> &Space {
            &self.actions
        }

        fn reset(&mut self, _: Option<u64>, observation: &mut [f32]) {
            self.resets += 1;
            observation[0] = if self.fault == Fault::Memory {
                (self.resets % 2) as f32
            } else {
                0.0
            };
        }

        fn step(&mut self, _: &[f32], observation: &mut [f32]) -> Step {
            observation[0] = if self.fault == Fault::Outside { 2.0 } else { 0.0 };
            let reward = if self.fault == Fault::Reward { f64::NAN } else { 0.0 };
            Step {
                reward,
                terminated: false,
                truncated: false,
            }
        }
    }

    fn fails(fault: Fault, actions: Space) -> Vec<&'static str> {
        let observations = Space::Discrete(2);
        let mut env = Wrong {
            observations,
            actions,
            fault,
            resets: 0,
        };
        let checks = check_env(&mut env);
        checks
            .iter()
            .filter(|check| matches!(check.verdict, Verdict::Fails(_)))
            .map(|check| check.rule)
            .collect()
    }

    #[test]
    fn what_is_wrong_is_found() {
        let actions = Space::Discrete(2);
        assert_eq!(fails(Fault::None, actions.clone()), [""; 0]);
        assert_eq!(
            fails(Fault::Outside, actions.clone()),
            ["observations belong to the observation space"]
        );
        assert_eq!(fails(Fault::Reward, actions.clone()), ["rewards are finite numbers"]);
        assert_eq!(
            fails(Fault::Memory, actions),
            ["the same seed and actions give the same episodes"]
        );
        assert_eq!(fails(Fault::None, Space::Discrete(0)), ["the action space makes sense"]);
        let crossed = Space::Box {
            low: vec![1.0],
            high: vec![0.0],
        };
        assert_eq!(fails(Fault::None, crossed), ["the action space makes sense"]);
    }
}

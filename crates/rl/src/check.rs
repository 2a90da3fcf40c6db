//! Looking an environment over, as Gymnasium's checker does.

use etude_train::Seed;

use crate::error::RlError;
use crate::space::Space;
use crate::vector::{Batch, VectorEnv};

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

/// Looks `envs` over: their spaces, that what they show belongs to them, that rewards are numbers, and that a seed decides
/// everything. Whatever their way of resetting, an episode begins where one has ended. For an [`Env`](crate::Env) of your
/// own, join it into a [`Vector`](crate::Vector).
///
/// # Errors
/// The environments run in another program, which has failed.
pub fn check_env(envs: &mut dyn VectorEnv) -> Result<Vec<Check>, RlError> {
    let check = |rule, verdict| Check { rule, verdict };
    let mut checks = vec![
        check("the observation space makes sense", space(envs.observation_space())),
        check("the action space makes sense", action_space(envs.action_space())),
    ];
    if checks.iter().any(|check| matches!(check.verdict, Verdict::Fails(_))) {
        // Nothing can be drawn from such a space.
        return Ok(checks);
    }
    let first = play(envs, 7)?;
    let again = play(envs, 7)?;
    let other = play(envs, 8)?;
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
            // A step leaves its observations, its rewards and its endings in the trace.
            let step = entry / (envs.count() * (envs.observation_space().length() + 2));
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
    Ok(checks)
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
        Space::Masked { observation, actions } => match &**observation {
            Space::Masked { .. } => Verdict::Fails("it has a mask of actions twice".into()),
            _ if *actions == 0 => Verdict::Fails("its mask is of no actions".into()),
            observation => self::space(observation),
        },
        Space::Discrete(_) | Space::MultiDiscrete(_) | Space::Pixels { .. } => Verdict::Holds,
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
        (_, Space::Masked { .. }) => Verdict::Fails("it has a mask of actions, which only observations have".into()),
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
fn play(envs: &mut dyn VectorEnv, seed: u64) -> Result<Played, RlError> {
    let mut random = Seed(0).stream("actions");
    let (observations, actions) = (envs.observation_space().clone(), envs.action_space().clone());
    let mut batch = Batch::for_envs(envs);
    batch.observations.fill(f32::NAN);
    let mut chosen = vec![0.0; envs.count() * actions.length()];
    let mut played = Played::default();
    envs.reset(Some(seed), &mut batch)?;
    for step in 0..STEPS {
        played
            .trace
            .extend(batch.observations.iter().map(|entry| u64::from(entry.to_bits())));
        let mut shown = batch.observations.chunks_exact(observations.length());
        if played.outside.is_none()
            && let Some(outside) = shown.find(|observation| !observations.contains(observation))
        {
            // Of a picture, the first numbers are enough.
            let (some, rest) = outside.split_at(outside.len().min(8));
            let more = if rest.is_empty() { "" } else { " and so on" };
            played.outside = Some(format!("{some:?}{more} at step {step} does not"));
        }
        for action in chosen.chunks_exact_mut(actions.length()) {
            actions.sample(&mut random, action);
        }
        envs.step(&chosen, &mut batch)?;
        if played.reward.is_none()
            && let Some(reward) = batch.rewards.iter().find(|reward| !reward.is_finite())
        {
            played.reward = Some(format!("that of step {step} is {reward}"));
        }
        played.trace.extend(batch.rewards.iter().map(|reward| reward.to_bits()));
        played
            .trace
            .extend(batch.transitions.iter().map(|&ending| ending as u64));
        let ended: Vec<bool> = batch.transitions.iter().map(|transition| transition.ends()).collect();
        if ended.contains(&true) {
            played.ends += 1;
            envs.reset_where(&ended, &mut batch)?;
        }
    }
    Ok(played)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, Step};
    use crate::registry::environments;
    use crate::vector::{Autoreset, Vector};

    #[test]
    fn every_environment_of_ours_is_sound() {
        for known in environments() {
            let mut envs = known.make_vector(1, Autoreset::Disabled).unwrap();
            for check in check_env(&mut *envs).unwrap() {
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
        let env = Wrong {
            observations,
            actions,
            fault,
            resets: 0,
        };
        let checks = check_env(&mut Vector::new(vec![env], Autoreset::Disabled)).unwrap();
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
        let masked = Space::Masked {
            observation: Box::new(Space::Discrete(2)),
            actions: 2,
        };
        assert_eq!(fails(Fault::None, masked.clone()), ["the action space makes sense"]);
        assert_eq!(space(&masked), Verdict::Holds);
        for (observation, actions) in [(masked, 2), (Space::Discrete(2), 0), (Space::Discrete(0), 2)] {
            let observation = Box::new(observation);
            let wrong = Space::Masked { observation, actions };
            assert!(matches!(space(&wrong), Verdict::Fails(_)), "{wrong:?}");
        }
    }
}

//! Wrappers: against Gymnasium 1.4's, which see the same episodes, and what must hold of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use etude_rl::wrappers::{
    ActionMask, ActionRepeat, ClipAction, ClipObservation, ClipReward, EpisodeStatistics, FrameStack,
    ObservationNormalization, Pixels, RescaleAction, RewardNormalization, RunningMoments, TimeLimit,
};
use etude_rl::{Autoreset, Batch, Dynamics as _, Env, Space, Step, Vector, VectorEnv as _, Verdict, check_env, make};
use etude_train::Seed;
use proptest::prelude::*;
use serde::Deserialize;

/// See `scripts/rl_wrapper_fixtures.py`.
#[derive(Deserialize)]
struct Fixtures {
    script: Vec<Vec<Row>>,
    actions: Vec<[f32; 2]>,
    discount: f64,
    traces: BTreeMap<String, Vec<Row>>,
    moments: BTreeMap<String, RunningMoments>,
    returns: Vec<f64>,
    lengths: Vec<u32>,
}

/// What a reset or a step gave.
#[derive(Debug, Clone, Deserialize)]
struct Row {
    observation: Vec<f32>,
    #[serde(default)]
    reward: f64,
    #[serde(default)]
    terminated: bool,
    #[serde(default)]
    truncated: bool,
}

fn fixtures() -> Fixtures {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wrappers.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Plays the script over and over; shows the action behind each observation. It cannot be saved.
struct Scripted {
    script: Vec<Vec<Row>>,
    observation_space: Space,
    action_space: Space,
    episode: usize,
    time: usize,
}

impl Scripted {
    fn new(fixtures: &Fixtures) -> Self {
        Self {
            script: fixtures.script.clone(),
            observation_space: Space::symmetric(vec![f32::INFINITY; 5]),
            action_space: Space::Box {
                low: vec![-1.0, -2.0],
                high: vec![1.0, 0.5],
            },
            // The first reset begins the first episode.
            episode: fixtures.script.len() - 1,
            time: 0,
        }
    }

    fn show(&self, action: &[f32], observation: &mut [f32]) {
        observation[..3].copy_from_slice(&self.script[self.episode][self.time].observation);
        observation[3..].copy_from_slice(action);
    }
}

impl Env for Scripted {
    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, _: Option<u64>, observation: &mut [f32]) {
        (self.episode, self.time) = ((self.episode + 1) % self.script.len(), 0);
        self.show(&[0.0; 2], observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        self.time += 1;
        self.show(action, observation);
        let row = &self.script[self.episode][self.time];
        Step {
            reward: row.reward,
            terminated: row.terminated,
            truncated: row.truncated,
        }
    }
}

/// Once through the script.
fn play(env: &mut impl Env, fixtures: &Fixtures) -> Vec<Row> {
    let mut observation = vec![f32::NAN; env.observation_space().length()];
    let mut actions = fixtures.actions.iter();
    let mut rows = Vec::new();
    for _ in 0..fixtures.script.len() {
        env.reset(None, &mut observation);
        rows.push(Row {
            observation: observation.clone(),
            reward: 0.0,
            terminated: false,
            truncated: false,
        });
        loop {
            let step = env.step(actions.next().unwrap(), &mut observation);
            rows.push(Row {
                observation: observation.clone(),
                reward: step.reward,
                terminated: step.terminated,
                truncated: step.truncated,
            });
            if step.ends() {
                break;
            }
        }
    }
    rows
}

/// Observations may differ by `rounding`, rewards by the 64 bits of theirs.
fn agree(env: &mut impl Env, name: &str, rounding: f32, fixtures: &Fixtures) {
    let (found, expected) = (play(env, fixtures), &fixtures.traces[name]);
    assert_eq!(found.len(), expected.len(), "{name}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.observation.len(), expected.observation.len(), "{name}");
        for (ours, theirs) in found.observation.iter().zip(&expected.observation) {
            assert!(
                (ours - theirs).abs() <= rounding * theirs.abs().max(1.0),
                "{name}, row {index}: {ours}, expected {theirs}"
            );
        }
        assert!(
            (found.reward - expected.reward).abs() <= 1e-12 * expected.reward.abs().max(1.0),
            "{name}, row {index}: reward {}, expected {}",
            found.reward,
            expected.reward
        );
        assert_eq!(
            (found.terminated, found.truncated),
            (expected.terminated, expected.truncated),
            "{name}, row {index}"
        );
    }
}

#[test]
fn wrappers_do_what_gymnasiums_do() {
    let fixtures = fixtures();
    let scripted = || Scripted::new(&fixtures);
    agree(
        &mut ActionRepeat::new(scripted(), 4).unwrap(),
        "ActionRepeat",
        0.0,
        &fixtures,
    );
    agree(&mut ClipAction::new(scripted()).unwrap(), "ClipAction", 0.0, &fixtures);
    agree(
        &mut ClipReward::new(scripted(), -1.0, 2.5).unwrap(),
        "ClipReward",
        0.0,
        &fixtures,
    );
    agree(
        &mut FrameStack::new(scripted(), 3).unwrap(),
        "FrameStack",
        0.0,
        &fixtures,
    );
    agree(
        &mut RescaleAction::new(scripted(), -1.0, 1.0).unwrap(),
        "RescaleAction",
        1e-6,
        &fixtures,
    );
    agree(&mut TimeLimit::new(scripted(), 6), "TimeLimit", 0.0, &fixtures);
}

fn moments_agree(found: &RunningMoments, expected: &RunningMoments, rounding: f64) {
    let entries = |moments: &RunningMoments| [&moments.mean[..], &moments.variance[..], &[moments.count]].concat();
    let (found, expected) = (entries(found), entries(expected));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= rounding * expected.abs(),
            "{found}, expected {expected}"
        );
    }
}

#[test]
fn normalization_learns_what_gymnasiums_does_and_stays_frozen() {
    let fixtures = fixtures();
    let scripted = || Scripted::new(&fixtures);
    // As JSON, as they are saved with a run.
    let saved = |moments: &RunningMoments| serde_json::from_str(&serde_json::to_string(moments).unwrap()).unwrap();

    let mut env = ObservationNormalization::new(scripted()).unwrap();
    agree(&mut env, "ObservationNormalization", 1e-6, &fixtures);
    // Gymnasium begins with a variance of 32 bits.
    moments_agree(env.moments(), &fixtures.moments["observations"], 1e-9);
    let mut frozen = ObservationNormalization::frozen(scripted(), saved(env.moments())).unwrap();
    agree(&mut frozen, "frozen ObservationNormalization", 1e-6, &fixtures);
    assert_eq!(frozen.moments(), env.moments());

    let mut env = RewardNormalization::new(scripted(), fixtures.discount).unwrap();
    agree(&mut env, "RewardNormalization", 0.0, &fixtures);
    moments_agree(env.moments(), &fixtures.moments["rewards"], 1e-12);
    let mut frozen = RewardNormalization::frozen(scripted(), saved(env.moments())).unwrap();
    agree(&mut frozen, "frozen RewardNormalization", 0.0, &fixtures);
    assert_eq!(frozen.moments(), env.moments());
}

#[test]
fn finished_episodes_are_recorded_as_gymnasium_does() {
    let fixtures = fixtures();
    let mut env = EpisodeStatistics::new(Scripted::new(&fixtures));
    play(&mut env, &fixtures);
    // Left before its end.
    let mut observation = [0.0; 5];
    env.reset(None, &mut observation);
    env.step(&[0.0; 2], &mut observation);
    env.reset(None, &mut observation);

    let lengths: Vec<u32> = env.episodes().iter().map(|episode| episode.length).collect();
    assert_eq!(lengths, fixtures.lengths);
    for (episode, expected) in env.episodes().iter().zip(&fixtures.returns) {
        assert!(
            (episode.reward - expected).abs() <= 1e-12 * expected.abs(),
            "{episode:?}, expected {expected}"
        );
    }
    for _ in 0..20 {
        play(&mut env, &fixtures);
    }
    assert_eq!(env.episodes().len(), 100);
}

/// Every wrapper around a pendulum, whose episodes take 50 steps.
fn wrapped_pendulums() -> Vec<(&'static str, Box<dyn Env>)> {
    let pendulum = || TimeLimit::new(make("Pendulum-v1").unwrap(), 50);
    let moments = |length| {
        let mut moments = RunningMoments::new(length);
        moments.update(vec![1.5; length]);
        moments
    };
    vec![
        (
            "ActionMask",
            Box::new(ActionMask::new(ActionRepeat::new(make("Taxi-v4").unwrap(), 2).unwrap()).unwrap()),
        ),
        ("ActionRepeat", Box::new(ActionRepeat::new(pendulum(), 3).unwrap())),
        ("ClipAction", Box::new(ClipAction::new(pendulum()).unwrap())),
        (
            "ClipObservation",
            Box::new(ClipObservation::new(pendulum(), -0.5, 2.0).unwrap()),
        ),
        (
            "ClipReward",
            Box::new(ClipReward::new(pendulum(), -1.0, f64::INFINITY).unwrap()),
        ),
        ("EpisodeStatistics", Box::new(EpisodeStatistics::new(pendulum()))),
        ("FrameStack", Box::new(FrameStack::new(pendulum(), 4).unwrap())),
        (
            "FrameStack of numbers",
            Box::new(FrameStack::new(make("Taxi-v4").unwrap(), 4).unwrap()),
        ),
        (
            "FrameStack of hands",
            Box::new(FrameStack::new(make("Blackjack-v1").unwrap(), 2).unwrap()),
        ),
        (
            "frozen ObservationNormalization",
            Box::new(ObservationNormalization::frozen(pendulum(), moments(3)).unwrap()),
        ),
        (
            "frozen RewardNormalization",
            Box::new(RewardNormalization::frozen(pendulum(), moments(1)).unwrap()),
        ),
        (
            "ObservationNormalization",
            Box::new(ObservationNormalization::new(pendulum()).unwrap()),
        ),
        (
            "RescaleAction",
            Box::new(RescaleAction::new(pendulum(), -1.0, 1.0).unwrap()),
        ),
        (
            "RewardNormalization",
            Box::new(RewardNormalization::new(pendulum(), 0.99).unwrap()),
        ),
        ("TimeLimit", Box::new(TimeLimit::new(pendulum(), 20))),
    ]
}

/// What `steps` steps with random actions give, bit by bit; an episode that is over is followed by the next.
fn trace(env: &mut dyn Env, steps: usize, seed: u64) -> Vec<u64> {
    let mut random = Seed(seed).stream("actions");
    let space = env.action_space().clone();
    let mut action = vec![0.0; space.length()];
    let mut observation = vec![f32::NAN; env.observation_space().length()];
    let mut trace = Vec::new();
    for _ in 0..steps {
        space.sample(&mut random, &mut action);
        let step = env.step(&action, &mut observation);
        trace.extend([step.reward.to_bits(), step.terminated.into(), step.truncated.into()]);
        trace.extend(observation.iter().map(|entry| u64::from(entry.to_bits())));
        if step.ends() {
            env.reset(None, &mut observation);
            trace.extend(observation.iter().map(|entry| u64::from(entry.to_bits())));
        }
    }
    trace
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn whoever_is_loaded_goes_on_as_if_never_saved(before in 0..120_usize, seed in any::<u64>()) {
        let fresh = wrapped_pendulums().into_iter();
        for ((name, mut env), (_, mut loaded)) in wrapped_pendulums().into_iter().zip(fresh) {
            let mut observation = vec![0.0; env.observation_space().length()];
            env.reset(Some(seed), &mut observation);
            trace(&mut env, before, seed);
            let mut state = vec![1, 2, 3];
            prop_assert!(env.save(&mut state), "{name}");
            let mut rest = &state[3..];
            loaded.load(&mut rest).unwrap();
            prop_assert!(rest.is_empty(), "{name}");
            prop_assert_eq!(trace(&mut env, 120, seed ^ 1), trace(&mut loaded, 120, seed ^ 1), "{}", name);
            // What was left out of the state would show in a second one.
            let (mut first, mut second) = (Vec::new(), Vec::new());
            prop_assert!(env.save(&mut first) && loaded.save(&mut second));
            prop_assert_eq!(first, second, "{}", name);
        }
    }
}

#[test]
fn a_state_that_is_cut_off_or_of_another_size_is_refused() {
    for (name, mut env) in wrapped_pendulums() {
        let mut state = Vec::new();
        assert!(env.save(&mut state), "{name}");
        for length in 0..state.len() {
            assert!(
                env.load(&mut &state[..length]).is_err(),
                "{name}: {length} of {}",
                state.len()
            );
        }
    }
    let mut state = Vec::new();
    let pendulum = || make("Pendulum-v1").unwrap();
    assert!(FrameStack::new(pendulum(), 3).unwrap().save(&mut state));
    assert!(FrameStack::new(pendulum(), 4).unwrap().load(&mut &state[..]).is_err());
    state.clear();
    assert!(
        ObservationNormalization::new(make("CartPole-v1").unwrap())
            .unwrap()
            .save(&mut state)
    );
    assert!(
        ObservationNormalization::new(pendulum())
            .unwrap()
            .load(&mut &state[..])
            .is_err()
    );
}

#[test]
fn around_what_cannot_be_saved_nothing_is() {
    let fixtures = fixtures();
    let scripted = || Scripted::new(&fixtures);
    let wrapped: Vec<Box<dyn Env>> = vec![
        Box::new(EpisodeStatistics::new(scripted())),
        Box::new(FrameStack::new(scripted(), 4).unwrap()),
        Box::new(ObservationNormalization::new(scripted()).unwrap()),
        Box::new(RewardNormalization::new(scripted(), 0.9).unwrap()),
        Box::new(TimeLimit::new(scripted(), 5)),
    ];
    for env in wrapped {
        let mut state = vec![7];
        assert!(!env.save(&mut state));
        assert_eq!(state, [7]);
    }
}

#[test]
fn wrapped_environments_are_sound() {
    for (name, env) in wrapped_pendulums() {
        let mut envs = Vector::new(vec![env], Autoreset::Disabled);
        for check in check_env(&mut envs).unwrap() {
            // What is learnt from one episode is seen in the next, though it has the same seed.
            let learns = name.ends_with("Normalization") && !name.starts_with("frozen");
            if learns && check.rule == "the same seed and actions give the same episodes" {
                assert!(matches!(check.verdict, Verdict::Fails(_)), "{name}: {check:?}");
            } else {
                assert!(!matches!(check.verdict, Verdict::Fails(_)), "{name}: {check:?}");
            }
        }
    }
}

/// A taxi whose states, of 200 steps and less, are followed by their masks, whenever the next episode begins.
#[test]
fn masks_follow_observations_in_every_mode_of_resetting() {
    for autoreset in [Autoreset::NextStep, Autoreset::SameStep, Autoreset::Disabled] {
        let taxi = || make("Taxi-v4").unwrap();
        let mut plain = Vector::new(vec![taxi(), taxi()], autoreset);
        let masking = || EpisodeStatistics::new(ActionMask::new(taxi()).unwrap());
        let mut masked = Vector::new(vec![masking(), masking()], autoreset);
        let space = masked.observation_space().clone();
        assert_eq!((space.length(), space.mask_length()), (7, 6));
        let (mut batch, mut shown) = (Batch::for_envs(&plain), Batch::for_envs(&masked));
        let model = etude_rl::toy_text::taxi(false);
        let agree = |states: &[f32], rows: &[f32], which: &dyn Fn(usize) -> bool| {
            for (index, (state, row)) in states.iter().zip(rows.chunks_exact(7)).enumerate() {
                if which(index) {
                    let mut expected = [*state, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
                    assert!(model.action_mask(&(*state as u32), &mut expected[1..]));
                    assert_eq!(row, expected, "{autoreset:?}");
                    assert!(space.contains(row));
                }
            }
        };
        plain.reset(Some(3), &mut batch).unwrap();
        masked.reset(Some(3), &mut shown).unwrap();
        let mut random = Seed(5).stream("actions");
        let (mut actions, mut ends) = ([0.0; 2], 0);
        for _ in 0..1000 {
            agree(&batch.observations, &shown.observations, &|_| true);
            actions.fill_with(|| random.random_range(0..6) as f32);
            plain.step(&actions, &mut batch).unwrap();
            masked.step(&actions, &mut shown).unwrap();
            assert_eq!(
                (&batch.rewards, &batch.transitions),
                (&shown.rewards, &shown.transitions)
            );
            let over: Vec<bool> = batch.transitions.iter().map(|transition| transition.ends()).collect();
            ends += usize::from(over[0]);
            if autoreset == Autoreset::SameStep {
                agree(&batch.final_observations, &shown.final_observations, &|index| {
                    over[index]
                });
            }
            if autoreset == Autoreset::Disabled {
                plain.reset_where(&over, &mut batch).unwrap();
                masked.reset_where(&over, &mut shown).unwrap();
            }
        }
        assert!(ends >= 4, "{ends}");
    }
}

#[test]
fn rescaled_actions_meet_the_bounds_exactly_and_not_numbers_remain() {
    let fixtures = fixtures();
    let mut observation = [0.0; 5];
    let mut env = RescaleAction::new(Scripted::new(&fixtures), -3.0, 0.1).unwrap();
    assert_eq!(
        *env.action_space(),
        Space::Box {
            low: vec![-3.0; 2],
            high: vec![0.1; 2]
        }
    );
    env.reset(None, &mut observation);
    env.step(&[-3.0, 0.1], &mut observation);
    assert_eq!(observation[3..], [-1.0, 0.5]);

    let mut env = ClipAction::new(Scripted::new(&fixtures)).unwrap();
    env.reset(None, &mut observation);
    env.step(&[f32::NAN, f32::NEG_INFINITY], &mut observation);
    assert!(observation[3].is_nan());
    assert_eq!(observation[4..], [-2.0]);
}

#[test]
fn what_makes_no_wrapper_is_refused() {
    let make = |name: &str| make(name).unwrap();
    let error = |result: Result<(), etude_rl::RlError>| result.unwrap_err().to_string();
    let cases = [
        (
            error(ActionMask::new(Pixels::new(make("Taxi-v4"), 8).unwrap()).map(drop)),
            "ActionMask: observations are 8 x 8 pixels of 3 numbers; expected no picture",
        ),
        (
            error(ActionMask::new(make("FrozenLake-v1")).map(drop)),
            "ActionMask: the environment does not say which actions may be taken",
        ),
        (
            error(ActionMask::new(ActionMask::new(make("Taxi-v4")).unwrap()).map(drop)),
            "ActionMask: observations are one of 500, and which of 6 actions may be taken; expected none with a mask of actions",
        ),
        (
            error(ObservationNormalization::new(ActionMask::new(make("Taxi-v4")).unwrap()).map(drop)),
            "ObservationNormalization: observations are one of 500, and which of 6 actions may be taken; expected none with a \
             mask of actions",
        ),
        (
            error(ActionRepeat::new(make("CartPole-v1"), 0).map(drop)),
            "ActionRepeat: 0 times; expected once at least",
        ),
        (
            error(ClipAction::new(make("CartPole-v1")).map(drop)),
            "ClipAction: actions are Discrete(2); expected a box",
        ),
        (
            error(ClipObservation::new(make("Taxi-v4"), 0.0, 1.0).map(drop)),
            "ClipObservation: observations are Discrete(500); expected a box",
        ),
        (
            error(ClipObservation::new(make("CartPole-v1"), 1.0, 0.0).map(drop)),
            "ClipObservation: bounds are 1 and 0; expected the lower one first",
        ),
        (
            error(ClipReward::new(make("CartPole-v1"), f64::NAN, 0.0).map(drop)),
            "ClipReward: bounds are NaN and 0; expected the lower one first",
        ),
        (
            error(FrameStack::new(make("CartPole-v1"), 0).map(drop)),
            "FrameStack: 0 frames; expected one at least",
        ),
        (
            error(ObservationNormalization::frozen(make("CartPole-v1"), RunningMoments::new(3)).map(drop)),
            "ObservationNormalization: moments have 3 means and 3 variances; expected 4 of each",
        ),
        (
            error(RescaleAction::new(make("CartPole-v1"), -1.0, 1.0).map(drop)),
            "RescaleAction: actions are Discrete(2); expected a box with finite bounds",
        ),
        (
            error(RescaleAction::new(make("Pendulum-v1"), 1.0, 1.0).map(drop)),
            "RescaleAction: from 1 to 1; expected two finite numbers, the lower one first",
        ),
        (
            error(RewardNormalization::new(make("CartPole-v1"), 1.5).map(drop)),
            "RewardNormalization: the discount is 1.5; expected a number from 0 to 1",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

//! What stands between environments and an agent that learns: against Stable-Baselines3's `VecNormalize`, and what must hold.

use std::fs;
use std::path::Path;

use etude_rl::dqn::{Dqn, DqnOptions};
use etude_rl::wrappers::{ActionRepeat, FrameStack, Pixels, RunningMoments};
use etude_rl::{
    Autoreset, Batch, Env as _, FrameStacks, Normalization, Normalizer, NormalizerOptions, PolicyCard, RlError,
    Schedule, Space, Training, Transition, Vector, VectorEnv, Wrapping, load_policy, make, make_envs,
};
use etude_train::Seed;
use serde::Deserialize;

/// See `scripts/rl_normalization_fixtures.py`.
#[derive(Deserialize)]
struct Fixtures {
    discount: f64,
    clip: f64,
    steps: Vec<Given>,
    normalized: Vec<Seen>,
    moments: RunningMoments,
}

#[derive(Deserialize)]
struct Given {
    observations: Vec<[f32; 2]>,
    #[serde(default)]
    rewards: Vec<f64>,
    #[serde(default)]
    ends: Vec<bool>,
    #[serde(default)]
    last: Vec<[f32; 2]>,
}

#[derive(Deserialize)]
struct Seen {
    observations: Vec<[f32; 2]>,
    #[serde(default)]
    rewards: Vec<f64>,
    #[serde(default)]
    last: Vec<Option<[f32; 2]>>,
}

fn near(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-6 * (1.0 + theirs.abs()), "{ours} {theirs}");
}

#[test]
fn observations_and_rewards_are_those_of_stable_baselines3() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/normalization.json");
    let fixtures: Fixtures = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let options = NormalizerOptions {
        observations: true,
        rewards: true,
        discount: fixtures.discount,
        clip: fixtures.clip,
        reward_range: None,
    };
    let space = Space::symmetric(vec![f32::INFINITY; 2]);
    let mut normalizer = Normalizer::new(options, &space, 3).unwrap();
    assert_eq!(
        normalizer.observation_space(&space),
        Space::symmetric(vec![fixtures.clip as f32; 2])
    );
    let (mut ended, mut clipped) = (0, 0);
    for (index, (given, seen)) in fixtures.steps.iter().zip(&fixtures.normalized).enumerate() {
        let mut batch = Batch {
            observations: given.observations.as_flattened().to_vec(),
            final_observations: given.last.as_flattened().to_vec(),
            rewards: given.rewards.clone(),
            transitions: (given.ends.iter())
                .map(|&ends| {
                    if ends {
                        Transition::Truncated
                    } else {
                        Transition::Continues
                    }
                })
                .collect(),
        };
        if index == 0 {
            normalizer.reset(&mut batch.observations);
        } else {
            normalizer.step(&mut batch);
        }
        for (ours, theirs) in batch.observations.iter().zip(seen.observations.as_flattened()) {
            near(f64::from(*ours), f64::from(*theirs));
            clipped += usize::from(f64::from(*theirs).abs() >= fixtures.clip);
        }
        for (ours, theirs) in batch.rewards.iter().zip(&seen.rewards) {
            near(*ours, *theirs);
        }
        for (ours, theirs) in batch.final_observations.chunks(2).zip(&seen.last) {
            for (ours, theirs) in ours.iter().zip(theirs.iter().flatten()) {
                near(f64::from(*ours), f64::from(*theirs));
                ended += 1;
            }
        }
    }
    assert!(ended > 10 && clipped > 0, "{ended} {clipped}");
    let moments = &normalizer.normalization().unwrap().moments;
    near(moments.count, fixtures.moments.count);
    for (ours, theirs) in moments.mean.iter().zip(&fixtures.moments.mean) {
        near(*ours, *theirs);
    }
    for (ours, theirs) in moments.variance.iter().zip(&fixtures.moments.variance) {
        near(*ours, *theirs);
    }
}

#[test]
fn rewards_are_brought_into_their_range_and_ghosts_teach_nothing() {
    let options = NormalizerOptions {
        observations: false,
        rewards: true,
        discount: 1.0,
        clip: 10.0,
        reward_range: Some([-0.5, 0.5]),
    };
    let space = Space::Discrete(3);
    let mut normalizer = Normalizer::new(options, &space, 1).unwrap();
    assert_eq!(normalizer.observation_space(&space), space);
    let step = |normalizer: &mut Normalizer, reward, transition| {
        let mut batch = Batch {
            observations: vec![2.0],
            final_observations: vec![0.0],
            rewards: vec![reward],
            transitions: vec![transition],
        };
        normalizer.step(&mut batch);
        assert_eq!(batch.observations, [2.0]);
        batch.rewards[0]
    };
    assert!((step(&mut normalizer, 7.0, Transition::Continues) - 0.5).abs() < 1e-12);
    let before = serde_json::to_string(&normalizer).unwrap();
    assert!(step(&mut normalizer, 0.0, Transition::Ghost).abs() < 1e-12);
    assert_eq!(serde_json::to_string(&normalizer).unwrap(), before);
}

#[test]
fn what_cannot_be_normalised_or_wrapped_is_refused() {
    let options = NormalizerOptions {
        observations: true,
        rewards: false,
        discount: 1.0,
        clip: 10.0,
        reward_range: None,
    };
    let error = Normalizer::new(options, &Space::Discrete(3), 1).unwrap_err();
    assert!(matches!(error, RlError::Wrapper { .. }), "{error}");
    let space = Space::symmetric(vec![1.0]);
    for reward_range in [[1.0, -1.0], [f64::NAN, 1.0]] {
        let options = NormalizerOptions {
            observations: false,
            reward_range: Some(reward_range),
            ..options
        };
        let error = Normalizer::new(options, &space, 1).unwrap_err();
        assert!(error.to_string().contains("lesser number first"), "{error}");
    }
    let refused = |wrapping: Wrapping, id| {
        wrapping
            .make_envs(id, 1, Autoreset::SameStep)
            .err()
            .unwrap()
            .to_string()
    };
    let twice = Wrapping {
        action_repeat: 2,
        ..Wrapping::default()
    };
    assert!(refused(twice, "gym:CartPole-v1").contains("another program"));
    let none = Wrapping {
        frame_stack: 0,
        ..Wrapping::default()
    };
    assert!(refused(none, "CartPole-v1").contains("0 frames"));
    let masked = Wrapping {
        action_mask: true,
        ..Wrapping::default()
    };
    assert_eq!(
        refused(masked, "CartPole-v1"),
        "ActionMask: the environment does not say which actions may be taken"
    );
    assert_eq!(
        refused(masked, "Pendulum-v1"),
        "ActionMask: an action is 1 number; expected one of so many"
    );
    let stacked = Wrapping {
        frame_stack: 2,
        ..masked
    };
    assert_eq!(
        refused(stacked, "Taxi-v4"),
        "FrameStack: observations are one of 500, and which of 6 actions may be taken; expected none with a mask of actions"
    );
    let space = masked.make_envs("Taxi-v4", 1, Autoreset::SameStep).unwrap();
    let normalizing = NormalizerOptions {
        observations: true,
        reward_range: None,
        ..options
    };
    let error = Normalizer::new(normalizing, space.observation_space(), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Normalizer: observations are one of 500, and which of 6 actions may be taken; expected a box"
    );
}

/// Steps of `envs`, with one action after the other.
fn steps(envs: &mut dyn VectorEnv, count: usize) -> Vec<Batch> {
    let mut batch = Batch::for_envs(envs);
    envs.reset(Some(3), &mut batch).unwrap();
    let mut seen = vec![batch.clone()];
    for step in 0..count {
        let actions: Vec<f32> = (0..envs.count()).map(|env| ((step / 2 + env) % 2) as f32).collect();
        envs.step(&actions, &mut batch).unwrap();
        if envs.autoreset() == Autoreset::Disabled {
            let ended: Vec<bool> = batch.transitions.iter().map(|transition| transition.ends()).collect();
            envs.reset_where(&ended, &mut batch).unwrap();
        }
        // What stands in the other rows means nothing.
        let width = envs.observation_space().length();
        let mut shown = batch.clone();
        let same_step = envs.autoreset() == Autoreset::SameStep;
        let rows = shown.final_observations.chunks_mut(width).zip(&batch.transitions);
        for (row, transition) in rows {
            if !(transition.ends() && same_step) {
                row.fill(0.0);
            }
        }
        seen.push(shown);
    }
    seen
}

#[test]
fn many_at_a_time_are_stacked_as_one_is() {
    for autoreset in [Autoreset::NextStep, Autoreset::SameStep, Autoreset::Disabled] {
        let one = || FrameStack::new(ActionRepeat::new(make("CartPole-v1").unwrap(), 2).unwrap(), 3).unwrap();
        let mut one_by_one = Vector::new(vec![one(), one(), one()], autoreset);
        let wrapping = Wrapping {
            action_repeat: 2,
            frame_stack: 3,
            ..Wrapping::default()
        };
        let mut together = wrapping.make_envs("CartPole-v1", 3, autoreset).unwrap();
        let expected = steps(&mut one_by_one, 80);
        assert!(
            expected
                .iter()
                .any(|batch| batch.transitions.iter().any(|transition| transition.ends()))
        );
        assert_eq!(steps(&mut *together, 80), expected, "{autoreset:?}");

        // Saved in the midst of episodes, they go on.
        let mut state = Vec::new();
        assert!(together.save(&mut state));
        let mut other = wrapping.make_envs("CartPole-v1", 3, autoreset).unwrap();
        other.load(&mut state.as_slice()).unwrap();
        let (mut batch, mut of_other) = (Batch::for_envs(&*together), Batch::for_envs(&*other));
        for _ in 0..5 {
            together.step(&[1.0; 3], &mut batch).unwrap();
            other.step(&[1.0; 3], &mut of_other).unwrap();
            assert_eq!(batch.observations, of_other.observations);
        }
    }
    let plain = make_envs("CartPole-v1", 1, Autoreset::SameStep).unwrap();
    assert_eq!(FrameStacks::new(plain, 4).unwrap().observation_space().length(), 16);
}

/// A training whose observations and rewards are normalised.
fn training() -> Training {
    let envs = make_envs("CartPole-v1", 2, Autoreset::SameStep).unwrap();
    let options = NormalizerOptions {
        observations: true,
        rewards: true,
        discount: 0.99,
        clip: 10.0,
        reward_range: None,
    };
    let normalizer = Normalizer::new(options, envs.observation_space(), 2).unwrap();
    let options = DqnOptions {
        hidden: vec![16],
        learning_starts: 20,
        exploration: Schedule::Constant(0.1),
        ..DqnOptions::default()
    };
    let seen = normalizer.observation_space(envs.observation_space());
    let agent = Dqn::new(
        options,
        (&seen, envs.action_space()),
        (2, Autoreset::SameStep),
        1000,
        Seed(1),
    )
    .unwrap();
    Training::new(envs, Box::new(agent), 1)
        .unwrap()
        .normalized(Some(normalizer))
}

#[test]
fn a_training_goes_on_with_its_moments_and_its_policy_takes_them_along() {
    let mut straight = training();
    straight.run_until(400).unwrap();
    let state = straight.save();
    let mut resumed = training();
    assert!(resumed.load(&state).unwrap());
    straight.run_until(600).unwrap();
    resumed.run_until(600).unwrap();
    assert_eq!(straight.save(), resumed.save());
    // A step of cart pole earns 1, whatever the agent is shown.
    assert!(
        straight
            .take_finished()
            .all(|episode| (episode.reward - f64::from(episode.length)).abs() < 1e-9)
    );

    let folder = tempfile::tempdir().unwrap();
    let space = Space::symmetric(vec![1.0; 4]);
    let mut card = PolicyCard::new("dqn", "CartPole-v1", 600, &space, &Space::Discrete(2));
    card.normalization = straight.normalization().cloned();
    straight.agent().save_policy(&card, folder.path()).unwrap();
    let (read, mut policy) = load_policy(folder.path()).unwrap();
    assert_eq!(read.normalization, card.normalization);
    let observations: Vec<f32> = (0..400)
        .map(|index| ((index * 37 % 101) as f32 - 50.0) / 50.0)
        .collect();
    let (mut ours, mut loaded, mut bare) = (vec![9.0; 100], vec![8.0; 100], vec![7.0; 100]);
    straight.policy().act(&observations, &mut ours);
    policy.act(&observations, &mut loaded);
    straight.agent().policy().act(&observations, &mut bare);
    assert_eq!(ours, loaded);
    assert_ne!(ours, bare);

    // Moments that do not fit are refused.
    let broken = Normalization {
        moments: RunningMoments::new(3),
        clip: 10.0,
    };
    card.normalization = Some(broken);
    straight.agent().save_policy(&card, folder.path()).unwrap();
    let error = load_policy(folder.path()).err().unwrap().to_string();
    assert!(error.contains("3 means"), "{error}");
    let envs = make_envs("CartPole-v1", 2, Autoreset::SameStep).unwrap();
    let spaces = (envs.observation_space(), envs.action_space());
    let agent = Dqn::new(DqnOptions::default(), spaces, (2, Autoreset::SameStep), 1000, Seed(1)).unwrap();
    let mut bare = Training::new(envs, Box::new(agent), 1).unwrap();
    assert!(matches!(bare.load(&state), Err(RlError::SavedState(_))));
}

#[test]
fn three_frames_of_pixels_are_the_three_steps_of_an_action() {
    let wrapping = Wrapping {
        action_repeat: 3,
        frame_stack: 3,
        pixels: Some(16),
        ..Wrapping::default()
    };
    let mut envs = wrapping.make_envs("Pendulum-v1", 1, Autoreset::SameStep).unwrap();
    let mut alone = Pixels::new(make("Pendulum-v1").unwrap(), 16).unwrap();
    let (mut batch, mut frame) = (Batch::for_envs(&*envs), vec![0.0; 3 * 16 * 16]);
    envs.reset(Some(5), &mut batch).unwrap();
    alone.reset(Some(5), &mut frame);
    assert_eq!(batch.observations, frame.repeat(3));
    for action in [2.0, -1.0] {
        envs.step(&[action], &mut batch).unwrap();
        let (mut frames, mut reward) = (Vec::new(), 0.0);
        for _ in 0..3 {
            reward += alone.step(&[action], &mut frame).reward;
            frames.extend_from_slice(&frame);
        }
        assert_eq!((&batch.observations, batch.rewards[0]), (&frames, reward));
    }
}

//! Environments of Gymnasium through their Python process.
//!
//! Without Gymnasium the tests say so and pass, unless `ETUDE_REQUIRE_GYMNASIUM=1` makes its absence a failure.
#![cfg(unix)]

mod failures;
mod masks;
#[cfg(target_os = "linux")]
mod processes;
mod resets;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use etude_rl::classic_control::CartPole;
use etude_rl::render::Rgb;
use etude_rl::{
    Autoreset, Batch, Env, Extras, GymnasiumEnvs, Interpreter, RlError, Simulator, Space, Transition, VectorEnv,
    Verdict, check_env, make_envs,
};
use etude_train::Seed;
use serde_json::{Map, Value, json};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bridge")
}

/// A Python with Gymnasium, which finds the environments of `bridge_envs.py`.
fn python() -> Option<Interpreter> {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let python = Interpreter::find()
        .variable("PYTHONPATH", fixtures())
        .variable("PYTHONDONTWRITEBYTECODE", "1");
    let found = *FOUND.get_or_init(|| {
        let output = python.command(&["-c", "import gymnasium"]).output();
        output.is_ok_and(|output| output.status.success())
    });
    if !found {
        let required = env::var_os("ETUDE_REQUIRE_GYMNASIUM").is_some_and(|value| value == "1");
        let program = python.program().display();
        assert!(!required, "ETUDE_REQUIRE_GYMNASIUM=1, but `{program}` has no Gymnasium");
        announce(&format!("skipped: `{program}` has no Gymnasium"));
        return None;
    }
    Some(python)
}

#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn announce(text: &str) {
    eprintln!("bridge: {text}");
}

fn start(python: &Interpreter, id: &str, count: usize, autoreset: Autoreset) -> Result<GymnasiumEnvs, RlError> {
    GymnasiumEnvs::start(python, id, count, autoreset, &Map::new())
}

/// One environment, and room for what it shows, after its first reset.
fn begun(python: &Interpreter, id: &str) -> (GymnasiumEnvs, Batch) {
    let mut envs = start(python, id, 1, Autoreset::NextStep).unwrap();
    let mut batch = Batch::for_envs(&envs);
    envs.reset(Some(1), &mut batch).unwrap();
    (envs, batch)
}

/// Why there is no such environment.
fn refusal(python: &Interpreter, id: &str) -> String {
    let started = start(python, id, 1, Autoreset::NextStep);
    started.err().unwrap().to_string()
}

/// Random actions for so many environments.
fn actions(space: &Space, count: usize, steps: usize) -> Vec<Vec<f32>> {
    let mut random = Seed(3).stream("actions");
    let mut draw = || {
        let mut actions = vec![0.0; count * space.length()];
        for action in actions.chunks_exact_mut(space.length()) {
            space.sample(&mut random, action);
        }
        actions
    };
    (0..steps).map(|_| draw()).collect()
}

#[test]
fn a_seed_decides_everything_and_each_environment_has_its_own() {
    let Some(python) = python() else { return };
    let steps = 100;
    let play = |seed: u64, count: usize, first: usize| -> Vec<Batch> {
        let mut envs = start(&python, "CartPole-v1", count, Autoreset::NextStep).unwrap();
        let mut batch = Batch::for_envs(&envs);
        envs.reset(Some(seed), &mut batch).unwrap();
        let mut batches = vec![batch.clone()];
        // Those of three environments, of which these are some.
        for actions in actions(envs.action_space(), 3, steps) {
            envs.step(&actions[first..first + count], &mut batch).unwrap();
            batches.push(batch.clone());
        }
        batches
    };
    // The seeds of the three pass the greatest.
    let seed = u64::MAX - 1;
    let together = play(seed, 3, 0);
    assert_eq!(together, play(seed, 3, 0));
    assert_ne!(together[0], play(7, 3, 0)[0]);
    for (index, seed) in [u64::MAX - 1, u64::MAX, 0].into_iter().enumerate() {
        for (together, alone) in together.iter().zip(play(seed, 1, index)) {
            assert_eq!(together.observations[4 * index..4 * index + 4], alone.observations);
            assert_eq!(together.transitions[index], alone.transitions[0]);
        }
    }
}

#[test]
fn cart_poles_move_as_ours_do() {
    let Some(python) = python() else { return };
    let (mut envs, mut batch) = begun(&python, "CartPole-v1");
    let mut ours = Simulator::new(CartPole);
    let mut state = [0.0; 4];
    for (value, &shown) in state.iter_mut().zip(&batch.observations) {
        *value = f64::from(shown);
    }
    ours.set_state(state);
    let mut observation = [0.0; 4];
    for step in 0..20 {
        let action = [f32::from(step % 2 == 0)];
        envs.step(&action, &mut batch).unwrap();
        let expected = ours.step(&action, &mut observation);
        assert_eq!(batch.rewards, [expected.reward]);
        assert_eq!(batch.transitions, [Transition::Continues]);
        // What is shown of the first state is rounded.
        for (theirs, ours) in batch.observations.iter().zip(observation) {
            assert!((theirs - ours).abs() < 1e-5, "step {step}: {theirs} {ours}");
        }
    }
}

#[test]
fn spaces_are_taken_over() {
    let Some(python) = python() else { return };
    let unbounded = |length| Space::Box {
        low: vec![0.0; length],
        high: vec![f32::INFINITY; length],
    };
    let range = |low, high, length| Space::Box {
        low: vec![low; length],
        high: vec![high; length],
    };
    let car = Space::Box {
        low: vec![-1.2, -0.07],
        high: vec![0.6, 0.07],
    };
    for (id, observations, actions) in [
        (
            "Pendulum-v1",
            Space::symmetric(vec![1.0, 1.0, 8.0]),
            range(-2.0, 2.0, 1),
        ),
        ("MountainCarContinuous-v0", car, range(-1.0, 1.0, 1)),
        ("FrozenLake-v1", Space::Discrete(16), Space::Discrete(4)),
        ("bridge_envs:Counter-v0", unbounded(2), Space::Discrete(3)),
        (
            "bridge_envs:Pixels-v0",
            range(0.0, 255.0, 6),
            Space::MultiDiscrete(vec![2; 4]),
        ),
        ("bridge_envs:Grey-v0", unbounded(1), range(0.0, 255.0, 2)),
    ] {
        let envs = start(&python, id, 2, Autoreset::SameStep).unwrap();
        assert_eq!(envs.observation_space(), &observations, "{id}");
        assert_eq!(envs.action_space(), &actions, "{id}");
        assert_eq!((envs.count(), envs.autoreset()), (2, Autoreset::SameStep));
        assert!(envs.version().starts_with("1."), "{}", envs.version());
    }
}

#[test]
fn other_spaces_are_refused() {
    let Some(python) = python() else { return };
    let refusal = |id| refusal(&python, id);
    assert_eq!(
        refusal("Blackjack-v1"),
        "`Blackjack-v1` cannot be used: the observation space is Tuple(Discrete(32), Discrete(11), Discrete(2)); \
         expected Discrete, MultiDiscrete, MultiBinary or Box, which gymnasium.wrappers.FlattenObservation makes of it"
    );
    let dict = refusal("bridge_envs:DictOfSpaces-v0");
    assert!(
        dict.contains("the observation space is Dict('place': Discrete(3))"),
        "{dict}"
    );
    let text = refusal("bridge_envs:Words-v0");
    assert!(
        text.contains("the action space is Text(") && text.ends_with("or Box"),
        "{text}"
    );
    let endless = refusal("bridge_envs:Endless-v0");
    assert!(endless.contains("Discrete(16777217); expected"), "{endless}");
}

#[test]
fn whole_numbers_begin_at_zero() {
    let Some(python) = python() else { return };
    for (kind, space) in [
        ("discrete", Space::Discrete(3)),
        ("multi-discrete", Space::MultiDiscrete(vec![2, 3, 4, 5])),
    ] {
        let arguments = Map::from_iter([("kind".to_owned(), json!(kind))]);
        let envs = GymnasiumEnvs::start(&python, "bridge_envs:Offset-v0", 2, Autoreset::SameStep, &arguments);
        let mut envs = envs.unwrap();
        assert_eq!((envs.observation_space(), envs.action_space()), (&space, &space));
        let mut batch = Batch::for_envs(&envs);
        envs.reset(Some(1), &mut batch).unwrap();
        let zeros = vec![0.0; 2 * space.length()];
        assert_eq!(batch.observations, zeros);
        for actions in actions(&space, 2, 10) {
            envs.step(&actions, &mut batch).unwrap();
            assert_eq!((&batch.final_observations, &batch.observations), (&actions, &zeros));
        }
    }
}

#[test]
fn pictures_come_as_rows_of_numbers_and_switches_and_levels_go() {
    let Some(python) = python() else { return };
    let (mut envs, mut batch) = begun(&python, "bridge_envs:Pixels-v0");
    assert_eq!(batch.observations, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    envs.step(&[1.0, 0.0, 1.0, 1.0], &mut batch).unwrap();
    assert_eq!(batch.observations, [253.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let (mut envs, mut batch) = begun(&python, "bridge_envs:Grey-v0");
    // To the nearest level.
    envs.step(&[254.9, 0.4], &mut batch).unwrap();
    assert_eq!(batch.rewards, [255.0]);
}

#[test]
fn arguments_reach_the_environment() {
    let Some(python) = python() else { return };
    let arguments = Map::from_iter([("is_slippery".to_owned(), json!(false))]);
    let mut lake = GymnasiumEnvs::start(&python, "FrozenLake-v1", 1, Autoreset::NextStep, &arguments).unwrap();
    let mut batch = Batch::for_envs(&lake);
    lake.reset(Some(1), &mut batch).unwrap();
    // Down and right, to the goal.
    let path = [1.0, 1.0, 2.0, 1.0, 2.0, 2.0].map(|action| {
        lake.step(&[action], &mut batch).unwrap();
        batch.observations[0] as usize
    });
    assert_eq!(path, [4, 8, 9, 13, 14, 15]);
    assert_eq!(
        (&batch.rewards[..], &batch.transitions[..]),
        (&[1.0][..], &[Transition::Terminated][..])
    );
    let unknown = Map::from_iter([("depth".to_owned(), Value::Null)]);
    let refused = GymnasiumEnvs::start(&python, "FrozenLake-v1", 1, Autoreset::NextStep, &unknown);
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("unexpected keyword argument 'depth'"), "{refused}");
}

#[test]
fn what_an_environment_prints_and_reads_does_not_disturb() {
    let Some(python) = python() else { return };
    let (mut envs, mut batch) = begun(&python, "bridge_envs:Noisy-v0");
    for _ in 0..20 {
        envs.step(&[0.0], &mut batch).unwrap();
        assert!(batch.observations[0] > 1.0);
    }
}

#[test]
fn the_checker_looks_over_environments_of_gymnasium() {
    let Some(python) = python() else { return };
    let mut envs = start(&python, "FrozenLake-v1", 1, Autoreset::Disabled).unwrap();
    let checks = check_env(&mut envs).unwrap();
    assert_eq!(checks.len(), 7);
    for check in checks {
        assert_eq!(check.verdict, Verdict::Holds, "{}", check.rule);
    }
    let mut envs = start(&python, "bridge_envs:Raises-v0", 1, Autoreset::Disabled).unwrap();
    assert!(check_env(&mut envs).is_err());
}

#[test]
fn one_function_makes_ours_and_those_of_gymnasium() {
    let ours = make_envs("CartPole-v1", 2, Autoreset::SameStep).unwrap();
    assert!(matches!(
        make_envs("CardPole-v1", 2, Autoreset::SameStep),
        Err(RlError::UnknownEnvironment(_))
    ));
    if python().is_none() {
        return;
    }
    let theirs = make_envs("gym:CartPole-v1", 2, Autoreset::SameStep).unwrap();
    assert_eq!(theirs.count(), ours.count());
    assert_eq!(theirs.action_space(), ours.action_space());
    assert_eq!(theirs.observation_space().length(), ours.observation_space().length());
}

fn drawn(python: &Interpreter, id: &str) -> Result<GymnasiumEnvs, RlError> {
    let extras = Extras {
        drawn: true,
        masked: false,
    };
    GymnasiumEnvs::start_with(python, id, (1, Autoreset::Disabled), extras, &Map::new())
}

#[test]
fn pictures_come_with_every_step() {
    let Some(python) = python() else { return };
    let mut envs = match drawn(&python, "CartPole-v1") {
        Ok(envs) => envs,
        // Gymnasium draws by pygame, which is a package of its own.
        Err(RlError::NotDrawn { message, .. }) => {
            assert!(message.contains("pygame"), "{message}");
            return announce("skipped: no pygame, so Gymnasium draws nothing");
        }
        Err(error) => panic!("{error}"),
    };
    let mut batch = Batch::for_envs(&envs);
    envs.reset(Some(1), &mut batch).unwrap();
    let first = envs.render(0).unwrap();
    assert_eq!(first.height_for(600), 400);
    for _ in 0..4 {
        envs.step(&[1.0], &mut batch).unwrap();
    }
    assert_ne!(envs.render(0).unwrap(), first);
    assert!(envs.render(1).is_none());
    // A cart on a white ground.
    let frame = first.raster(60, 40);
    assert_eq!(frame.pixel(1, 1), Rgb(255, 255, 255));
    assert!(frame.pixels().chunks(4).any(|pixel| pixel == [0, 0, 0, 255]));
}

#[test]
fn what_gymnasium_cannot_draw_is_told() {
    let Some(python) = python() else { return };
    let error = drawn(&python, "bridge_envs:Counter-v0").err().unwrap();
    assert!(matches!(error, RlError::NotDrawn { .. }), "{error}");
}

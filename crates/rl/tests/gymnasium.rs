//! Every environment against what Gymnasium 1.4 does: one step from each recorded state, and every probability.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use etude_rl::classic_control::{Acrobot, CarState, CartPole, MountainCar, MountainCarContinuous, Pendulum};
use etude_rl::toy_text::{FROZEN_LAKE_4X4, FROZEN_LAKE_8X8, cliff_walking, frozen_lake, taxi};
use etude_rl::{Dynamics, Env, Simulator, TabularModel, environments};
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// See `scripts/rl_fixtures.py`.
#[derive(Deserialize)]
struct Recorded {
    first: bool,
    state: Vec<f64>,
    action: Vec<f32>,
    next: Vec<f64>,
    observation: Vec<f32>,
    reward: f64,
    terminated: bool,
}

/// Takes every recorded step again; rewards may differ by `rounding`. `state_of` makes a state of recorded numbers, `numbers_of` does the reverse.
fn agree<D: Dynamics>(
    law: D,
    task: &str,
    rounding: f64,
    state_of: impl Fn(&Recorded) -> D::State,
    numbers_of: impl Fn(D::State) -> Vec<f64>,
) {
    let recorded: BTreeMap<String, Vec<Recorded>> = read(&fixtures().join("classic_control.json"));
    let mut env = Simulator::new(law);
    let mut observation = vec![0.0; env.observation_space().length()];
    for (index, recorded) in recorded[task].iter().enumerate() {
        env.set_state(state_of(recorded));
        let step = env.step(&recorded.action, &mut observation);
        for (ours, theirs) in numbers_of(env.state()).iter().zip(&recorded.next) {
            assert!(
                (ours - theirs).abs() <= 1e-12,
                "{task}, step {index}: state {ours}, expected {theirs}"
            );
        }
        assert!(
            (step.reward - recorded.reward).abs() <= rounding,
            "{task}, step {index}: {}",
            step.reward
        );
        assert_eq!(
            (step.terminated, step.truncated),
            (recorded.terminated, false),
            "{task}, step {index}"
        );
        for (ours, theirs) in observation.iter().zip(&recorded.observation) {
            assert!(
                (ours - theirs).abs() <= f32::EPSILON * theirs.abs(),
                "{task}, step {index}: {ours} {theirs}"
            );
        }
    }
}

fn array<const N: usize>(recorded: &Recorded) -> [f64; N] {
    recorded.state.clone().try_into().unwrap()
}

#[test]
fn cart_pole() {
    agree(CartPole, "CartPole-v1", 1e-12, array, |state| state.to_vec());
}

#[test]
fn acrobot() {
    agree(Acrobot, "Acrobot-v1", 1e-12, array, |state| state.to_vec());
}

#[test]
fn mountain_car() {
    agree(MountainCar, "MountainCar-v0", 1e-12, array, |state| state.to_vec());
}

#[test]
fn mountain_car_continuous() {
    let state = |recorded: &Recorded| {
        let values: [f64; 2] = array(recorded);
        if recorded.first {
            CarState::First(values)
        } else {
            CarState::Later(values.map(|value| value as f32))
        }
    };
    agree(
        MountainCarContinuous,
        "MountainCarContinuous-v0",
        1e-12,
        state,
        |state| state.values().to_vec(),
    );
}

#[test]
fn pendulum() {
    // NumPy squares the torque in 32 bits by a power function that is off by a last bit now and then.
    let rounding = 0.001 * 4.0 * f64::from(f32::EPSILON);
    agree(Pendulum, "Pendulum-v1", rounding, array, |state| state.to_vec());
}

/// Gymnasium's `P`: by state and action, probability, next state, reward and whether the episode is over.
type Transitions = BTreeMap<usize, BTreeMap<usize, Vec<(f64, u32, f64, bool)>>>;

fn same_chances(file: &str, model: &TabularModel) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mdp/tests/fixtures/gymnasium");
    let transitions: Transitions = read(&folder.join(file));
    assert_eq!(transitions.len(), model.states());
    for (state, actions) in transitions {
        assert_eq!(actions.len(), model.actions());
        for (action, expected) in actions {
            let ours = model.outcomes(state, action);
            let ours: Vec<_> = ours
                .iter()
                .map(|o| (o.probability, o.next, o.reward, o.terminated))
                .collect();
            assert_eq!(ours, expected, "{file}, state {state}, action {action}");
        }
    }
}

#[test]
fn frozen_lakes() {
    for (map, size) in [(&FROZEN_LAKE_4X4[..], "4x4"), (&FROZEN_LAKE_8X8, "8x8")] {
        same_chances(
            &format!("frozen-lake-{size}-slippery.json"),
            &frozen_lake(map, true).unwrap(),
        );
        same_chances(&format!("frozen-lake-{size}.json"), &frozen_lake(map, false).unwrap());
    }
}

#[test]
fn cliff_walks() {
    same_chances("cliff-walking.json", &cliff_walking(false));
    same_chances("cliff-walking-slippery.json", &cliff_walking(true));
}

#[test]
fn taxis() {
    same_chances("taxi.json", &taxi(false));
    same_chances("taxi-rainy.json", &taxi(true));
}

/// In the rain too, where the way ahead decides.
#[test]
fn taxis_mask_what_gymnasiums_do() {
    let masks: Vec<String> = read(&fixtures().join("taxi_masks.json"));
    assert_eq!(masks.len(), 500);
    for rainy in [false, true] {
        let model = taxi(rainy);
        let mut mask = [f32::NAN; 6];
        for (state, expected) in masks.iter().enumerate() {
            assert!(model.action_mask(&(state as u32), &mut mask));
            let found: String = mask.iter().map(ToString::to_string).collect();
            assert_eq!(&found, expected, "state {state}, rainy: {rainy}");
        }
    }
    assert!(!cliff_walking(false).action_mask(&0, &mut [0.0; 4]));
}

#[test]
fn registered_limits_hold() {
    for known in environments() {
        let Some(limit) = known.max_episode_steps else { continue };
        let mut env = known.make().unwrap();
        let mut observation = vec![0.0; env.observation_space().length()];
        let idle = vec![0.0; env.action_space().length()];
        env.reset(Some(1), &mut observation);
        let ends = (0..limit).any(|_| env.step(&idle, &mut observation).ends());
        assert!(ends, "{}", known.id);
    }
}

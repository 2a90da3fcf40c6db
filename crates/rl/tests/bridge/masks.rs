//! Which actions may be taken, as `info["action_mask"]` says.

use etude_rl::wrappers::ActionMask;
use etude_rl::{
    Autoreset, Batch, Dynamics as _, Extras, GymnasiumEnvs, Interpreter, RlError, Space, Transition, VectorEnv, make,
};
use serde_json::{Map, json};

use super::{announce, python};

const MASKED: Extras = Extras {
    drawn: false,
    masked: true,
};

fn masked(python: &Interpreter, id: &str, mode: Autoreset, fault: Option<&str>) -> Result<GymnasiumEnvs, RlError> {
    let arguments = fault.map(|fault| ("fault".to_owned(), json!(fault)));
    GymnasiumEnvs::start_with(python, id, (3, mode), MASKED, &arguments.into_iter().collect())
}

/// Every taxi's mask is that of the state that it shows, in ours and in theirs.
#[test]
fn taxis_of_gymnasium_mask_as_ours_do() {
    let Some(python) = python() else { return };
    let (model, ours) = (
        etude_rl::toy_text::taxi(false),
        ActionMask::new(make("Taxi-v4").unwrap()),
    );
    let space = etude_rl::Env::observation_space(&ours.unwrap()).clone();
    for mode in [Autoreset::NextStep, Autoreset::SameStep, Autoreset::Disabled] {
        let mut envs = masked(&python, "Taxi-v4", mode, None).unwrap();
        assert_eq!(envs.observation_space(), &space);
        let mut batch = Batch::for_envs(&envs);
        let check = |row: &[f32]| {
            let mut expected = [row[0], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            assert!(model.action_mask(&(row[0] as u32), &mut expected[1..]));
            assert_eq!(row, expected, "{mode:?}");
        };
        envs.reset(Some(4), &mut batch).unwrap();
        let mut ends = 0;
        for step in 0..410 {
            batch.observations.chunks_exact(7).for_each(check);
            envs.step(&[0, 1, 2].map(|index| ((step + index) % 4) as f32), &mut batch)
                .unwrap();
            let over: Vec<bool> = batch.transitions.iter().map(|transition| transition.ends()).collect();
            ends += over.iter().filter(|over| **over).count();
            if mode == Autoreset::SameStep {
                let last = batch.final_observations.chunks_exact(7).zip(&over);
                last.filter(|(_, over)| **over).for_each(|(row, _)| check(row));
            }
            if mode == Autoreset::Disabled {
                envs.reset_where(&over, &mut batch).unwrap();
            }
        }
        assert_eq!(ends, 6);
    }
}

#[test]
fn masks_come_with_the_observation_that_they_are_about() {
    let Some(python) = python() else { return };
    for fault in [None, Some("list")] {
        let mut envs = masked(&python, "bridge_envs:Masked-v0", Autoreset::SameStep, fault).unwrap();
        let mut batch = Batch::for_envs(&envs);
        envs.reset(Some(1), &mut batch).unwrap();
        let row = |steps: usize| {
            let mut row = [steps as f32, 0.0, 0.0, 0.0, 0.0];
            row[1 + steps] = 1.0;
            row.repeat(3)
        };
        for step in 0..7 {
            assert_eq!(batch.observations, row(step % 3));
            envs.step(&[0.0, 1.0, 3.0], &mut batch).unwrap();
            assert_eq!(batch.rewards, [0.0, 1.0, 3.0]);
            if step % 3 == 2 {
                assert_eq!(batch.transitions, [Transition::Terminated; 3]);
                assert_eq!(batch.final_observations, row(3));
            }
        }
    }
}

#[test]
fn a_mask_that_there_is_not_is_an_error() {
    let Some(python) = python() else { return };
    let mode = Autoreset::SameStep;
    let refused = |id, fault| masked(&python, id, mode, fault).err().unwrap().to_string();
    assert_eq!(
        refused("FrozenLake-v1", None),
        "ActionMask: `FrozenLake-v1`: the info of its reset has no `action_mask`, which says which actions may be taken"
    );
    let numbers = refused("Pendulum-v1", None);
    assert!(
        numbers.contains("the action space is Box(")
            && numbers.ends_with("expected Discrete, where actions are masked"),
        "{numbers}"
    );
    assert_eq!(
        refused("bridge_envs:Masked-v0", Some("wrong length")),
        "ActionMask: `bridge_envs:Masked-v0`: its `action_mask` has shape (3,); expected (4,)"
    );
    for (fault, told) in [
        ("forgets", "the info of a reset or a step has no `action_mask`"),
        (
            "forbids all",
            "no action that may be taken; expected one at least while the episode goes on",
        ),
    ] {
        let mut envs = masked(&python, "bridge_envs:Masked-v0", mode, Some(fault)).unwrap();
        let mut batch = Batch::for_envs(&envs);
        envs.reset(Some(1), &mut batch).unwrap();
        envs.step(&[0.0; 3], &mut batch).unwrap();
        let error = envs.step(&[0.0; 3], &mut batch).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_masked_environment_is_drawn() {
    let Some(python) = python() else { return };
    let both = Extras { drawn: true, ..MASKED };
    match GymnasiumEnvs::start_with(&python, "Taxi-v4", (1, Autoreset::Disabled), both, &Map::new()) {
        Ok(mut envs) => {
            let mut batch = Batch::for_envs(&envs);
            envs.reset(Some(1), &mut batch).unwrap();
            assert!(matches!(envs.observation_space(), Space::Masked { actions: 6, .. }));
            assert!(envs.render(0).is_some());
        }
        // Gymnasium draws by pygame, which is a package of its own.
        Err(RlError::NotDrawn { .. }) => announce("skipped: no pygame, so Gymnasium draws nothing"),
        Err(error) => panic!("{error}"),
    }
}

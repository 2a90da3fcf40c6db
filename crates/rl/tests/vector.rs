//! Many environments at a time against the same ones alone, in every mode of resetting.

use etude_rl::classic_control::{Acrobot, CartPole, MountainCar, Pendulum};
use etude_rl::{
    Autoreset, Batch, Dynamics, Env, Simulator, Simulators, Space, Step, TimeLimit, Transition, Vector, VectorEnv,
    environments,
};
use etude_train::Seed;

const MODES: [Autoreset; 3] = [Autoreset::NextStep, Autoreset::SameStep, Autoreset::Disabled];

/// Plays both for a while with the same actions, and compares every bit.
fn same<D: Dynamics<State = [f64; N]> + Copy, const N: usize>(law: D, limit: usize) {
    // Two blocks and a bit.
    let count = 19;
    for mode in MODES {
        let mut side_by_side = Simulators::new(law, count, Some(limit), mode);
        let alone = (0..count).map(|_| TimeLimit::new(Simulator::new(law), limit)).collect();
        let mut alone = Vector::new(alone, mode);
        let (mut batch, mut expected) = (Batch::for_envs(&side_by_side), Batch::for_envs(&alone));
        side_by_side.reset(Some(5), &mut batch).unwrap();
        alone.reset(Some(5), &mut expected).unwrap();
        let mut random = Seed(1).stream("actions");
        let space = side_by_side.action_space().clone();
        let mut actions = vec![0.0; count];
        let (mut ends, mut ghosts) = (0, 0);
        for step in 0..3 * limit {
            for action in actions.chunks_mut(1) {
                space.sample(&mut random, action);
            }
            side_by_side.step(&actions, &mut batch).unwrap();
            alone.step(&actions, &mut expected).unwrap();
            assert_eq!(batch, expected, "{mode:?}, step {step}");
            let ended: Vec<bool> = batch.transitions.iter().map(|transition| transition.ends()).collect();
            ends += ended.iter().filter(|&&ended| ended).count();
            ghosts += batch
                .transitions
                .iter()
                .filter(|&&transition| transition == Transition::Ghost)
                .count();
            if mode == Autoreset::Disabled {
                side_by_side.reset_where(&ended, &mut batch).unwrap();
                alone.reset_where(&ended, &mut expected).unwrap();
            }
        }
        assert!(ends >= 2 * count, "{ends}");
        assert_eq!(ghosts > 0, mode == Autoreset::NextStep);
    }
}

#[test]
fn cart_poles() {
    same(CartPole, 30);
}

#[test]
fn acrobots() {
    same(Acrobot, 50);
}

#[test]
fn mountain_cars() {
    same(MountainCar, 40);
}

#[test]
fn pendulums() {
    same(Pendulum, 40);
}

/// Counts its steps: terminated after three, or truncated after two where it is impatient.
struct Counter {
    space: Space,
    steps: usize,
    impatient: bool,
}

impl Env for Counter {
    fn observation_space(&self) -> &Space {
        &self.space
    }

    fn action_space(&self) -> &Space {
        &self.space
    }

    fn reset(&mut self, _: Option<u64>, observation: &mut [f32]) {
        self.steps = 0;
        observation[0] = 0.0;
    }

    fn step(&mut self, _: &[f32], observation: &mut [f32]) -> Step {
        self.steps += 1;
        observation[0] = self.steps as f32;
        Step {
            reward: 1.0,
            terminated: self.steps == 3,
            truncated: self.impatient && self.steps == 2,
        }
    }
}

/// What five steps of a patient and an impatient counter show, and what became of them.
fn counters(mode: Autoreset) -> Vec<([f32; 2], [Transition; 2])> {
    let counter = |impatient| Counter {
        space: Space::Discrete(4),
        steps: 0,
        impatient,
    };
    let mut envs = Vector::new(vec![counter(false), counter(true)], mode);
    let mut batch = Batch::for_envs(&envs);
    envs.reset(Some(0), &mut batch).unwrap();
    let step = |_| {
        envs.step(&[0.0; 2], &mut batch).unwrap();
        let shown = batch.observations.clone().try_into().unwrap();
        (shown, batch.transitions.clone().try_into().unwrap())
    };
    (0..5).map(step).collect()
}

#[test]
fn the_three_modes_of_resetting() {
    use Transition::{Continues, Ghost, Terminated, Truncated};
    assert_eq!(
        counters(Autoreset::NextStep),
        [
            ([1.0, 1.0], [Continues, Continues]),
            ([2.0, 2.0], [Continues, Truncated]),
            ([3.0, 0.0], [Terminated, Ghost]),
            ([0.0, 1.0], [Ghost, Continues]),
            ([1.0, 2.0], [Continues, Truncated]),
        ]
    );
    assert_eq!(
        counters(Autoreset::SameStep),
        [
            ([1.0, 1.0], [Continues, Continues]),
            ([2.0, 0.0], [Continues, Truncated]),
            ([0.0, 1.0], [Terminated, Continues]),
            ([1.0, 0.0], [Continues, Truncated]),
            ([2.0, 1.0], [Continues, Continues]),
        ]
    );
}

/// Every environment goes on from a saved state as if nothing had happened, alone and many at a time.
#[test]
fn saved_environments_go_on() {
    for known in environments() {
        let mut envs = [
            known.make_vector(3, Autoreset::NextStep),
            known.make_vector(3, Autoreset::NextStep),
        ]
        .map(Result::unwrap);
        let mut batches = envs.each_ref().map(|envs| Batch::for_envs(&**envs));
        let space = envs[0].action_space().clone();
        let mut random = Seed(2).stream("actions");
        let mut actions = vec![0.0; 3 * space.length()];
        let mut draw = |actions: &mut Vec<f32>| {
            for action in actions.chunks_mut(space.length()) {
                space.sample(&mut random, action);
            }
        };
        envs[0].reset(Some(9), &mut batches[0]).unwrap();
        for _ in 0..50 {
            draw(&mut actions);
            envs[0].step(&actions, &mut batches[0]).unwrap();
        }
        let mut state = Vec::new();
        assert!(envs[0].save(&mut state), "{}", known.id);
        envs[1].load(&mut state.as_slice()).unwrap();
        for step in 0..50 {
            draw(&mut actions);
            for (envs, batch) in envs.iter_mut().zip(&mut batches) {
                envs.step(&actions, batch).unwrap();
            }
            assert_eq!(batches[0], batches[1], "{}, step {step}", known.id);
        }
        // Nothing is left over, and half a state is refused.
        let mut rest = state.as_slice();
        envs[1].load(&mut rest).unwrap();
        assert!(rest.is_empty(), "{}", known.id);
        assert!(envs[1].load(&mut &state[..state.len() / 2]).is_err(), "{}", known.id);
    }
}

//! Learning to act: against the table as every book writes it, and against the optimum.

mod common;

use std::collections::VecDeque;

use etude_mdp::{GridRewards, GridWorld, GridWorldSpec, Policy};
use etude_rl::control::{
    ActionValues, ControlErrors, EpsilonGreedy, JointActionValues, KnownControl, LinearActionValues,
    NetworkActionValues, Settings, Target, TdControl,
};
use etude_rl::dqn::QNetwork;
use etude_rl::{
    Autoreset, Batch, Encoding, Env, FeatureMap, KnownChain, OneHot, Space, Step, Tabular, TimeLimit, Transition,
    Vector, VectorEnv, grid_world,
};
use etude_train::Seed;
use proptest::prelude::*;

use common::{DISCOUNT, grid};

const UNIFORM: EpsilonGreedy = EpsilonGreedy { epsilon: 1.0 };

fn settings(target: Target, steps: usize, epsilon: f64) -> Settings {
    Settings {
        target,
        steps,
        behaviour: EpsilonGreedy { epsilon },
        discount: DISCOUNT,
        step_size: 0.1,
    }
}

/// A plain table.
struct Table(Vec<[f64; 5]>);

impl ActionValues for Table {
    fn actions(&self) -> usize {
        5
    }

    fn values(&mut self, observation: &[f32], values: &mut [f64]) {
        values.copy_from_slice(&self.0[observation[0] as usize]);
    }

    fn step_towards(&mut self, observation: &[f32], action: usize, target: f64, step_size: f64) {
        let q = &mut self.0[observation[0] as usize][action];
        *q += step_size * (target - *q);
    }
}

/// Steps of `agent` in `env`, from the first observation of an episode on: where it was and what it did.
fn play<Q: ActionValues>(env: &mut impl Env, agent: &mut TdControl<Q>, steps: usize) -> Vec<(usize, usize)> {
    let (mut here, mut next, mut action) = ([0.0], [0.0], [0.0]);
    let mut taken = Vec::new();
    env.reset(Some(1), &mut here);
    for _ in 0..steps {
        agent.act(&here, &mut action);
        taken.push((here[0] as usize, action[0] as usize));
        let step = env.step(&action, &mut next);
        agent.learn(&here, &action, step.reward, &next, step.transition());
        here = next;
        if step.ends() {
            env.reset(None, &mut here);
        }
    }
    taken
}

fn one_hot() -> LinearActionValues<OneHot> {
    LinearActionValues::new(OneHot { states: 25 }, 5)
}

/// How far `learnt` is from the optimum.
fn errors_of<M: FeatureMap>(known: &KnownControl, learnt: &mut LinearActionValues<M>, shares: &[f64]) -> ControlErrors {
    known.errors(|state, q| learnt.values(&[state as f32], q), shares)
}

#[test]
fn one_hot_features_are_the_table_bit_by_bit() {
    for target in [Target::Sarsa, Target::ExpectedSarsa, Target::QLearning] {
        for steps in [1, 3] {
            let settings = settings(target, steps, 0.2);
            let env = || TimeLimit::new(Tabular::new(grid_world(&grid())), 50);
            let mut table = TdControl::new(Table(vec![[0.0; 5]; 25]), settings, Seed(1).stream("agent"));
            let mut linear = TdControl::new(one_hot(), settings, Seed(1).stream("agent"));
            play(&mut env(), &mut table, 5000);
            play(&mut env(), &mut linear, 5000);
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert!(table.values().0.iter().flatten().any(|&value| value > 1.0));
            assert_eq!(
                bits(linear.values().weights()),
                bits(table.values().0.as_flattened()),
                "{target:?} {steps}"
            );
        }
    }
}

/// One feature for each pair of a state and an action.
struct Pairs;

impl FeatureMap for Pairs {
    fn dimension(&self) -> usize {
        125
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        feature(point[0] as usize * 5 + point[1] as usize, 1.0);
    }
}

#[test]
fn one_feature_for_each_pair_is_the_table_too() {
    let settings = settings(Target::Sarsa, 2, 0.2);
    let mut joint = TdControl::new(JointActionValues::new(Pairs, 5), settings, Seed(1).stream("agent"));
    let mut linear = TdControl::new(one_hot(), settings, Seed(1).stream("agent"));
    play(&mut Tabular::new(grid_world(&grid())), &mut joint, 5000);
    play(&mut Tabular::new(grid_world(&grid())), &mut linear, 5000);
    assert_eq!(joint.values().weights(), linear.values().weights());
}

/// Plays a script: what each step leads to, its reward, and whether it is the last one.
struct Script(VecDeque<(f32, f64, Transition)>, Space);

impl Env for Script {
    fn observation_space(&self) -> &Space {
        &self.1
    }

    fn action_space(&self) -> &Space {
        &self.1
    }

    fn reset(&mut self, _: Option<u64>, observation: &mut [f32]) {
        observation[0] = 0.0;
    }

    fn step(&mut self, _: &[f32], observation: &mut [f32]) -> Step {
        let (next, reward, transition) = self.0.pop_front().unwrap();
        observation[0] = next;
        Step {
            reward,
            terminated: transition == Transition::Terminated,
            truncated: transition == Transition::Truncated,
        }
    }
}

fn script() -> impl Strategy<Value = Vec<(f32, f64, Transition)>> {
    let ending = prop_oneof![
        4 => Just(Transition::Continues),
        1 => Just(Transition::Terminated),
    ];
    prop::collection::vec(((0..4_u8).prop_map(f32::from), -1.0..1.0_f64, ending), 1..40)
}

proptest! {
    #[test]
    fn sarsa_looks_at_the_action_that_is_taken_next(script in script(), steps in 1..4_usize) {
        let settings = settings(Target::Sarsa, steps, 0.3);
        let mut agent = TdControl::new(one_hot(), settings, Seed(2).stream("agent"));
        let mut env = Script(script.clone().into(), Space::Discrete(25));
        let mut taken = play(&mut env, &mut agent, script.len());
        // One more, which may be the next action of the last step.
        let (last, _, ending) = script[script.len() - 1];
        let (at, mut action) = (if ending.ends() { 0.0 } else { last }, [0.0]);
        agent.act(&[at], &mut action);
        taken.push((at as usize, action[0] as usize));

        // n-step Sarsa as the books write it, from what was done and what came of it, in the agent's order.
        let mut q = [[0.0; 5]; 25];
        let mut begin = 0;
        let learn = |q: &mut [[f64; 5]], from: usize, to: usize, over: bool| {
            let (state, action) = taken[from];
            let tail = if over { 0.0 } else { q[taken[to].0][taken[to].1] };
            let target = (from..to).rev().fold(tail, |value, step| script[step].1 + DISCOUNT * value);
            q[state][action] += 0.1 * (target - q[state][action]);
        };
        for end in 1..=script.len() {
            if script[end - 1].2.ends() {
                for from in begin.max((end).saturating_sub(steps))..end {
                    learn(&mut q, from, end, true);
                }
                begin = end;
            } else if end - begin >= steps {
                learn(&mut q, end - steps, end, false);
            }
        }
        for (ours, expected) in agent.values().weights().iter().zip(q.as_flattened()) {
            prop_assert!((ours - expected).abs() < 1e-12);
        }
    }
}

#[test]
fn a_time_limit_is_bootstrapped_through_and_an_end_is_not() {
    for (transition, expected) in [
        (Transition::Truncated, 1.0 + DISCOUNT * 4.0),
        (Transition::Terminated, 1.0),
    ] {
        for target in [Target::Sarsa, Target::ExpectedSarsa, Target::QLearning] {
            let settings = Settings {
                step_size: 1.0,
                ..settings(target, 5, 0.0)
            };
            let mut agent = TdControl::new(one_hot(), settings, Seed(1).stream("agent"));
            agent.values().step_towards(&[1.0], 2, 4.0, 1.0);
            agent.learn(&[0.0], &[3.0], 1.0, &[1.0], transition);
            let mut q = [0.0; 5];
            agent.values().values(&[0.0], &mut q);
            for (q, expected) in q.iter().zip([0.0, 0.0, 0.0, expected, 0.0]) {
                assert!((q - expected).abs() < 1e-12, "{target:?}: {q} {expected}");
            }
        }
    }
}

#[test]
fn nothing_is_learnt_from_a_ghost() {
    // The same agent alone and in a vector environment whose every other reset is a step of its own.
    let env = || TimeLimit::new(Tabular::new(grid_world(&grid())), 7);
    let settings = settings(Target::Sarsa, 2, 0.1);
    let mut alone = TdControl::new(one_hot(), settings, Seed(1).stream("agent"));
    play(&mut env(), &mut alone, 700);
    let mut envs = Vector::new(vec![env()], Autoreset::NextStep);
    let mut batch = Batch::for_envs(&envs);
    let mut agent = TdControl::new(one_hot(), settings, Seed(1).stream("agent"));
    envs.reset(Some(1), &mut batch).unwrap();
    let (mut here, mut action) = ([batch.observations[0]], [0.0]);
    let mut ended = false;
    // 100 episodes of 7 steps, and a ghost after each.
    for _ in 0..799 {
        if !ended {
            agent.act(&here, &mut action);
        }
        envs.step(&action, &mut batch).unwrap();
        let transition = batch.transitions[0];
        agent.learn(&here, &action, batch.rewards[0], &batch.observations, transition);
        ended = transition.ends();
        here = [batch.observations[0]];
    }
    assert_eq!(agent.values().weights(), alone.values().weights());
}

#[test]
fn a_saved_agent_goes_on_to_the_same_bytes() {
    for (target, steps) in [(Target::Sarsa, 4), (Target::QLearning, 1)] {
        let settings = settings(target, steps, 0.3);
        let mut env = TimeLimit::new(Tabular::new(grid_world(&grid())), 11);
        let mut agent = TdControl::new(one_hot(), settings, Seed(1).stream("agent"));
        let (mut here, mut next, mut action) = ([0.0], [0.0], [0.0]);
        env.reset(Some(1), &mut here);
        for step in 0..2000 {
            if step == 777 {
                // In the middle of an episode, with steps that wait for their target.
                let json = serde_json::to_string(&agent).unwrap();
                let resumed: TdControl<LinearActionValues<OneHot>> = serde_json::from_str(&json).unwrap();
                let mut saved = Vec::new();
                assert!(env.save(&mut saved));
                let mut other = TimeLimit::new(Tabular::new(grid_world(&grid())), 11);
                other.load(&mut &saved[..]).unwrap();
                (agent, env) = (resumed, other);
            }
            agent.act(&here, &mut action);
            let step = env.step(&action, &mut next);
            agent.learn(&here, &action, step.reward, &next, step.transition());
            here = next;
            if step.ends() {
                env.reset(None, &mut here);
            }
        }
        let mut straight = TdControl::new(one_hot(), settings, Seed(1).stream("agent"));
        play(
            &mut TimeLimit::new(Tabular::new(grid_world(&grid())), 11),
            &mut straight,
            2000,
        );
        assert_eq!(agent.values().weights(), straight.values().weights(), "{target:?}");
    }
}

#[test]
fn q_learning_finds_the_optimum_whatever_it_does_and_sarsa_its_own_values() {
    let known = KnownControl::new(&grid(), DISCOUNT).unwrap();
    let shares = [0.04; 25];
    let far = errors_of(&known, &mut one_hot(), &shares);
    assert!(far.sup > 9.0 && far.rmse > 7.0 && far.bellman > 0.9, "{far:?}");
    let learn = |target, behaviour, discount| {
        let settings = Settings {
            behaviour,
            discount,
            ..settings(target, 1, 0.0)
        };
        let mut agent = TdControl::new(one_hot(), settings, Seed(3).stream("agent"));
        play(&mut Tabular::new(grid_world(&grid())), &mut agent, 300_000);
        agent
    };
    // Nothing is left to chance but where the agent goes, so that the errors vanish.
    let mut optimal = learn(Target::QLearning, UNIFORM, DISCOUNT);
    let errors = errors_of(&known, optimal.values(), &shares);
    assert!(
        errors.sup < 1e-6 && errors.rmse < 1e-6 && errors.weighted_rmse < 1e-6 && errors.bellman < 1e-6,
        "{errors:?}"
    );
    // Expected Sarsa under the uniform policy learns that policy's values.
    let grid = grid();
    let chain = KnownChain::new(&grid, &Policy::uniform(&grid), DISCOUNT).unwrap();
    let mut uniform = learn(Target::ExpectedSarsa, UNIFORM, DISCOUNT);
    let mut q = [0.0; 5];
    for (state, value) in chain.values().iter().enumerate() {
        uniform.values().values(&[state as f32], &mut q);
        assert!((UNIFORM.expectation(&q) - value).abs() < 1e-6, "{state}");
    }
}

/// 1, and the entries themselves.
#[derive(Clone)]
struct Affine(usize);

impl FeatureMap for Affine {
    fn dimension(&self) -> usize {
        self.0 + 1
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        feature(self.0, 1.0);
        point
            .iter()
            .enumerate()
            .for_each(|(index, &entry)| feature(index, entry));
    }
}

proptest! {
    #[test]
    fn a_network_without_hidden_layers_is_a_linear_function(
        steps in prop::collection::vec((prop::array::uniform3(-1.0..1.0_f32), 0..4_usize, -2.0..2.0_f64), 1..40), seed: u64,
    ) {
        let network = QNetwork::new(3, &[], 4, false, &mut Seed(seed).stream("network"));
        let mut linear = LinearActionValues::new(Affine(3), 4);
        // The weights of PyTorch's order, [actions, inputs] and the biases, in ours, [features, actions].
        let parameters = network.parts()[0].parameters();
        for (index, weight) in linear.weights_mut().iter_mut().enumerate() {
            let (feature, action) = (index / 4, index % 4);
            *weight = f64::from(if feature < 3 { parameters[action * 3 + feature] } else { parameters[12 + action] });
        }
        let mut network = NetworkActionValues::new(network, Encoding::new(&Space::symmetric(vec![1.0; 3])));
        let (mut ours, mut expected) = ([0.0; 4], [0.0; 4]);
        for (observation, action, target) in steps {
            network.step_towards(&observation, action, target, 0.3);
            linear.step_towards(&observation, action, target, 0.3);
            network.values(&observation, &mut ours);
            linear.values(&observation, &mut expected);
            for (ours, expected) in ours.iter().zip(expected) {
                prop_assert!((ours - expected).abs() < 1e-5, "{ours} {expected}");
            }
        }
    }
}

#[test]
fn a_network_learns_the_optimum_and_goes_on_from_where_it_was_saved() {
    let known = KnownControl::new(&grid(), DISCOUNT).unwrap();
    let encoding = Encoding::new(&Space::Discrete(25));
    let network = QNetwork::new(25, &[32], 5, false, &mut Seed(2).stream("network"));
    let settings = Settings {
        behaviour: UNIFORM,
        step_size: 0.05,
        ..settings(Target::QLearning, 1, 0.0)
    };
    let values = NetworkActionValues::new(network, encoding);
    let mut agent = TdControl::new(values, settings, Seed(3).stream("agent"));
    let mut env = Tabular::new(grid_world(&grid()));
    play(&mut env, &mut agent, 100_000);
    let saved = serde_json::to_string(&agent).unwrap();
    let mut other: TdControl<NetworkActionValues> = serde_json::from_str(&saved).unwrap();
    play(&mut env, &mut agent, 100_000);
    play(&mut env, &mut other, 100_000);
    assert_eq!(
        serde_json::to_string(&agent).unwrap(),
        serde_json::to_string(&other).unwrap()
    );
    let values = agent.values();
    let errors = known.errors(|state, q| values.values(&[state as f32], q), &[0.04; 25]);
    assert!(errors.sup < 0.05 && errors.bellman < 0.1, "{errors:?}");
}

#[test]
fn every_method_finds_the_shortest_way_to_a_target() {
    // The path task of chapter 7: an episode ends in the target, every other step costs.
    let spec = GridWorldSpec {
        map: vec![
            "S....".into(),
            ".xx..".into(),
            "..x..".into(),
            ".xTx.".into(),
            ".x...".into(),
        ],
        rewards: GridRewards {
            boundary: -10.0,
            forbidden: -10.0,
            target: 0.0,
            step: -1.0,
        },
        absorbing: true,
        ..GridWorldSpec::default()
    };
    let grid = GridWorld::new(&spec).unwrap();
    for (target, steps) in [
        (Target::Sarsa, 1),
        (Target::Sarsa, 3),
        (Target::ExpectedSarsa, 1),
        (Target::QLearning, 1),
    ] {
        let settings = settings(target, steps, 0.1);
        let mut agent = TdControl::new(one_hot(), settings, Seed(1).stream("agent"));
        let mut env = Tabular::new(grid_world(&grid));
        play(&mut env, &mut agent, 15_000);
        let (mut here, mut action) = ([0.0], [0.0]);
        env.reset(None, &mut here);
        let mut length = 0;
        loop {
            agent.act_greedily(&here, &mut action);
            length += 1;
            if env.step(&action, &mut here).terminated || length > 50 {
                break;
            }
        }
        assert_eq!(length, 11, "{target:?} {steps}");
    }
}

#[test]
fn values_that_are_no_numbers_are_as_far_off_as_can_be() {
    let known = KnownControl::new(&grid(), DISCOUNT).unwrap();
    let mut learnt = one_hot();
    learnt.weights_mut()[7] = f64::NAN;
    assert!(errors_of(&known, &mut learnt, &[0.04; 25]).bellman.is_nan());
    learnt.weights_mut().fill(f64::NAN);
    assert!(errors_of(&known, &mut learnt, &[0.04; 25]).sup.is_infinite());
}

#[test]
fn states_in_which_nothing_can_be_done_do_not_count() {
    let spec = GridWorldSpec {
        map: vec!["S.T".into()],
        absorbing: true,
        ..GridWorldSpec::default()
    };
    let known = KnownControl::new(&GridWorld::new(&spec).unwrap(), DISCOUNT).unwrap();
    let mut exact = LinearActionValues::new(OneHot { states: 3 }, 5);
    for state in 0..3_u8 {
        for (action, &q) in known.action_values().of(usize::from(state)).iter().enumerate() {
            exact.step_towards(&[f32::from(state)], action, q, 1.0);
        }
    }
    // What is said of the target, where nobody acts, is of no account.
    exact.step_towards(&[2.0], 0, 100.0, 1.0);
    let errors = errors_of(&known, &mut exact, &[0.5, 0.5, 0.0]);
    assert!(errors.sup < 1e-9 && errors.bellman < 1e-9, "{errors:?}");
    exact.step_towards(&[1.0], 1, 3.0, 1.0);
    let errors = errors_of(&known, &mut exact, &[0.9, 0.1, 0.0]);
    // v* is 0.9 and 1.
    assert!((errors.sup - 2.0).abs() < 1e-6 && (errors.rmse - 2.0_f64.sqrt()).abs() < 1e-6);
    assert!((errors.weighted_rmse - 0.4_f64.sqrt()).abs() < 1e-6);
    assert!((errors.bellman - 2.0).abs() < 1e-6, "{errors:?}");
}

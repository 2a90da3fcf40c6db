//! A time limit never changes what is learnt: a state that pays 1 for ever is worth 10 at gamma 0.9, however often it is cut off.

use etude_rl::actor_critic::{
    DeterministicActorCritic, DeterministicOptions, Distribution, GaussianOptions, Horizon, OnPolicy, OnPolicyOptions,
    OneStepActorCritic, OneStepMethod, OnlineOptions,
};
use etude_rl::ddpg::{Ddpg, DdpgOptions, Noise};
use etude_rl::{
    Agent, Autoreset, Batch, Dynamics, Encoding, Schedule, Simulator, Space, TimeLimit, Vector, VectorEnv as _,
};
use etude_train::Seed;
use rand_chacha::ChaCha8Rng;

const DISCOUNT: f64 = 0.9;
const LIMIT: usize = 20;
const MODES: [Autoreset; 3] = [Autoreset::NextStep, Autoreset::SameStep, Autoreset::Disabled];
/// What is seen of the one state.
const SEEN: [f32; 1] = [1.0];

/// One state, which pays 1 whatever is done.
struct OneState {
    actions: Space,
}

impl Dynamics for OneState {
    type State = [f64; 1];

    fn observation_space(&self) -> Space {
        Space::symmetric(vec![1.0])
    }

    fn action_space(&self) -> Space {
        self.actions.clone()
    }

    fn start(&self, _: &mut ChaCha8Rng) -> Self::State {
        [1.0]
    }

    fn advance(&self, state: Self::State, _: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        (state, 1.0, false)
    }

    fn observe(&self, _: &Self::State, observation: &mut [f32]) {
        observation.copy_from_slice(&SEEN);
    }
}

/// Lets an agent learn for so many steps.
fn learn<A: Agent>(mut agent: A, actions: &Space, mode: Autoreset, count: usize, steps: usize) -> A {
    let env = || {
        let actions = actions.clone();
        TimeLimit::new(Simulator::new(OneState { actions }), LIMIT)
    };
    let mut envs = Vector::new((0..count).map(|_| env()).collect(), mode);
    let mut batch = Batch::for_envs(&envs);
    envs.reset(Some(1), &mut batch).unwrap();
    let mut chosen = vec![0.0; count * actions.length()];
    for _ in 0..steps {
        let observations = batch.observations.clone();
        agent.act(&observations, &mut chosen);
        envs.step(&chosen, &mut batch).unwrap();
        agent.learn(&observations, &chosen, &batch).unwrap();
        if mode == Autoreset::Disabled {
            let ended: Vec<bool> = batch.transitions.iter().map(|transition| transition.ends()).collect();
            envs.reset_where(&ended, &mut batch).unwrap();
        }
    }
    agent
}

fn check(what: &str, mode: Autoreset, value: f64) {
    assert!((value - 10.0).abs() < 0.1, "{what}, {mode:?}: {value}");
}

fn seen() -> Encoding {
    Encoding::new(&Space::symmetric(vec![1.0]))
}

#[test]
fn a_limit_does_not_change_what_is_learnt() {
    let falling = |from: f64| Schedule::Linear {
        from,
        to: 0.0,
        over: 1.0,
    };
    let (choice, number) = (Space::Discrete(2), Space::symmetric(vec![1.0]));
    for mode in MODES {
        for (name, usual, envs) in [
            ("reinforce", OnPolicyOptions::reinforce(), 1),
            ("a2c", OnPolicyOptions::a2c(), 3),
            ("ppo", OnPolicyOptions::ppo(), 3),
        ] {
            let options = OnPolicyOptions {
                hidden: vec![8],
                discount: DISCOUNT,
                // Longer than an episode, so that there is more than one in most pieces.
                horizon: match usual.horizon {
                    Horizon::Episode => Horizon::Episode,
                    Horizon::Steps(_) => Horizon::Steps(32),
                },
                learning_rate: falling(0.02),
                max_gradient_norm: None,
                ..usual
            };
            for actions in [&choice, &number] {
                let distribution = Distribution::new(name, actions, GaussianOptions::default()).unwrap();
                let total = 12_000 * envs as u64;
                let agent = OnPolicy::new(options.clone(), (seen(), distribution), (envs, mode), total, Seed(1));
                let mut agent = learn(agent, actions, mode, envs, 12_000);
                check(name, mode, agent.state_values(&SEEN)[0].into());
            }
        }
        for (name, method) in [("qac", OneStepMethod::Qac), ("off-policy", OneStepMethod::OffPolicy)] {
            let options = OnlineOptions {
                discount: DISCOUNT,
                actor_step_size: 1e-3,
                critic_step_size: 0.1,
                ..OnlineOptions::default()
            };
            let agent = OneStepActorCritic::new((name, method), options, seen(), (&choice, mode), Seed(1)).unwrap();
            let mut agent = learn(agent, &choice, mode, 1, 4000);
            check(name, mode, agent.state_values(&SEEN)[0]);
        }
        let spaces = (&Space::symmetric(vec![1.0]), &number);
        let options = DeterministicOptions {
            critic_degree: 1,
            discount: DISCOUNT,
            critic_step_size: 0.05,
            ..DeterministicOptions::default()
        };
        let agent = DeterministicActorCritic::new(options, spaces, mode, Seed(1)).unwrap();
        check("dpg", mode, learn(agent, &number, mode, 1, 8000).state_value(&SEEN));
        for (name, usual) in [("ddpg", DdpgOptions::default()), ("td3", DdpgOptions::td3())] {
            let options = DdpgOptions {
                hidden: vec![16, 16],
                discount: DISCOUNT,
                critic_learning_rate: falling(5e-3),
                critic_weight_decay: 0.0,
                batch: 32,
                capacity: 10_000,
                learning_starts: 100,
                tau: 0.05,
                noise: Noise::Gaussian { deviation: 0.2 },
                ..usual
            };
            let agent = Ddpg::new(options, spaces, (2, mode), 12_000, Seed(1)).unwrap();
            let mut agent = learn(agent, &number, mode, 2, 6000);
            check(name, mode, agent.state_value(&SEEN).into());
        }
    }
}

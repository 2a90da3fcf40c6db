//! Actions that may not be taken: no agent takes them while it learns, and what it learns counts those that may.

use etude_rl::actor_critic::{
    Distribution, GaussianOptions, OnPolicy, OnPolicyOptions, OneStepActorCritic, OneStepMethod, OnlineOptions,
};
use etude_rl::wrappers::ActionMask;
use etude_rl::{Agent, Autoreset, Batch, Encoding, Space, Transition, Vector, VectorEnv as _, make};
use etude_train::Seed;

/// The taxis of every mode of resetting, whose actions must be allowed at every step; the agent acts in so many of them.
fn never_takes_what_is_masked(name: &str, count: usize, agent: impl Fn(Encoding, Autoreset) -> Box<dyn Agent>) {
    for mode in [Autoreset::NextStep, Autoreset::SameStep, Autoreset::Disabled] {
        let taxi = || ActionMask::new(make("Taxi-v4").unwrap()).unwrap();
        let mut envs = Vector::new((0..count).map(|_| taxi()).collect(), mode);
        let mut agent = agent(Encoding::new(envs.observation_space()), mode);
        let mut batch = Batch::for_envs(&envs);
        envs.reset(Some(1), &mut batch).unwrap();
        let (mut actions, mut taken) = (vec![0.0; count], [0_u32; 6]);
        for _ in 0..1000 {
            let observations = batch.observations.clone();
            agent.act(&observations, &mut actions);
            for (row, &action) in observations.chunks_exact(7).zip(&actions) {
                assert!(row[1 + action as usize] > 0.0, "{name}, {mode:?}: {row:?}, {action}");
                taken[action as usize] += 1;
            }
            envs.step(&actions, &mut batch).unwrap();
            agent.learn(&observations, &actions, &batch).unwrap();
            if mode == Autoreset::Disabled {
                let ended: Vec<bool> = batch.transitions.iter().map(|transition| transition.ends()).collect();
                envs.reset_where(&ended, &mut batch).unwrap();
            }
        }
        assert!(taken.iter().all(|&times| times > 0), "{name}: {taken:?}");
    }
}

#[test]
fn on_policy_agents_never_take_what_is_masked() {
    for (name, usual, count) in [
        ("reinforce", OnPolicyOptions::reinforce(), 1),
        ("a2c", OnPolicyOptions::a2c(), 4),
        ("ppo", OnPolicyOptions::ppo(), 4),
    ] {
        never_takes_what_is_masked(name, count, |encoding, mode| {
            let options = OnPolicyOptions {
                hidden: vec![16],
                ..usual.clone()
            };
            let distribution = Distribution::new(name, &Space::Discrete(6), GaussianOptions::default()).unwrap();
            let distribution = distribution.masked_by(name, &encoding).unwrap();
            let agent = OnPolicy::new(options, (encoding, distribution), (count, mode), 4000, Seed(2));
            Box::new(agent)
        });
    }
}

#[test]
fn one_step_agents_never_take_what_is_masked() {
    for (name, method, behaviour_epsilon) in [
        ("qac", OneStepMethod::Qac, 0.0),
        ("off-policy-actor-critic", OneStepMethod::OffPolicy, 0.5),
        ("off-policy-actor-critic", OneStepMethod::OffPolicy, 1.0),
    ] {
        never_takes_what_is_masked(name, 1, |encoding, mode| {
            let options = OnlineOptions {
                behaviour_epsilon,
                actor_step_size: 1e-4,
                ..OnlineOptions::default()
            };
            let spaces = (&Space::Discrete(6), mode);
            Box::new(OneStepActorCritic::new((name, method), options, encoding, spaces, Seed(2)).unwrap())
        });
    }
}

/// Of six actions two may be taken, so the random behaviour takes each half of the time, as the policy does at first: the weight is 1,
/// and not 3.
#[test]
fn the_behaviour_off_policy_is_that_among_the_allowed_actions() {
    let space = Space::Masked {
        observation: Box::new(Space::Discrete(1)),
        actions: 6,
    };
    let options = OnlineOptions {
        critic_step_size: 0.01,
        ..OnlineOptions::default()
    };
    let method = ("off-policy-actor-critic", OneStepMethod::OffPolicy);
    let spaces = (&Space::Discrete(6), Autoreset::SameStep);
    let mut agent = OneStepActorCritic::new(method, options, Encoding::new(&space), spaces, Seed(1)).unwrap();
    let seen = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let batch = Batch {
        observations: seen.to_vec(),
        final_observations: seen.to_vec(),
        rewards: vec![1.0],
        transitions: vec![Transition::Terminated],
    };
    let before = agent.state_values(&seen)[0];
    agent.learn(&seen, &[1.0], &batch).unwrap();
    let moved = agent.state_values(&seen)[0] - before;
    // The state, the two actions of the mask and the bias: each is 1, and moves by the step size.
    let expected = 0.01 * 4.0 * (1.0 - before);
    assert!((moved / expected - 1.0).abs() < 0.05, "{moved}, expected {expected}");
}

/// A mask that the distribution does not heed.
#[test]
#[should_panic(expected = "masked actions")]
fn an_agent_whose_distribution_heeds_no_mask_is_refused() {
    let space = Space::Masked {
        observation: Box::new(Space::Discrete(1)),
        actions: 2,
    };
    let distribution = Distribution::new("a2c", &Space::Discrete(2), GaussianOptions::default()).unwrap();
    let parts = (Encoding::new(&space), distribution);
    OnPolicy::new(OnPolicyOptions::a2c(), parts, (1, Autoreset::SameStep), 10, Seed(1));
}

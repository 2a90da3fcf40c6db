//! The scalar linear-quadratic regulator: what deterministic policies learn is known exactly.

use etude_rl::actor_critic::{DeterministicActorCritic, DeterministicOptions, PolynomialCritic};
use etude_rl::ddpg::{Ddpg, DdpgOptions, Noise};
use etude_rl::{Agent, Autoreset, FeatureMap as _, LinearQuadratic, Schedule, Training, VectorEnv, make_envs};
use etude_train::Seed;

const DISCOUNT: f64 = 0.95;
/// The bound of actions, between which those of an actor's units lie.
const MOST: f64 = 2.0;

fn envs() -> Box<dyn VectorEnv> {
    make_envs("LinearQuadratic-v0", 1, Autoreset::SameStep).unwrap()
}

/// k of the learnt policy u = -k x, from what it does at 1 and at -1.
fn gain(agent: &dyn Agent) -> f64 {
    let (mut policy, mut actions) = (agent.policy(), [0.0; 2]);
    policy.act(&[1.0, -1.0], &mut actions);
    f64::from(actions[1] - actions[0]) / 2.0
}

fn check(what: &str, gain: f64, tolerance: f64) {
    let [best, _] = LinearQuadratic::default().riccati(DISCOUNT);
    assert!((gain / best - 1.0).abs() < tolerance, "{what}: {gain}, Riccati {best}");
}

#[test]
fn the_deterministic_policy_gradient_is_its_closed_form() {
    // J(k) = -p(k) with x = 1 at first and u = -k x, where p = q + r k^2 + gamma (a - b k)^2 p, but for the noise, of which no
    // gain depends.
    let LinearQuadratic {
        drift,
        control,
        state_cost,
        control_cost,
        ..
    } = LinearQuadratic::default();
    let value = |k: f64| {
        let rest = 1.0 - DISCOUNT * (drift - control * k).powi(2);
        (state_cost + control_cost * k * k) / rest
    };
    for k in [0.3, 0.9, 1.5] {
        let closed = -(value(k + 1e-5) - value(k - 1e-5)) / 2e-5;
        // The critic of that policy, exactly: q(x, u) = -(q x^2 + r u^2 + gamma p (a x + b u)^2), of actions in units of their bound.
        let p = value(k);
        let mut critic = PolynomialCritic::new(1, 1, 2);
        let exact = |x: f64, v: f64| {
            let u = MOST * v;
            -(state_cost * x * x + control_cost * u * u + DISCOUNT * p * (drift * x + control * u).powi(2))
        };
        // Each weight from the second differences of q, by which of x^2, x v and v^2 its feature is.
        let features = critic.features().clone();
        let mut weights = vec![0.0; features.dimension()];
        let (xx, vv) = (exact(1.0, 0.0), exact(0.0, 1.0));
        let xv = exact(1.0, 1.0) - xx - vv;
        features.visit(&[2.0, 3.0], &mut |index, feature| {
            weights[index] = match feature as u32 {
                4 => xx,
                6 => xv,
                9 => vv,
                _ => 0.0,
            };
        });
        critic.weights_mut().copy_from_slice(&weights);
        assert!((critic.value(&[0.5], &[0.25]) - exact(0.5, 0.25)).abs() < 1e-12);
        // The sum over time of gamma^t grad_k mu(x_t) grad_u q(x_t, mu(x_t)).
        let (mut gradient, mut x, mut weight) = (0.0, 1.0_f64, 1.0);
        for _ in 0..2000 {
            let mut slope = [0.0];
            critic.action_slopes(&[x as f32], &[(-k * x / MOST) as f32], &mut slope);
            gradient += weight * -x * f64::from(slope[0]) / MOST;
            x *= drift - control * k;
            weight *= DISCOUNT;
        }
        assert!(
            (gradient - closed).abs() < 1e-4 * (1.0 + closed.abs()),
            "{k}: {gradient} {closed}"
        );
    }
}

#[test]
fn deterministic_actor_critic_lands_on_the_riccati_gain() {
    let envs = envs();
    let options = DeterministicOptions {
        discount: DISCOUNT,
        actor_step_size: 1e-3,
        critic_step_size: 5e-2,
        noise: Noise::Gaussian { deviation: 0.2 },
        ..DeterministicOptions::default()
    };
    let spaces = (envs.observation_space(), envs.action_space());
    let agent = DeterministicActorCritic::new(options, spaces, Autoreset::SameStep, Seed(1)).unwrap();
    let mut training = Training::new(envs, Box::new(agent), 1).unwrap();
    training.run_until(400_000).unwrap();
    check("deterministic actor-critic", gain(training.agent()), 0.02);
}

#[test]
fn ddpg_with_a_linear_actor_lands_on_the_riccati_gain() {
    const STEPS: u64 = 40_000;
    for seed in 1..=4 {
        let envs = envs();
        let falling = |from: f64, to: f64| Schedule::Linear { from, to, over: 1.0 };
        let options = DdpgOptions {
            linear_actor: true,
            quadratic_critic: true,
            discount: DISCOUNT,
            actor_learning_rate: falling(1e-3, 0.0),
            critic_learning_rate: falling(1e-2, 0.0),
            critic_weight_decay: 0.0,
            capacity: 10_000,
            tau: 0.02,
            noise: Noise::Gaussian { deviation: 0.5 },
            ..DdpgOptions::default()
        };
        let spaces = (envs.observation_space(), envs.action_space());
        let agent = Ddpg::new(options, spaces, (1, Autoreset::SameStep), STEPS, Seed(seed)).unwrap();
        let mut training = Training::new(envs, Box::new(agent), 1).unwrap();
        training.run_until(STEPS).unwrap();
        // Seen: 0.9723, 0.9743, 0.9661, 0.9627.
        check("ddpg", gain(training.agent()), 0.02);
    }
}

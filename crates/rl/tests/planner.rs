//! The planner against Riccati's equation, against its own neighbourhood, and in the environments themselves.

use etude_rl::continuous_control::PendulumSwingUp;
use etude_rl::planner::{Ilqr, Planner};
use etude_rl::{Dynamics, Env, Simulator, Space, make};
use rand_chacha::ChaCha8Rng;

/// s' = F s + G a, with the reward -(s^T Q s + a^T R a): two coupled carts that two motors push.
struct LinearQuadratic {
    most: f32,
}

const F: [[f64; 4]; 4] = [
    [1.0, 0.1, 0.0, 0.0],
    [-0.05, 1.0, 0.05, 0.0],
    [0.0, 0.0, 1.0, 0.1],
    [0.05, 0.0, 0.02, 1.0],
];
const G: [[f64; 2]; 4] = [[0.0, 0.0], [0.1, 0.02], [0.0, 0.0], [0.0, 0.15]];
const Q: [[f64; 4]; 4] = [
    [1.0, 0.1, 0.2, 0.0],
    [0.1, 0.5, 0.0, 0.0],
    [0.2, 0.0, 2.0, 0.0],
    [0.0, 0.0, 0.0, 0.1],
];
const R: [[f64; 2]; 2] = [[0.3, 0.05], [0.05, 0.2]];
const START: [f64; 4] = [1.0, -0.5, 0.3, 2.0];
const STEPS: usize = 60;

fn product<const N: usize, const K: usize, const M: usize>(a: &[[f64; K]; N], b: &[[f64; M]; K]) -> [[f64; M]; N] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..K).map(|k| a[i][k] * b[k][j]).sum()))
}

fn transposed<const N: usize, const M: usize>(a: &[[f64; M]; N]) -> [[f64; N]; M] {
    std::array::from_fn(|i| std::array::from_fn(|j| a[j][i]))
}

fn sum<const N: usize, const M: usize>(a: &[[f64; M]; N], b: &[[f64; M]; N]) -> [[f64; M]; N] {
    std::array::from_fn(|i| std::array::from_fn(|j| a[i][j] + b[i][j]))
}

fn column<const N: usize>(a: [f64; N]) -> [[f64; 1]; N] {
    a.map(|entry| [entry])
}

impl Dynamics for LinearQuadratic {
    type State = [f64; 4];

    fn observation_space(&self) -> Space {
        Space::symmetric(vec![f32::INFINITY; 4])
    }

    fn action_space(&self) -> Space {
        Space::symmetric(vec![self.most; 2])
    }

    fn start(&self, _: &mut ChaCha8Rng) -> Self::State {
        START
    }

    fn advance(&self, state: Self::State, action: &[f32], _: &mut ChaCha8Rng) -> (Self::State, f64, bool) {
        let (s, a) = (column(state), column([f64::from(action[0]), f64::from(action[1])]));
        let next = sum(&product(&F, &s), &product(&G, &a));
        let cost = product(&transposed(&s), &product(&Q, &s))[0][0] + product(&transposed(&a), &product(&R, &a))[0][0];
        (next.map(|[entry]| entry), -cost, false)
    }

    fn observe(&self, state: &Self::State, observation: &mut [f32]) {
        observation.copy_from_slice(&state.map(|entry| entry as f32));
    }
}

/// The gains of all steps and the matrix of the cost to go at the start, by Riccati's recursion
/// K = -(R + G^T P G)^-1 G^T P F, P = Q + F^T P (F + G K).
fn riccati() -> (Vec<[[f64; 4]; 2]>, [[f64; 4]; 4]) {
    let mut cost = [[0.0; 4]; 4];
    let mut gains = Vec::new();
    for _ in 0..STEPS {
        let pulled = product(&transposed(&G), &cost);
        let [[a, b], [c, d]] = sum(&R, &product(&pulled, &G));
        let minus_inverse = [[d, -b], [-c, a]].map(|row| row.map(|entry| -entry / (a * d - b * c)));
        let gain = product(&minus_inverse, &product(&pulled, &F));
        let closed = sum(&F, &product(&G, &gain));
        cost = sum(&Q, &product(&transposed(&F), &product(&cost, &closed)));
        gains.push(gain);
    }
    gains.reverse();
    (gains, cost)
}

#[test]
fn on_a_linear_quadratic_problem_gains_are_those_of_riccati() {
    let law = LinearQuadratic { most: 100.0 };
    let mut ilqr = Ilqr::<_, 4, 2>::new(&law);
    let (expected, cost) = riccati();
    // Around any trajectory near the origin, where second differences are exact to many digits.
    let begin = START.map(|entry| 0.1 * entry);
    let wild: Vec<[f64; 2]> = (0..STEPS).map(|step| [0.1 * (step % 7) as f64 - 0.3, 0.05]).collect();
    let trajectory = ilqr.follow(begin, &wild);
    let gains = ilqr.gains(&trajectory).unwrap();
    assert_eq!(gains.len(), STEPS);
    for (step, (gain, expected)) in gains.iter().zip(&expected).enumerate() {
        for (ours, theirs) in gain.feedback.as_flattened().iter().zip(expected.as_flattened()) {
            assert!((ours - theirs).abs() < 1e-6, "step {step}: {ours} {theirs}");
        }
    }
    // The first step is the whole way.
    let start = column(begin);
    let best = -product(&transposed(&start), &product(&cost, &start))[0][0];
    let improved = ilqr.improve(trajectory, 1);
    assert!(
        (improved.earned() - best).abs() < 1e-6 * best.abs(),
        "{} {best}",
        improved.earned()
    );
}

/// A motor that does all it can, or has found its best, is not better off with a little more or less.
#[test]
fn bounded_actions_cannot_be_improved_one_by_one() {
    let law = LinearQuadratic { most: 1.5 };
    let mut ilqr = Ilqr::<_, 4, 2>::new(&law);
    let idle = ilqr.follow(START, &[[0.0; 2]; STEPS]);
    let best = ilqr.improve(idle, 100);
    let at_bound = |action: &&[f64; 2]| action.iter().any(|motor| motor.abs() >= 1.5);
    let bound = best.actions.iter().filter(at_bound).count();
    assert!((3..STEPS - 10).contains(&bound), "{bound}");
    assert!(best.actions.as_flattened().iter().all(|motor| motor.abs() <= 1.5));
    for step in 0..STEPS {
        for motor in 0..2 {
            for change in [-0.01, 0.01] {
                let mut actions = best.actions.clone();
                actions[step][motor] += change;
                let other = ilqr.follow(START, &actions).earned();
                assert!(other <= best.earned() + 1e-5, "step {step}: {other} {}", best.earned());
            }
        }
    }
}

#[test]
#[should_panic(expected = "numbers of an action")]
fn a_planner_wants_to_know_how_many_motors_there_are() {
    Ilqr::<_, 4, 1>::new(&LinearQuadratic { most: 1.0 });
}

/// The plan earns in the environment what it says, again and again.
#[test]
fn the_pendulum_is_swung_up() {
    let mut known = Simulator::new(PendulumSwingUp);
    let mut env = make("PendulumSwingUp-v0").unwrap();
    let mut observation = [0.0; 3];
    known.reset(Some(3), &mut observation);
    let plan = Planner::default().play::<_, 2, 1>(&PendulumSwingUp, known.state(), 500);
    // Random actions earn 3; value iteration on a fine grid, about 387.
    assert!(plan.earned() > 375.0, "{}", plan.earned());
    assert_eq!(plan, Planner::default().play(&PendulumSwingUp, known.state(), 500));
    env.reset(Some(3), &mut observation);
    let mut earned = 0.0;
    for (index, action) in plan.actions.iter().enumerate() {
        let step = env.step(&[action[0] as f32], &mut observation);
        earned += step.reward;
        assert_eq!(step.truncated, index == 499);
    }
    assert!((earned - plan.earned()).abs() < 1e-9, "{earned} {}", plan.earned());
    assert!(observation[0] > 0.999, "{observation:?}");
}

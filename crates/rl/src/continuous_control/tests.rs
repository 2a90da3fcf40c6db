//! The mechanisms against SymPy and SciPy, against the law of conservation of energy, and against their mirror images.

use std::collections::BTreeMap;

use etude_train::Seed;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::simulator::Dynamics;

/// See `scripts/rl_task_fixtures.py`.
#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    chain: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Case {
    state: Vec<f64>,
    action: Vec<f32>,
    rate: Vec<f64>,
    next: Vec<f64>,
    reward: f64,
}

/// The greatest difference of two vectors.
fn difference(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Holds a law to its fixture: time derivatives to 1e-10 of their size, a step to `step`, twenty steps to `chain`.
fn agree<D, const N: usize>(task: &str, law: &D, rate: impl Fn([f64; N], &[f32]) -> [f64; N], [step, chain]: [f64; 2])
where
    D: Dynamics<State = [f64; N]>,
{
    let file = include_str!("../../tests/fixtures/continuous_control.json");
    let mut fixtures: BTreeMap<String, Fixture> = serde_json::from_str(file).unwrap();
    let fixture = fixtures.remove(task).unwrap();
    let mut random = Seed(0).stream("none is used");
    let array = |numbers: &[f64]| -> [f64; N] { numbers.try_into().unwrap() };
    for (index, case) in fixture.cases.iter().enumerate() {
        let state = array(&case.state);
        let size = case.rate.iter().fold(1.0, |size: f64, entry| size.max(entry.abs()));
        let off = difference(&rate(state, &case.action), &case.rate);
        assert!(
            off <= 1e-10 * size,
            "{task}, case {index}: the derivative is off by {off}"
        );
        let (next, reward, terminated) = law.advance(state, &case.action, &mut random);
        let off = difference(&next, &case.next);
        assert!(off <= step, "{task}, case {index}: the step is off by {off}");
        assert!((reward - case.reward).abs() <= step, "{task}, case {index}: {reward}");
        assert!(!terminated);
    }
    let mut state = array(&fixture.cases[0].state);
    for expected in &fixture.chain {
        for _ in 0..5 {
            state = law.advance(state, &fixture.cases[0].action, &mut random).0;
        }
        let off = difference(&state, expected);
        assert!(off <= chain, "{task}: off by {off} after some steps");
    }
}

fn agree_poles<const P: usize, const N: usize>(task: &str, law: CartPoles<P, N>, bounds: [f64; 2])
where
    CartPoles<P, N>: Dynamics<State = [f64; N]>,
{
    let rate = |s, a: &[f32]| law.rate(s, CartPoles::<P, N>::force(&s, f64::from(a[0])));
    agree(task, &law, rate, bounds);
}

fn agree_arm<const L: usize, const N: usize>(task: &str, bounds: [f64; 2])
where
    Reacher<L, N>: Dynamics<State = [f64; N]>,
{
    let law = Reacher::<L, N>::random_target();
    agree(task, &law, |s, a: &[f32]| law.rate(s, motors(a)), bounds);
}

#[test]
fn mechanisms_are_those_of_sympy_and_scipy() {
    agree("Cart-v0", &Cart, |s, a| Cart::rate(s, motors(a)), [1e-10, 1e-9]);
    let rate = |s, a: &[f32]| PendulumSwingUp::rate(s, motors(a));
    agree("PendulumSwingUp-v0", &PendulumSwingUp, rate, [1e-7, 1e-6]);
    agree_poles("CartPoleSwingUp-v0", CartPoles::swing_up(), [1e-7, 1e-6]);
    agree_poles("CartPoleParallelDouble-v0", CartPoles::parallel_double(), [1e-6, 1e-5]);
    // Chains whip about, and what whips about forgets where it was.
    agree_poles("CartPoleSerialDouble-v0", CartPoles::serial_double(), [1e-6, 1e-3]);
    agree_poles("CartPoleSerialTriple-v0", CartPoles::serial_triple(), [1e-6, 1e-3]);
    agree_arm::<1, 4>("ReacherSingle-v0", [1e-9, 1e-9]);
    agree_arm::<2, 6>("ReacherDouble-v0", [1e-7, 1e-7]);
    agree_arm::<3, 8>("Reacher-v0", [1e-6, 1e-7]);
}

/// What comes of a mirrored state and action is the mirror image of what comes of them, and earns the same.
fn mirrors<D, const N: usize>(law: &D, state: [f64; N], action: &[f32], mirror: impl Fn([f64; N]) -> [f64; N])
where
    D: Dynamics<State = [f64; N]>,
{
    let mut random = Seed(0).stream("none is used");
    let opposite: Vec<f32> = action.iter().map(|motor| -motor).collect();
    let (next, reward, _) = law.advance(state, action, &mut random);
    let (other, same, _) = law.advance(mirror(state), &opposite, &mut random);
    let off = difference(&mirror(next), &other);
    assert!(off < 1e-9, "{state:?} {action:?}: off by {off}");
    assert!((reward - same).abs() < 1e-9, "{reward} {same}");
    assert!((0.0..=1.0).contains(&reward), "{reward}");
    let mut observation = vec![f32::NAN; law.observation_space().length()];
    law.observe(&next, &mut observation);
    assert!(law.observation_space().contains(&observation), "{observation:?}");
}

fn minus<const N: usize>(state: [f64; N]) -> [f64; N] {
    state.map(|entry| -entry)
}

/// Arms are mirrored at the x axis.
fn flipped<const N: usize>(mut state: [f64; N]) -> [f64; N] {
    state = minus(state);
    state[N - 2] = -state[N - 2];
    state
}

proptest! {
    #[test]
    fn left_is_like_right(
        state in prop::array::uniform8(-6.0..6.0_f64),
        action in prop::array::uniform3(-1.5..1.5_f32),
    ) {
        let [a, b, c, d, e, f, ..] = state;
        mirrors(&Cart, [a, b], &action, minus);
        mirrors(&PendulumSwingUp, [a, b], &action, minus);
        mirrors(&CartPoles::balance(), [a, b, c, d], &action, minus);
        mirrors(&CartPoles::serial_double(), [a, b, c, d, e, f], &action, minus);
        mirrors(&CartPoles::parallel_double(), [a, b, c, d, e, f], &action, minus);
        mirrors(&CartPoles::serial_triple(), state, &action, minus);
        mirrors(&Reacher::<1, 4>::random_target(), [a, b, c, d], &action, flipped);
        mirrors(&Reacher::<2, 6>::random_target(), [a, b, c, d, e, f], &action, flipped);
        mirrors(&Reacher::<3, 8>::random_target(), state, &action, flipped);
    }

    #[test]
    fn what_is_beyond_a_motor_is_cut_off(state in prop::array::uniform4(-6.0..6.0_f64), beyond in 1.0..100.0_f32) {
        let mut random = Seed(0).stream("none is used");
        let mut advance = |motor| CartPoles::swing_up().advance(state, &[motor], &mut random);
        prop_assert_eq!(advance(beyond), advance(1.0));
        prop_assert_eq!(advance(-beyond), advance(-1.0));
    }
}

/// Where a task is done, a resting motor earns all there is.
#[test]
fn all_is_well_where_it_should_be() {
    let mut random = Seed(0).stream("none is used");
    let mut rewards = vec![
        Cart.advance([0.0; 2], &[0.0], &mut random).1,
        PendulumSwingUp.advance([0.0; 2], &[0.0], &mut random).1,
        CartPoles::balance().advance([0.0; 4], &[0.0], &mut random).1,
        CartPoles::serial_double().advance([0.0; 6], &[0.0], &mut random).1,
        CartPoles::parallel_double().advance([0.0; 6], &[0.0], &mut random).1,
        CartPoles::serial_triple().advance([0.0; 8], &[0.0], &mut random).1,
    ];
    // A bent arm whose end is at the target.
    let arm = Reacher::<2, 6>::fixed_target();
    let bent = [0.0, std::f64::consts::FRAC_PI_2, 0.0, 0.0, 0.5, 0.5];
    rewards.push(arm.advance(bent, &[0.0; 2], &mut random).1);
    assert!(rewards.iter().all(|reward| (reward - 1.0).abs() < 1e-12), "{rewards:?}");
    // Hanging earns nothing, and full power a tenth less.
    let hanging = [std::f64::consts::PI, 0.0];
    assert!(PendulumSwingUp.advance(hanging, &[0.0], &mut random).1 < 1e-12);
    let pushed = Cart.advance([0.0; 2], &[1.0], &mut random);
    let expected = 0.9 / (1.0 + (pushed.0[0] / 0.2).powi(2));
    assert!((pushed.1 - expected).abs() < 1e-12);
}

/// Targets that move are within reach, and those that do not are the same in all episodes.
#[test]
fn targets_are_where_they_should_be() {
    fn targets<const L: usize, const N: usize>(law: &Reacher<L, N>) -> Vec<[f64; 2]>
    where
        Reacher<L, N>: Dynamics<State = [f64; N]>,
    {
        let target = |seed| {
            let state = law.start(&mut Seed(seed).stream("environment"));
            [state[N - 2], state[N - 1]]
        };
        (0..100).map(target).collect()
    }
    for fixed in [
        targets(&Reacher::<1, 4>::fixed_target()),
        targets(&Reacher::<3, 8>::fixed_target()),
    ] {
        assert!(fixed.iter().all(|target| difference(target, &fixed[0]) == 0.0));
    }
    let single = targets(&Reacher::<1, 4>::random_target());
    assert!(single.iter().all(|[x, y]| (x.hypot(*y) - 0.5).abs() < 1e-12));
    let triple = targets(&Reacher::<3, 8>::random_target());
    assert!(triple.iter().all(|[x, y]| (0.6..1.35).contains(&x.hypot(*y))));
    assert!(triple.iter().any(|[x, _]| *x < 0.0) && triple.iter().any(|[x, _]| *x > 0.0));
}

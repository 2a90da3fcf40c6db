//! The same bytes on any number of threads.

use etude_mdp::optimal::{Method, Solution, solve};
use etude_mdp::{GridWorld, GridWorldSpec, Mdp, MdpBuilder, Model, Next, silent};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPoolBuilder;

use crate::common::{methods, options};

/// Solves in a pool of one, two and three threads and compares every bit of the answers.
fn check(model: &impl Model, discount: f64, method: Method, tolerance: f64) {
    let solve_on = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| solve(model, discount, &options(method, tolerance), &mut silent))
            .unwrap()
    };
    let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let one = solve_on(1);
    for threads in [2, 3] {
        let Solution {
            values,
            policy,
            iterations,
            sweeps,
            residual,
            bound,
            history,
            ..
        } = solve_on(threads);
        let case = format!("{method} on {threads} threads");
        assert!(bits(&values) == bits(&one.values), "{case}");
        assert!(policy == one.policy, "{case}");
        assert!(bits(&history) == bits(&one.history), "{case}");
        assert_eq!((iterations, sweeps), (one.iterations, one.sweeps), "{case}");
        assert_eq!(bits(&[residual, bound]), bits(&[one.residual, one.bound]), "{case}");
    }
}

/// A random sparse model, which mixes in a few steps.
fn random(states: usize) -> Mdp {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut builder = MdpBuilder::new(states);
    for state in 0..states {
        for action in 0..3 {
            let weights: [f64; 4] = std::array::from_fn(|_| random.random_range(0.1..1.0));
            let reward = random.random_range(-1.0..1.0);
            for weight in weights {
                let next = Next::State(random.random_range(0..states));
                builder.transition(state, action, next, weight / weights.iter().sum::<f64>(), reward);
            }
        }
    }
    builder.build().unwrap()
}

/// A slippery grid with targets and forbidden cells strewn over it, where news travels cell by cell.
fn grid(rows: usize, columns: usize) -> GridWorld {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut cell = || match random.random_range(0..1000) {
        0 => 'T',
        1..200 => 'x',
        200..250 => '#',
        _ => '.',
    };
    let map = (0..rows).map(|_| (0..columns).map(|_| cell()).collect()).collect();
    GridWorld::new(&GridWorldSpec {
        map,
        slip: 0.2,
        ..GridWorldSpec::default()
    })
    .unwrap()
}

/// Large enough for two parts of Gauss-Seidel sweeps and many blocks.
const STATES: usize = 30_000;

#[test]
fn a_random_sparse_model() {
    let model = random(STATES);
    for method in methods() {
        check(&model, 0.95, method, 1e-6);
    }
}

#[test]
fn a_slippery_grid() {
    let model = grid(150, STATES / 150);
    for method in methods() {
        check(&model, 0.95, method, 1e-4);
    }
}

#[test]
fn a_slippery_grid_stored() {
    let model = Mdp::store(&grid(150, STATES / 150)).unwrap();
    for method in [
        Method::ValueIteration,
        Method::GaussSeidel,
        Method::KrylovPolicyIteration,
    ] {
        check(&model, 0.95, method, 1e-4);
    }
}

/// Large enough for four parts.
#[test]
fn a_large_slippery_grid() {
    check(&grid(600, 600), 0.99, Method::KrylovPolicyIteration, 1e-2);
}

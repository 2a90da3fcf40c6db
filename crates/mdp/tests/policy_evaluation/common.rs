//! What the tests of policy evaluation share.

use etude_mdp::policy_evaluation::{Evaluation, EvaluationMethod, EvaluationOptions, evaluate};
use etude_mdp::{GridWorld, GridWorldSpec, Mdp, MdpBuilder, Model, Next, Policy, silent};

/// A method and a tolerance.
pub(crate) fn options(method: EvaluationMethod, tolerance: f64) -> EvaluationOptions {
    EvaluationOptions {
        method,
        tolerance,
        ..EvaluationOptions::default()
    }
}

/// The same problem by every method, each within its bound of the tolerance.
pub(crate) fn by_every_method(model: &impl Model, policy: &Policy, discount: f64, tolerance: f64) -> Vec<Evaluation> {
    let evaluate = |method| {
        let evaluation = evaluate(model, policy, discount, &options(method, tolerance), &mut silent).unwrap();
        assert_eq!(evaluation.method, method);
        assert!(evaluation.bound <= tolerance);
        evaluation
    };
    EvaluationMethod::ALL.into_iter().map(evaluate).collect()
}

/// The largest difference of two entries.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .fold(0.0, |distance, (a, b)| (a - b).abs().max(distance))
}

/// A walk on a line that ends at its right end: slow to evaluate without discount, since it takes states^2 steps.
pub(crate) fn walk(states: usize) -> Mdp {
    let mut builder = MdpBuilder::new(states);
    for state in 0..states {
        builder.transition(state, 0, Next::State(state.saturating_sub(1)), 0.5, -1.0);
        let right = if state + 1 < states {
            Next::State(state + 1)
        } else {
            Next::End
        };
        builder.transition(state, 0, right, 0.5, -1.0);
    }
    builder.build().unwrap()
}

/// The book's grid worlds: `x` earns -1 and `T` earns 1 to enter or stay in, and moves off the grid bounce and earn -1.
pub(crate) fn grid(map: &[&str]) -> GridWorld {
    GridWorld::new(&GridWorldSpec {
        map: map.iter().map(ToString::to_string).collect(),
        ..GridWorldSpec::default()
    })
    .unwrap()
}

/// The grid of five by five cells.
pub(crate) fn book() -> GridWorld {
    grid(&[".....", ".xx..", "..x..", ".xTx.", ".x..."])
}

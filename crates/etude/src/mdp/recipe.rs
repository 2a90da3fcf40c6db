//! The recipe of an exact-planning run.

use std::path::PathBuf;

use etude_mdp::GridWorldSpec;
use etude_mdp::optimal::Method;
use etude_mdp::policy_evaluation::EvaluationMethod;
use serde::Deserialize;

use super::method::{Evaluator, Solver};
use super::policy::PolicyRecipe;
use crate::recipe::range::{Discount, Finite, Positive, Whole};

/// A finite MDP, its discount, and what each verb of `etude mdp` does with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    /// A name for reports; the file's name where it is left out.
    pub(super) title: Option<String>,
    /// The discount gamma.
    pub(super) gamma: Discount,
    /// Where the random numbers of a simulation start; 0 where it is left out.
    pub(super) seed: Option<Whole<0>>,
    pub(super) model: ModelRecipe,
    #[serde(default)]
    pub(super) draw: Draw,
    #[serde(default)]
    pub(super) solve: Solve,
    #[serde(default)]
    pub(super) evaluate: Evaluate,
    #[serde(default)]
    pub(super) compare: Compare,
    #[serde(default)]
    pub(super) sweep: Sweep,
    #[serde(default)]
    pub(super) simulate: Simulate,
}

/// Where the model comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(super) enum ModelRecipe {
    /// A grid world, described in place.
    Grid(GridWorldSpec),
    /// A model file.
    File(ModelFile),
}

/// A model file, relative to the recipe's folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelFile {
    pub(super) path: PathBuf,
    /// The second archive, where the first is a NumPy archive of transitions.
    pub(super) rewards: Option<PathBuf>,
}

/// How to draw a model that comes from a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Draw {
    /// States are the cells of a grid of so many columns, row by row.
    pub(super) columns: Option<Whole<1>>,
    /// The names of the actions by label; `up`, `right`, `down`, `left` and `stay` are drawn as arrows.
    pub(super) actions: Vec<String>,
}

/// `etude mdp solve`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Solve {
    pub(super) method: Solver,
    pub(super) tolerance: Positive,
    pub(super) max_iterations: Whole<1>,
    /// Solve for so many steps to go instead of for ever.
    pub(super) horizon: Option<Whole<1, 1_000_000>>,
}

impl Default for Solve {
    fn default() -> Self {
        Self {
            method: Solver(Method::Auto),
            tolerance: Positive::constant(1e-6),
            max_iterations: Whole::constant(1_000_000),
            horizon: None,
        }
    }
}

/// `etude mdp evaluate`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Evaluate {
    pub(super) policy: PolicyRecipe,
    pub(super) method: Evaluator,
    pub(super) tolerance: Positive,
    pub(super) max_iterations: Whole<1>,
    /// Episodes for the Monte-Carlo estimate of the values of a few states; 0 leaves it out.
    pub(super) episodes: Whole<0, 100_000_000>,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self {
            policy: PolicyRecipe::Named("uniform".into()),
            method: Evaluator(EvaluationMethod::Auto),
            tolerance: Positive::constant(1e-6),
            max_iterations: Whole::constant(1_000_000),
            // Enough to catch a mistake, and on a large model no longer than the evaluation itself.
            episodes: Whole::constant(100),
        }
    }
}

/// `etude mdp compare`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Compare {
    pub(super) methods: Vec<Solver>,
    pub(super) tolerance: Positive,
}

impl Default for Compare {
    fn default() -> Self {
        let methods = [
            Method::ValueIteration,
            Method::GaussSeidel,
            Method::TruncatedPolicyIteration { sweeps: 5 },
            Method::PolicyIteration,
            Method::KrylovPolicyIteration,
        ];
        Self {
            methods: methods.map(Solver).to_vec(),
            tolerance: Positive::constant(1e-6),
        }
    }
}

/// `etude mdp sweep`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sweep {
    /// Discounts to solve for.
    pub(super) gammas: Vec<Discount>,
    /// Rewards of a grid world for running into its edge, to solve for while the others stay as they are.
    pub(super) boundary: Vec<Finite>,
    /// Likewise for entering a forbidden cell.
    pub(super) forbidden: Vec<Finite>,
    /// Likewise for entering a target.
    pub(super) target: Vec<Finite>,
    /// Likewise for entering any other cell.
    pub(super) step: Vec<Finite>,
    /// Affine maps [a, b] of the rewards, r -> a r + b with a > 0, under which optimal policies stay the same.
    pub(super) affine: Vec<(Positive, Finite)>,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            gammas: [0.0, 0.5, 0.9, 0.99].map(Discount::constant).to_vec(),
            boundary: Vec::new(),
            forbidden: Vec::new(),
            target: Vec::new(),
            step: Vec::new(),
            affine: vec![
                (Positive::constant(2.0), Finite::constant(1.0)),
                (Positive::constant(0.1), Finite::constant(-3.0)),
            ],
        }
    }
}

impl Sweep {
    /// The lists of rewards by their keys, which are those of a grid world's rewards.
    pub(super) fn rewards(&self) -> [(&'static str, &[Finite]); 4] {
        [
            ("boundary", &self.boundary),
            ("forbidden", &self.forbidden),
            ("target", &self.target),
            ("step", &self.step),
        ]
    }
}

/// `etude mdp simulate`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Simulate {
    pub(super) policy: PolicyRecipe,
    pub(super) episodes: Whole<1, 100_000_000>,
    /// The most steps of an episode.
    pub(super) horizon: Whole<1, 100_000_000>,
    /// The state in which every episode starts; a grid's start, else drawn uniformly, where it is left out.
    pub(super) start: Option<Whole<0>>,
}

impl Default for Simulate {
    fn default() -> Self {
        Self {
            policy: PolicyRecipe::Named("optimal".into()),
            episodes: Whole::constant(1_000),
            horizon: Whole::constant(1_000),
            start: None,
        }
    }
}

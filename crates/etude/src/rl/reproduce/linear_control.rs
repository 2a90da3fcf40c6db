//! Figures 8.9 and 8.10: Sarsa and Q-learning with a linear function of state and action.

use etude_rl::control::{JointActionValues, Target};
use etude_rl::{FeatureMap, Fourier};
use serde_json::{Value, json};

use super::book::{self, ACTIONS, CELLS, SIDE};
use super::check::{Basis, Check, Criterion};
use super::path::{self, EPISODES, LAST, Method};
use super::{Part, Setting, Watch};
use crate::error::CommandError;
use crate::report::Section;

/// The order of the cosines.
const ORDER: i32 = 5;
/// alpha.
const STEP_SIZE: f64 = 0.001;
/// The median mean length of the last hundred episodes. In forty runs apart from these Sarsa's was 25 and Q-learning's 15; a
/// shortest way has 11 steps, and one action in ten is taken at random.
const LENGTH: f64 = 50.0;
/// The share of the last hundred episodes after which the greedy policy goes a shortest way. In those runs it was 0.75 with Sarsa
/// and 0.79 with Q-learning.
const FOUND: f64 = 0.5;

/// The features of every cell and action, computed once: cosines of row, column and action, each from 0 to 1.
#[derive(Clone)]
struct Pairs(Vec<Vec<f64>>);

impl Pairs {
    fn new(map: &Fourier) -> Self {
        let pairs = (0..CELLS).flat_map(|cell| (0..ACTIONS).map(move |action| (cell, action)));
        let features = pairs.map(|(cell, action)| {
            let place = |index: usize, count: usize| index as f64 / (count - 1) as f64;
            let point = [
                place(cell / SIDE, SIDE),
                place(cell % SIDE, SIDE),
                place(action, ACTIONS),
            ];
            let mut features = vec![0.0; map.dimension()];
            map.write(&point, &mut features);
            features
        });
        Self(features.collect())
    }
}

impl FeatureMap for Pairs {
    fn dimension(&self) -> usize {
        self.0[0].len()
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        let row = point[0] as usize * ACTIONS + point[1] as usize;
        for (index, value) in self.0[row].iter().enumerate() {
            feature(index, *value);
        }
    }
}

pub(super) fn play(setting: &Setting<'_>) -> Result<Part, CommandError> {
    let grid = book::path_task(book::rewards(-10.0, -10.0, 1.0, 0.0))?;
    let pairs = Pairs::new(&Fourier::new(3, ORDER));
    let watch = Watch::new(
        setting.output,
        "figures 8.9 and 8.10",
        2 * setting.runs * EPISODES as u64,
    );
    let learn = |name, target| {
        let settings = path::settings(target, 1, STEP_SIZE);
        let first = || JointActionValues::new(pairs.clone(), ACTIONS);
        let seeds = setting.seed..setting.seed + setting.runs;
        path::learn(name, &grid, settings, first, seeds, &watch)
    };
    let methods = [learn("Sarsa", Target::Sarsa)?, learn("Q-learning", Target::QLearning)?];
    let checks = (methods.iter().zip(["8.9", "8.10"]))
        .flat_map(|(method, figure)| checks(method, figure))
        .collect();
    let mut section = Section::new("Figures 8.9 and 8.10: control with linear functions")
        .text(format!(
            "The task: from the top left cell to the target, where the episode ends; 1 for reaching it, -10 for a forbidden cell \
             or the edge. q(s, a) is a linear function of {} cosines of row, column and action up to order {ORDER}, moved at \
             a step size of {STEP_SIZE}, with ε = 0.1, for {EPISODES} episodes, as long as they take.",
            pairs.dimension()
        ))
        .note(format!(
            "The book draws the curves of one run and a policy, and no number. These are {} runs from different seeds. The limits \
             are ours, set before: over the last {LAST} episodes a median length of at most {LENGTH} steps, and a greedy \
             policy that goes a shortest way, of 11 steps, after at least half of them. It need not after every one: the step \
             size is constant, and a single update changes many values. That features are of state and action together is \
             our reading of the book's φ(s, a); with features of the state alone and weights for each action, 36 cosines, \
             neither method finds the way reliably in {EPISODES} episodes.",
            setting.runs
        ));
    for (method, figure) in methods.iter().zip(["8.9", "8.10"]) {
        let caption = format!(
            "Figure {figure}, {}: greedy policy and values of the first run",
            method.name
        );
        section = section.item(&book::policy_map(caption, &grid, &method.runs[0].values));
    }
    let section = path::plots(&methods).iter().fold(section, Section::item);
    Ok(Part {
        sections: vec![section],
        checks,
        results: (
            "8.9, 8.10",
            json!({ "methods": methods.iter().map(Method::result).collect::<Vec<Value>>() }),
        ),
        curves: methods
            .iter()
            .flat_map(|method| method.curves("linear-control"))
            .collect(),
    })
}

fn checks(method: &Method, figure: &'static str) -> [Check; 2] {
    let check = |what: &str, found, criterion| Check {
        figure,
        what: format!("{} with linear functions: {what}", method.name),
        found,
        criterion,
        basis: Basis::Drawn,
    };
    [
        check("steps to the target", method.length(), Criterion::AtMost(LENGTH)),
        check(
            "share of episodes after which the greedy way is a shortest one",
            method.found(),
            Criterion::AtLeast(FOUND),
        ),
    ]
}

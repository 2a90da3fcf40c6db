//! Figures 8.7 and 8.8, the numbers: the uniform policy's values learnt with linear functions, and the exact answers.

use etude_mdp::{GridRewards, GridWorld};
use etude_rl::prediction::{Lstd, Predictor, Sample, TdLambda};
use etude_rl::{Env, FeatureMap, FeatureMatrix, Fourier, KnownChain, Objectives, Polynomial, Tabular, grid_world};
use etude_train::Seed;
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::book::{self, ACTIONS, CELLS, DISCOUNT, SIDE};
use super::{Setting, Watch, state_values};
use crate::error::CommandError;

/// Steps of an episode.
const STEPS: usize = 500;
/// Episodes that the book plays.
pub(super) const EPISODES: usize = 500;
/// Ours go on for so many, since the slowest features have not arrived by then.
pub(super) const LONGER: usize = 5000;
/// The weights are averaged from this episode on: with a constant step size they never come to rest.
pub(super) const AVERAGED_FROM: usize = 1500;
/// alpha.
pub(super) const STEP_SIZE: f64 = 0.0005;
/// Objectives are recorded after every so many episodes.
const EVERY: usize = 5;

/// A feature map on the grid, and what is known of it.
pub(super) struct Features {
    pub(super) name: &'static str,
    pub(super) figure: &'static str,
    /// What the errors of the fixed point of TD, of the projection and of the least Bellman residual must be.
    pub(super) floors: [f64; 3],
    map: Box<dyn FeatureMap + Send + Sync>,
    /// Where rows and columns begin; they end at 1.
    low: f64,
    pub(super) matrix: FeatureMatrix,
    /// The features of each cell.
    rows: Vec<Vec<f64>>,
}

impl Features {
    fn new(
        name: &'static str,
        figure: &'static str,
        low: f64,
        map: impl FeatureMap + Send + Sync + 'static,
        floors: [f64; 3],
    ) -> Self {
        let points: Vec<Vec<f64>> = (0..CELLS)
            .map(|cell| [cell / SIDE, cell % SIDE].map(|place| at(low, place, SIDE)).to_vec())
            .collect();
        let rows = points.iter().map(|point| features(&map, point)).collect();
        Self {
            matrix: FeatureMatrix::new(&map, &points),
            name,
            figure,
            floors,
            map: Box::new(map),
            low,
            rows,
        }
    }

    /// How many features there are.
    pub(super) fn dimension(&self) -> usize {
        self.map.dimension()
    }

    /// The approximate values on `side` times `side` points between the cells, row by row.
    pub(super) fn mesh(&self, weights: &[f64], side: usize) -> Vec<f64> {
        (0..side * side)
            .map(|index| {
                let point = [index / side, index % side].map(|place| at(self.low, place, side));
                let features = features(&*self.map, &point);
                features.iter().zip(weights).map(|(x, w)| x * w).sum()
            })
            .collect()
    }
}

/// Where the `place`-th of `count` points between `low` and 1 is.
fn at(low: f64, place: usize, count: usize) -> f64 {
    low + (1.0 - low) * place as f64 / (count - 1) as f64
}

fn features(map: &(impl FeatureMap + ?Sized), point: &[f64]) -> Vec<f64> {
    let mut features = vec![0.0; map.dimension()];
    map.write(point, &mut features);
    features
}

/// The feature maps of figures 8.7 and 8.8, and cosines up to order 5, which can express everything.
pub(super) fn maps() -> [Features; 7] {
    let polynomial = |name, degree, floors| Features::new(name, "8.7", -1.0, Polynomial::new(2, degree), floors);
    let fourier = |name, order, floors| Features::new(name, "8.8", 0.0, Fourier::new(2, order), floors);
    [
        polynomial("polynomials of degree 1", 1, [0.222_774, 0.221_480, 0.242_532]),
        polynomial("polynomials of degree 2", 2, [0.193_511, 0.191_923, 0.216_932]),
        polynomial("polynomials of degree 3", 3, [0.125_149, 0.124_586, 0.129_757]),
        fourier("cosines of order 1", 1, [0.206_704, 0.206_333, 0.213_188]),
        fourier("cosines of order 2", 2, [0.137_421, 0.135_995, 0.145_885]),
        fourier("cosines of order 3", 3, [0.097_347, 0.092_516, 0.145_595]),
        fourier("cosines of order 5", 5, [0.0; 3]),
    ]
}

/// Weights and where the objectives stand at them.
pub(super) struct Weights {
    pub(super) weights: Vec<f64>,
    pub(super) objectives: Objectives,
}

/// What is known exactly of a feature map, and what was learnt with it.
pub(super) struct Outcome {
    pub(super) features: Features,
    pub(super) fixed_point: Weights,
    pub(super) projection: Weights,
    pub(super) residual: Weights,
    /// By TD, after as many episodes as the book plays.
    pub(super) last: Weights,
    /// By TD, on average over the later episodes.
    pub(super) averaged: Weights,
    /// By LSTD from the book's episodes.
    pub(super) lstd: Weights,
    /// By LSTD from every state and action once, as often as the policy sees them in the long run.
    pub(super) balanced: Weights,
    /// The root mean square error of TD after each of the book's episodes.
    pub(super) errors: Vec<f64>,
    /// The objectives of TD on the way: after how many episodes, and where they stood.
    pub(super) objectives: Vec<(usize, Objectives)>,
}

impl Outcome {
    /// How far the values of some weights are from those of the fixed point, in the mean over the cells.
    pub(super) fn distance(&self, weights: &Weights) -> f64 {
        let matrix = &self.features.matrix;
        let (ours, exact) = (
            matrix.values(&weights.weights),
            matrix.values(&self.fixed_point.weights),
        );
        root_mean_square(ours.iter().zip(&exact).map(|(a, b)| a - b))
    }

    /// The furthest that an exact error is from what it must be.
    pub(super) fn floors(&self) -> f64 {
        [&self.fixed_point, &self.projection, &self.residual]
            .iter()
            .zip(self.features.floors)
            .fold(0.0, |furthest: f64, (weights, floor)| {
                furthest.max((weights.objectives.value_error - floor).abs())
            })
    }
}

fn root_mean_square(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    (values.map(|value| value * value).sum::<f64>() / count).sqrt()
}

/// All feature maps, on the same episodes.
pub(super) fn learn(setting: &Setting<'_>) -> Result<(KnownChain, Vec<Outcome>), CommandError> {
    let grid = book::grid(GridRewards::default())?;
    let chain = state_values::chain(&grid)?;
    let maps = maps();
    let watch = Watch::new(setting.output, "figures 8.7 and 8.8", (maps.len() * LONGER) as u64);
    let outcomes = (maps.into_iter().enumerate().collect::<Vec<_>>())
        .into_par_iter()
        .map(|(index, features)| one(features, index as u64, &grid, &chain, setting.seed, &watch))
        .collect::<Result<_, _>>()?;
    Ok((chain, outcomes))
}

fn one(
    features: Features,
    index: u64,
    grid: &GridWorld,
    chain: &KnownChain,
    seed: u64,
    watch: &Watch,
) -> Result<Outcome, CommandError> {
    let matrix = &features.matrix;
    let weights = |weights: Vec<f64>| Weights {
        objectives: chain.objectives(matrix, &weights),
        weights,
    };
    let first: Vec<f64> = (Seed(seed).stream_indexed("weights", index))
        .sample_iter(StandardNormal)
        .take(features.dimension())
        .collect();
    let mut td = TdLambda::new(first, DISCOUNT, STEP_SIZE, 0.0);
    let mut lstd = Lstd::new(features.dimension(), DISCOUNT, 1e6);
    let (mut sum, mut last) = (vec![0.0; features.dimension()], Vec::new());
    let (mut errors, mut objectives) = (Vec::new(), Vec::new());
    let exact = chain.values();

    let mut env = Tabular::new(grid_world(grid));
    let mut random = Seed(seed).stream("uniform policy");
    let mut observation = [0.0];
    for episode in 1..=LONGER {
        watch.step()?;
        // Anywhere, all cells alike.
        env.reset((episode == 1).then_some(seed), &mut observation);
        let mut here = observation[0] as usize;
        for step in 1..=STEPS {
            let action = random.random_range(0..ACTIONS) as f32;
            let reward = env.step(&[action], &mut observation).reward;
            let next = observation[0] as usize;
            let sample = Sample {
                features: &features.rows[here],
                reward,
                next: Some(&features.rows[next]),
                ends: step == STEPS,
            };
            td.learn(sample);
            if episode <= EPISODES {
                lstd.learn(sample);
            }
            here = next;
        }
        if episode <= EPISODES {
            let values = matrix.values(td.weights());
            errors.push(root_mean_square(
                values.iter().zip(&exact).map(|(ours, exact)| ours - exact),
            ));
            if episode % EVERY == 0 {
                objectives.push((episode, chain.objectives(matrix, td.weights())));
            }
            if episode == EPISODES {
                last = td.weights().to_vec();
            }
        }
        if episode > AVERAGED_FROM {
            let share = 1.0 / (LONGER - AVERAGED_FROM) as f64;
            sum.iter_mut()
                .zip(td.weights())
                .for_each(|(sum, weight)| *sum += share * weight);
        }
    }
    let balanced = balanced(&features, grid);
    Ok(Outcome {
        fixed_point: weights(chain.td_fixed_point(matrix)),
        projection: weights(chain.projection(matrix)),
        residual: weights(chain.bellman_residual_minimiser(matrix)),
        last: weights(last),
        averaged: weights(sum),
        lstd: weights(lstd.weights().to_vec()),
        balanced: weights(balanced),
        features,
        errors,
        objectives,
    })
}

/// What LSTD makes of every state and action once. The uniform policy sees them equally often.
fn balanced(features: &Features, grid: &GridWorld) -> Vec<f64> {
    let model = grid_world(grid);
    let mut lstd = Lstd::new(features.dimension(), DISCOUNT, 1e6);
    for (cell, row) in features.rows.iter().enumerate() {
        for action in 0..ACTIONS {
            for outcome in model.outcomes(cell, action) {
                lstd.learn(Sample {
                    features: row,
                    reward: outcome.reward,
                    next: Some(&features.rows[outcome.next as usize]),
                    ends: false,
                });
            }
        }
    }
    lstd.weights().to_vec()
}

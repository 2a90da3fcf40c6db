//! Probability distributions over actions, whose parameters a network gives: stochastic policies pi(a|s; theta).
//!
//! Everything here is about one row: the network's outputs for one observation, and one action. Actions are as they were drawn:
//! [`Distribution::to_environment`] makes of them what an environment is given.

mod categorical;
mod gaussian;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use self::categorical::Categorical;
pub use self::gaussian::{Deviation, Gaussian, GaussianOptions};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::space::Space;

/// A kind of distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// One of so many actions, or several such choices.
    Categorical(Categorical),
    /// Numbers.
    Gaussian(Gaussian),
}

/// What a distribution is told of one row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// What the network gives for the observation.
    pub outputs: &'a [f32],
    /// The logarithms of deviations that depend on no observation, where the distribution has such.
    pub log_deviations: &'a [f32],
    /// Above zero for each action that may be taken; empty where all may.
    pub mask: &'a [f32],
}

impl<'a> Row<'a> {
    /// Of these outputs, where all actions may be taken and no deviation is a parameter of its own.
    pub fn of(outputs: &'a [f32]) -> Self {
        Self {
            outputs,
            log_deviations: &[],
            mask: &[],
        }
    }
}

impl Distribution {
    /// For actions from `space`.
    ///
    /// # Errors
    /// A squashed distribution needs bounds, and no action is a picture.
    pub fn new(algorithm: &'static str, space: &Space, options: GaussianOptions) -> Result<Self, RlError> {
        Ok(match space {
            Space::Discrete(count) => Self::Categorical(Categorical::new(vec![*count])),
            Space::MultiDiscrete(counts) => Self::Categorical(Categorical::new(counts.clone())),
            Space::Box { low, high } => {
                let bounded = low.iter().chain(high).all(|bound| bound.is_finite());
                if options.squashed && !bounded {
                    return Err(RlError::ActionSpace {
                        algorithm,
                        expected: "numbers between two bounds, where its policy is squashed",
                        found: space.clone(),
                    });
                }
                Self::Gaussian(Gaussian::new(low.clone(), high.clone(), options))
            }
            Space::Pixels { .. } | Space::Masked { .. } => {
                return Err(RlError::ActionSpace {
                    algorithm,
                    expected: "numbers, or one of so many actions",
                    found: space.clone(),
                });
            }
        })
    }

    /// The same one, among the actions that observations say may be taken, where `encoding` shows such a mask.
    ///
    /// # Errors
    /// The mask is of other actions, or actions are numbers, which no mask is about.
    pub fn masked_by(self, algorithm: &'static str, encoding: &Encoding) -> Result<Self, RlError> {
        match self {
            unmasked if encoding.mask_length() == 0 => Ok(unmasked),
            Self::Categorical(categorical) if encoding.mask_length() == categorical.outputs() => {
                Ok(Self::Categorical(categorical.masked()))
            }
            Self::Categorical(categorical) => Err(RlError::ActionSpace {
                algorithm,
                expected: "among as many actions as the mask of its observations has",
                found: Space::MultiDiscrete(categorical.counts().to_vec()),
            }),
            Self::Gaussian(gaussian) => {
                let [low, high] = gaussian.bounds().map(<[f32]>::to_vec);
                Err(RlError::ActionSpace {
                    algorithm,
                    expected: "one of so many actions, where a mask says which may be taken",
                    found: Space::Box { low, high },
                })
            }
        }
    }

    /// How many of the last numbers that the network sees say which actions may be taken; 0 where none does.
    pub fn mask_length(&self) -> usize {
        match self {
            Self::Categorical(categorical) => categorical.mask_length(),
            Self::Gaussian(_) => 0,
        }
    }

    /// What there is to know of one row: what the network sees, what it gives, and the deviations that are parameters of their own.
    pub fn row<'a>(&self, inputs: &'a [f32], outputs: &'a [f32], log_deviations: &'a [f32]) -> Row<'a> {
        Row {
            outputs,
            log_deviations,
            mask: &inputs[inputs.len() - self.mask_length()..],
        }
    }

    /// Whether its actions are those of `space`.
    pub(crate) fn fits(&self, space: &Space) -> bool {
        match (self, space) {
            (Self::Categorical(categorical), Space::Discrete(count)) => categorical.counts() == [*count],
            (Self::Categorical(categorical), Space::MultiDiscrete(counts)) => categorical.counts() == counts,
            (Self::Gaussian(gaussian), Space::Box { low, high }) => gaussian.bounds() == [low, high],
            _ => false,
        }
    }

    /// The actions that may be taken where the network sees `inputs`, of one choice of so many.
    pub(super) fn allowed(&self, inputs: &[f32]) -> impl Iterator<Item = usize> + Clone {
        let mask = self.row(inputs, &[], &[]).mask;
        (0..self.outputs()).filter(move |&action| mask.get(action).is_none_or(|&may| may > 0.0))
    }

    /// How many outputs of the network it takes.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Categorical(categorical) => categorical.outputs(),
            Self::Gaussian(gaussian) => gaussian.outputs(),
        }
    }

    /// The logarithms of deviations that are parameters of their own, as they are at first.
    pub fn log_deviations(&self) -> Vec<f32> {
        match self {
            Self::Categorical(_) => Vec::new(),
            Self::Gaussian(gaussian) => gaussian.log_deviations(),
        }
    }

    /// How many numbers make up an action.
    pub fn action_length(&self) -> usize {
        match self {
            Self::Categorical(categorical) => categorical.counts().len(),
            Self::Gaussian(gaussian) => gaussian.action_length(),
        }
    }

    /// Draws an action.
    pub fn sample(&self, row: Row<'_>, random: &mut ChaCha8Rng, action: &mut [f32]) {
        match self {
            Self::Categorical(categorical) => categorical.sample(row, random, action),
            Self::Gaussian(gaussian) => gaussian.sample(row, random, action),
        }
    }

    /// The most probable action, and of a Gaussian the mean: what is done without exploration.
    pub fn mode(&self, row: Row<'_>, action: &mut [f32]) {
        match self {
            Self::Categorical(categorical) => categorical.mode(row, action),
            Self::Gaussian(gaussian) => gaussian.mode(row, action),
        }
    }

    /// ln pi(a|s) and the entropy, of which a squashed Gaussian gives an estimate, minus ln pi(a|s).
    pub fn log_probability_and_entropy(&self, row: Row<'_>, action: &[f32]) -> [f32; 2] {
        match self {
            Self::Categorical(categorical) => categorical.log_probability_and_entropy(row, action),
            Self::Gaussian(gaussian) => gaussian.log_probability_and_entropy(row, action),
        }
    }

    /// pi(.|s) of one choice of so many actions, in 64 bits, where they add up to 1.
    pub(super) fn probabilities(&self, row: Row<'_>) -> Vec<f64> {
        let weights: Vec<f64> = (0..row.outputs.len())
            .map(|action| f64::from(self.log_probability_and_entropy(row, &[action as f32])[0]).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    /// The gradient of `by[0]` times ln pi(a|s) plus `by[1]` times the entropy: by the network's outputs into `gradient`, and by the
    /// deviations that are parameters of their own, added to `of_deviations`.
    pub fn gradient(
        &self,
        row: Row<'_>,
        action: &[f32],
        by: [f32; 2],
        gradient: &mut [f32],
        of_deviations: &mut [f32],
    ) {
        match self {
            Self::Categorical(categorical) => categorical.gradient(row, action, by, gradient),
            Self::Gaussian(gaussian) => gaussian.gradient(row, action, by, gradient, of_deviations),
        }
    }

    /// What the environment is given for an action that was drawn: shape `[n, a]`, in place.
    pub fn to_environment(&self, actions: &mut [f32]) {
        if let Self::Gaussian(gaussian) = self {
            gaussian.to_environment(actions);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// See `scripts/rl_actor_critic_fixtures.py`.
    #[derive(Deserialize)]
    struct Fixtures {
        distributions: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        kind: String,
        counts: Option<Vec<usize>>,
        outputs: Vec<Vec<f32>>,
        log_std: Option<Vec<f32>>,
        mask: Option<Vec<Vec<bool>>>,
        actions: Vec<Vec<f32>>,
        pre_squash: Option<Vec<Vec<f32>>>,
        log_probs: Vec<f32>,
        entropies: Option<Vec<f32>>,
        log_prob_weights: Vec<f32>,
        entropy_weights: Vec<f32>,
        gradient: Vec<Vec<f32>>,
        log_std_gradient: Option<Vec<f32>>,
    }

    fn masked(observation: Space, actions: usize) -> Encoding {
        Encoding::new(&Space::Masked {
            observation: Box::new(observation),
            actions,
        })
    }

    #[test]
    fn the_last_numbers_that_the_network_sees_are_the_mask() {
        let options = GaussianOptions::default();
        let distribution = Distribution::new("ppo", &Space::Discrete(3), options).unwrap();
        assert_eq!(distribution.row(&[0.5, 0.0], &[1.0; 3], &[]).mask, [0.0; 0]);
        let encoding = masked(Space::Discrete(2), 3);
        let distribution = distribution.masked_by("ppo", &encoding).unwrap();
        let (inputs, mut memory) = ([1.0, 0.0, 1.0, 1.0], Vec::new());
        let inputs = encoding.encode(&inputs, &mut memory);
        let row = distribution.row(inputs, &[5.0, 1.0, 1.0], &[]);
        assert_eq!(row.mask, [0.0, 1.0, 1.0]);
        assert_eq!(distribution.probabilities(row), [0.0, 0.5, 0.5]);
        assert_eq!(distribution.allowed(inputs).collect::<Vec<_>>(), [1, 2]);

        // Cards that were written before there were masks.
        let old: Distribution = serde_json::from_str(r#"{ "categorical": { "counts": [3] } }"#).unwrap();
        assert_eq!(old.mask_length(), 0);
        let written = serde_json::to_string(&distribution).unwrap();
        assert_eq!(serde_json::from_str::<Distribution>(&written).unwrap(), distribution);
    }

    #[test]
    fn masks_of_other_actions_are_refused() {
        let options = GaussianOptions::default();
        let refused = |space: &Space| {
            let distribution = Distribution::new("ppo", space, options).unwrap();
            let error = distribution.masked_by("ppo", &masked(Space::Discrete(2), 3));
            error.unwrap_err().to_string()
        };
        assert_eq!(
            refused(&Space::Discrete(2)),
            "ppo chooses among as many actions as the mask of its observations has; in this environment an action is one of 2"
        );
        assert_eq!(
            refused(&Space::symmetric(vec![1.0])),
            "ppo chooses one of so many actions, where a mask says which may be taken; in this environment an action is 1 number"
        );
        let space = Space::Masked {
            observation: Box::new(Space::Discrete(2)),
            actions: 2,
        };
        assert!(Distribution::new("ppo", &space, options).is_err());
    }

    fn near(what: &str, ours: f32, theirs: f32) {
        assert!(
            (ours - theirs).abs() <= 1e-5 * (1.0 + theirs.abs()),
            "{what}: {ours} {theirs}"
        );
    }

    #[test]
    fn probabilities_entropies_and_gradients_are_pytorchs() {
        let fixtures: Fixtures =
            serde_json::from_str(include_str!("../../../tests/fixtures/actor_critic.json")).unwrap();
        assert!(fixtures.distributions.len() >= 8);
        for case in fixtures.distributions {
            let length = case.actions[0].len();
            let space = match &case.counts {
                Some(counts) => Space::MultiDiscrete(counts.clone()),
                None => Space::symmetric(vec![1.0; length]),
            };
            let squashed = case.kind == "squashed_gaussian";
            let options = GaussianOptions {
                deviation: if case.log_std.is_none() {
                    Deviation::OfState
                } else {
                    Deviation::Free
                },
                squashed,
                ..GaussianOptions::default()
            };
            let distribution = Distribution::new("a2c", &space, options).unwrap();
            let log_deviations = case.log_std.clone().unwrap_or_default();
            assert_eq!(
                distribution.log_deviations().len(),
                log_deviations.len(),
                "{}",
                case.kind
            );
            let mut of_deviations = vec![0.0; log_deviations.len()];
            for (index, outputs) in case.outputs.iter().enumerate() {
                let what = format!("{}, row {index}", case.kind);
                let mask: Vec<f32> = case
                    .mask
                    .iter()
                    .flat_map(|mask| &mask[index])
                    .map(|&may| f32::from(may))
                    .collect();
                let row = Row {
                    outputs,
                    log_deviations: &log_deviations,
                    mask: &mask,
                };
                let action = case
                    .pre_squash
                    .as_ref()
                    .map_or(&case.actions[index], |drawn| &drawn[index]);
                let [log_probability, entropy] = distribution.log_probability_and_entropy(row, action);
                near(&what, log_probability, case.log_probs[index]);
                near(
                    &what,
                    entropy,
                    case.entropies
                        .as_ref()
                        .map_or(-case.log_probs[index], |entropies| entropies[index]),
                );
                let by = [case.log_prob_weights[index], case.entropy_weights[index]];
                let mut gradient = vec![f32::NAN; outputs.len()];
                distribution.gradient(row, action, by, &mut gradient, &mut of_deviations);
                for (ours, theirs) in gradient.iter().zip(&case.gradient[index]) {
                    near(&what, *ours, *theirs);
                }
                let mut taken = action.clone();
                distribution.to_environment(&mut taken);
                if squashed {
                    for (ours, theirs) in taken.iter().zip(&case.actions[index]) {
                        near(&what, *ours, *theirs);
                    }
                }
            }
            for (ours, theirs) in of_deviations.iter().zip(case.log_std_gradient.iter().flatten()) {
                near(&case.kind, *ours, *theirs);
            }
        }
    }
}

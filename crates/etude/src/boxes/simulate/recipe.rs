//! The recipe of a simulation.

use std::path::Path;

use serde::Deserialize;

use crate::boxes::metric::Member;
use crate::error::CommandError;
use crate::recipe::range::{Positive, Whole};
use crate::recipe::{self, Loaded, Override};

/// The recipe that is part of the program, and where it lies in the repository.
const BUILT_IN: &str = include_str!("../../../../../recipes/boxes/regression.toml");
const BUILT_IN_PATH: &str = "recipes/boxes/regression.toml";

/// Which boxes run to which targets, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    /// Where the random numbers start; 0 where it is left out.
    pub(super) seed: Option<Whole<0>>,
    pub(super) losses: Vec<Member>,
    /// How many places of anchors there are.
    pub(super) points: Whole<1, 1_000_000>,
    /// How far from the targets' centre they are at most.
    pub(super) radius: Positive,
    /// The areas of anchors.
    pub(super) areas: Vec<Positive>,
    /// Width / height, of anchors and of targets.
    pub(super) ratios: Vec<Positive>,
    pub(super) iterations: Whole<1, 100_000>,
    /// That of the first 80 % of the iterations.
    pub(super) learning_rate: Positive,
}

impl Recipe {
    /// Reads the recipe at `path`, or the one that is part of the program.
    pub(super) fn load(path: Option<&Path>, overrides: &[Override]) -> Result<Loaded<Self>, CommandError> {
        let loaded: Loaded<Self> = match path {
            Some(path) => recipe::load(Some(path), overrides)?,
            None => recipe::load_text(Path::new(BUILT_IN_PATH), BUILT_IN, overrides)?,
        };
        let recipe = &loaded.value;
        let lists = [
            ("losses", recipe.losses.len()),
            ("areas", recipe.areas.len()),
            ("ratios", recipe.ratios.len()),
        ];
        match lists.into_iter().find(|(_, length)| *length == 0) {
            Some((field, _)) => Err(loaded.reject(field, "found an empty list; name one at least")),
            None => Ok(loaded),
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed.map_or(0, |seed| seed.get() as u64)
    }

    /// The learning rate of an iteration, from 1 on (algorithm 1, line 6).
    pub(super) fn rate(&self, iteration: usize) -> f64 {
        let share = iteration as f64 / self.iterations.get() as f64;
        let factor = if share <= 0.8 {
            1.0
        } else if share <= 0.9 {
            0.1
        } else {
            0.01
        };
        self.learning_rate.get() * factor
    }

    /// Width and height of every box and of its target, at each place.
    pub(super) fn shapes(&self) -> Vec<[[f64; 2]; 2]> {
        let sides = |area: f64, ratio: f64| [(area * ratio).sqrt(), (area / ratio).sqrt()];
        let ratios = || self.ratios.iter().map(|ratio| ratio.get());
        ratios()
            .flat_map(|of_target| self.areas.iter().map(move |area| (of_target, area.get())))
            .flat_map(|(of_target, area)| ratios().map(move |ratio| [sides(area, ratio), sides(1.0, of_target)]))
            .collect()
    }
}

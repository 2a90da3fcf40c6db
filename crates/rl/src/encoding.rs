//! What a network is shown of an observation.

use serde::{Deserialize, Serialize};

use crate::any_features::AnyFeatures;
use crate::features::FeatureMap;
use crate::space::Space;

/// Vectors pass as they are; a number of a pixel is scaled from 0 to 1; a number that stands for one of n things becomes n numbers, of
/// which one is 1. Or features of the observation are shown, of which a network without hidden layers is a linear function. A mask of
/// actions passes as it is, after what is shown of the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoding {
    /// How many numbers an observation has.
    length: usize,
    /// Of how many things each of them chooses one, where it does.
    counts: Option<Vec<usize>>,
    /// Whether these are pixels.
    #[serde(default)]
    pixels: bool,
    /// How many of its last numbers say which actions may be taken.
    mask: usize,
    features: Option<AnyFeatures>,
}

impl Encoding {
    /// For observations from `space`.
    pub fn new(space: &Space) -> Self {
        let counts = match space {
            Space::Discrete(count) => Some(vec![*count]),
            Space::MultiDiscrete(counts) => Some(counts.clone()),
            Space::Box { .. } | Space::Pixels { .. } => None,
            Space::Masked { observation, .. } => Self::new(observation).counts,
        };
        Self {
            length: space.length(),
            counts,
            pixels: matches!(space, Space::Pixels { .. }),
            mask: space.mask_length(),
            features: None,
        }
    }

    /// For observations from `space`, of which these features are shown.
    ///
    /// # Panics
    /// The observations have a mask of actions, which no feature shows.
    pub fn of_features(space: &Space, features: AnyFeatures) -> Self {
        assert_eq!(
            space.mask_length(),
            0,
            "masked actions of observations that are shown as features"
        );
        Self {
            features: Some(features),
            ..Self::new(space)
        }
    }

    /// The features, where such are shown.
    pub fn features(&self) -> Option<&AnyFeatures> {
        self.features.as_ref()
    }

    /// How many of the last numbers that a network is shown say which actions may be taken.
    pub fn mask_length(&self) -> usize {
        self.mask
    }

    /// How many numbers a network is shown.
    pub fn width(&self) -> usize {
        if let Some(features) = &self.features {
            return features.dimension();
        }
        (self.counts.as_ref()).map_or(self.length, |counts| sum(counts).saturating_add(self.mask))
    }

    /// Shape `[n, width]`, of observations of shape `[n, d]`. `memory` is used where they do not pass as they are.
    pub fn encode<'a>(&self, observations: &'a [f32], memory: &'a mut Vec<f32>) -> &'a [f32] {
        let mut begin = || {
            memory.clear();
            memory.resize(observations.len() / self.length * self.width(), 0.0);
        };
        if let Some(features) = &self.features {
            begin();
            let mut point = vec![0.0; self.length];
            let rows = observations.chunks_exact(self.length);
            for (observation, shown) in rows.zip(memory.chunks_exact_mut(features.dimension())) {
                for (entry, &observed) in point.iter_mut().zip(observation) {
                    *entry = f64::from(observed);
                }
                features.visit(&point, &mut |index, value| shown[index] = value as f32);
            }
            return memory;
        }
        if self.pixels {
            memory.clear();
            memory.extend(observations.iter().map(|number| number / 255.0));
            return memory;
        }
        let Some(counts) = &self.counts else {
            return observations;
        };
        begin();
        let rows = observations.chunks_exact(self.length);
        for (observation, shown) in rows.zip(memory.chunks_exact_mut(self.width())) {
            let (choices, mask) = observation.split_at(self.length - self.mask);
            let mut place = 0;
            for (&choice, count) in choices.iter().zip(counts) {
                shown[place + choice as usize] = 1.0;
                place += count;
            }
            shown[place..].copy_from_slice(mask);
        }
        memory
    }
}

/// The sum of counts, which are any numbers where they come from a file.
pub(crate) fn sum(counts: &[usize]) -> usize {
    counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_shown_where_there_are_some() {
        let features = AnyFeatures::Polynomial(crate::features::Polynomial::new(2, 1));
        let encoding = Encoding::of_features(&Space::symmetric(vec![1.0; 2]), features);
        let mut memory = Vec::new();
        assert_eq!(encoding.width(), 3);
        let mut shown = encoding.encode(&[0.5, -0.5, 2.0, 3.0], &mut memory).to_vec();
        shown.sort_by(f32::total_cmp);
        assert_eq!(shown, [-0.5, 0.5, 1.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn vectors_pass_and_choices_are_spread_out() {
        let mut memory = Vec::new();
        let vectors = Encoding::new(&Space::symmetric(vec![1.0; 2]));
        assert_eq!(vectors.width(), 2);
        assert_eq!(vectors.encode(&[0.5, -0.5], &mut memory), [0.5, -0.5]);
        let one = Encoding::new(&Space::Discrete(3));
        assert_eq!(one.encode(&[2.0, 0.0], &mut memory), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let several = Encoding::new(&Space::MultiDiscrete(vec![2, 3]));
        assert_eq!(several.width(), 5);
        let rows = [1.0, 0.0, 0.0, 2.0];
        assert_eq!(
            several.encode(&rows, &mut memory),
            [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        );
    }

    #[test]
    fn a_mask_passes_after_what_is_shown() {
        let mut memory = Vec::new();
        let mut masked = |observation, rows: &[f32], shown: &[f32]| {
            let space = Space::Masked {
                observation: Box::new(observation),
                actions: 2,
            };
            let encoding = Encoding::new(&space);
            assert_eq!((encoding.width(), encoding.mask_length()), (shown.len() / 2, 2));
            assert_eq!(encoding.encode(rows, &mut memory), shown);
        };
        let shown = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0];
        masked(Space::Discrete(3), &[2.0, 0.0, 1.0, 0.0, 1.0, 0.0], &shown);
        let rows = [0.5, 0.0, 1.0, -0.5, 1.0, 1.0];
        masked(Space::symmetric(vec![1.0]), &rows, &rows);
    }

    #[test]
    #[should_panic(expected = "masked actions")]
    fn features_show_no_mask() {
        let space = Space::Masked {
            observation: Box::new(Space::Discrete(3)),
            actions: 2,
        };
        Encoding::of_features(&space, AnyFeatures::OneHot(crate::features::OneHot { states: 3 }));
    }
}

//! Feature maps that are chosen while the program runs, and saved with what has been learnt.

use serde::{Deserialize, Serialize};

use crate::features::{FeatureMap, Fourier, OneHot, Placed, Polynomial, RadialBasis, StateAggregation, TileCoding};
use crate::space::Space;

/// One of the feature maps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnyFeatures {
    /// The table.
    OneHot(OneHot),
    /// Groups of states.
    StateAggregation(StateAggregation),
    /// Products of the entries.
    Polynomial(Polynomial),
    /// Cosines.
    Fourier(Fourier),
    /// Bumps.
    RadialBasis(RadialBasis),
    /// Grids of tiles.
    TileCoding(TileCoding),
    /// Numbered states, which lie somewhere.
    Placed(Box<Placed<AnyFeatures>>),
    /// Points of a box, which is first made the unit cube.
    Scaled(Box<Scaled<AnyFeatures>>),
    /// Several choices, which are first made one.
    Numbered(Box<Numbered<AnyFeatures>>),
}

/// Points of the box from `low` to `high`, shown to `map` as points of the unit cube. What lies beyond is moved to the edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaled<M> {
    /// The least of each entry.
    pub low: Vec<f64>,
    /// The greatest of each entry.
    pub high: Vec<f64>,
    /// The features of the points of the cube.
    pub map: M,
}

/// Points of several choices, each of which is one of so many, shown to `map` as one number: that of their combination, in the order
/// in which the last choice moves fastest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbered<M> {
    /// Of how many things each entry chooses one.
    pub counts: Vec<usize>,
    /// The features of the combinations.
    pub map: M,
}

impl<M: FeatureMap> FeatureMap for Numbered<M> {
    fn dimension(&self) -> usize {
        self.map.dimension()
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        let combination =
            (self.counts.iter().zip(point)).fold(0, |number, (count, choice)| number * count + *choice as usize);
        self.map.visit(&[combination as f64], feature);
    }
}

/// The longest points that are scaled without an allocation.
const SHORT: usize = 16;

impl<M: FeatureMap> FeatureMap for Scaled<M> {
    fn dimension(&self) -> usize {
        self.map.dimension()
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        let scale = |entry: usize| {
            let (low, high) = (self.low[entry], self.high[entry]);
            ((point[entry] - low) / (high - low)).clamp(0.0, 1.0)
        };
        if point.len() <= SHORT {
            let mut scaled = [0.0; SHORT];
            let scaled = &mut scaled[..point.len()];
            for (entry, scaled) in scaled.iter_mut().enumerate() {
                *scaled = scale(entry);
            }
            self.map.visit(scaled, feature);
        } else {
            let scaled: Vec<f64> = (0..point.len()).map(scale).collect();
            self.map.visit(&scaled, feature);
        }
    }
}

impl AnyFeatures {
    /// What is wrong with it, where it is to see observations from `space`.
    pub(crate) fn fault(&self, space: &Space) -> Option<&'static str> {
        const TOO_FEW: &str = "its features know fewer states than can be observed";
        const MASKED: &str = "its features show no mask of actions, and observations have one";
        const OTHERS: &str = "its features are of other observations";
        let vectors = |entries: usize| Space::symmetric(vec![f32::INFINITY; entries]);
        match (self, space) {
            (Self::OneHot(map), &Space::Discrete(states)) => (map.states < states).then_some(TOO_FEW),
            (Self::StateAggregation(map), &Space::Discrete(states)) => {
                (map.size == 0 || map.states < states).then_some(TOO_FEW)
            }
            (Self::Placed(placed), &Space::Discrete(states)) => {
                let entries = placed.points.first().map_or(0, Vec::len);
                if placed.points.len() < states {
                    return Some(TOO_FEW);
                }
                if placed.points.iter().any(|point| point.len() != entries) {
                    return Some("the states of its features lie in spaces of several dimensions");
                }
                placed.map.fault(&vectors(entries))
            }
            (Self::Numbered(numbered), Space::MultiDiscrete(counts)) => {
                let combinations = counts
                    .iter()
                    .try_fold(1_usize, |product, &count| product.checked_mul(count));
                match combinations.filter(|_| numbered.counts == *counts) {
                    Some(combinations) => numbered.map.fault(&Space::Discrete(combinations)),
                    None => Some(OTHERS),
                }
            }
            (Self::Scaled(scaled), Space::Box { .. } | Space::MultiDiscrete(_)) => {
                let entries = space.length();
                if [scaled.low.len(), scaled.high.len()] != [entries; 2] {
                    return Some(OTHERS);
                }
                scaled.map.fault(&vectors(entries))
            }
            (Self::TileCoding(map), Space::Box { low, .. }) => {
                let tiles = u32::try_from(low.len()).ok().and_then(|entries| {
                    let tiles = map.tiles.checked_add(1)?.checked_pow(entries)?;
                    tiles.checked_mul(map.tilings)
                });
                let fits = map.tilings > 0 && [map.low.len(), map.high.len()] == [low.len(); 2] && tiles.is_some();
                (!fits).then_some(OTHERS)
            }
            (Self::Polynomial(_) | Self::Fourier(_) | Self::RadialBasis(_), Space::Box { .. }) => None,
            (_, Space::Masked { .. }) => Some(MASKED),
            _ => Some(OTHERS),
        }
    }
}

impl FeatureMap for AnyFeatures {
    fn dimension(&self) -> usize {
        match self {
            Self::OneHot(map) => map.dimension(),
            Self::StateAggregation(map) => map.dimension(),
            Self::Polynomial(map) => map.dimension(),
            Self::Fourier(map) => map.dimension(),
            Self::RadialBasis(map) => map.dimension(),
            Self::TileCoding(map) => map.dimension(),
            Self::Placed(map) => map.dimension(),
            Self::Scaled(map) => map.dimension(),
            Self::Numbered(map) => map.dimension(),
        }
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        match self {
            Self::OneHot(map) => map.visit(point, feature),
            Self::StateAggregation(map) => map.visit(point, feature),
            Self::Polynomial(map) => map.visit(point, feature),
            Self::Fourier(map) => map.visit(point, feature),
            Self::RadialBasis(map) => map.visit(point, feature),
            Self::TileCoding(map) => map.visit(point, feature),
            Self::Placed(map) => map.visit(point, feature),
            Self::Scaled(map) => map.visit(point, feature),
            Self::Numbered(map) => map.visit(point, feature),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_a_number_of_its_own() {
        let counts = vec![3, 2, 4];
        let map = Numbered {
            counts: counts.clone(),
            map: OneHot { states: 24 },
        };
        let mut expected = 0;
        for a in 0..counts[0] {
            for b in 0..counts[1] {
                for c in 0..counts[2] {
                    let mut found = Vec::new();
                    let point = [a, b, c].map(|choice| choice as f64);
                    map.visit(&point, &mut |index, value| found.push((index, value)));
                    assert_eq!(found, [(expected, 1.0)]);
                    expected += 1;
                }
            }
        }
        assert_eq!(map.dimension(), expected);
    }

    #[test]
    fn features_that_do_not_fit_are_found() {
        let (states, vectors) = (Space::Discrete(3), Space::symmetric(vec![1.0; 2]));
        let one_hot = |states| AnyFeatures::OneHot(OneHot { states });
        let tiles = |tiles, tilings, entries| {
            AnyFeatures::TileCoding(TileCoding {
                low: vec![0.0; entries],
                high: vec![1.0; entries],
                tiles,
                tilings,
            })
        };
        let placed = |points: Vec<Vec<f64>>, map| AnyFeatures::Placed(Box::new(Placed { points, map }));
        let scaled = |entries| {
            AnyFeatures::Scaled(Box::new(Scaled {
                low: vec![0.0; entries],
                high: vec![1.0; entries],
                map: tiles(4, 2, 2),
            }))
        };
        let numbered = |counts, map| AnyFeatures::Numbered(Box::new(Numbered { counts, map }));
        let choices = Space::MultiDiscrete(vec![3, 2]);
        let masked = Space::Masked {
            observation: Box::new(states.clone()),
            actions: 2,
        };
        let plane = vec![vec![0.0; 2]; 3];
        for (features, space) in [
            (one_hot(3), &states),
            (tiles(4, 2, 2), &vectors),
            (scaled(2), &vectors),
            (placed(plane.clone(), tiles(4, 2, 2)), &states),
            (numbered(vec![3, 2], one_hot(6)), &choices),
        ] {
            assert_eq!(features.fault(space), None, "{features:?}");
        }
        let aggregation = |states, size| AnyFeatures::StateAggregation(StateAggregation { states, size });
        for (features, space) in [
            (one_hot(2), &states),
            (one_hot(3), &vectors),
            (aggregation(3, 0), &states),
            (aggregation(2, 2), &states),
            (tiles(4, 0, 2), &vectors),
            (tiles(4, 2, 1), &vectors),
            (tiles(usize::MAX, 2, 2), &vectors),
            (tiles(1 << 40, 2, 2), &vectors),
            (scaled(1), &vectors),
            (placed(plane[..2].to_vec(), tiles(4, 2, 2)), &states),
            (placed(plane.clone(), tiles(4, 2, 3)), &states),
            (
                placed(vec![vec![0.0; 2], vec![0.0], vec![0.0; 2]], tiles(4, 2, 2)),
                &states,
            ),
            (numbered(vec![2, 3], one_hot(6)), &choices),
            (numbered(vec![3, 2], one_hot(5)), &choices),
            (one_hot(5), &masked),
        ] {
            assert!(features.fault(space).is_some(), "{features:?}");
        }
    }
}

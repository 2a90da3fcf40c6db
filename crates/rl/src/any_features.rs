//! Feature maps that are chosen while the program runs, and saved with what has been learnt.

use serde::{Deserialize, Serialize};

use crate::features::{FeatureMap, Fourier, OneHot, Placed, Polynomial, RadialBasis, StateAggregation, TileCoding};

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
    use crate::features::OneHot;

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
}

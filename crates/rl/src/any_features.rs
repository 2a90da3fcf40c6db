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
        }
    }
}

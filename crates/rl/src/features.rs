//! Feature maps: from an observation to the numbers that a linear function weighs.
//!
//! v(s) is approximated by phi(s)^T w. Which functions can be had depends on phi alone, and so does how fast they are learnt.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// phi: from a point (an observation, as many numbers as its space has) to features.
pub trait FeatureMap {
    /// How many features there are.
    fn dimension(&self) -> usize;

    /// Calls `feature(i, phi_i)` for every feature of `point` that is not zero, and perhaps for some that are, each at most
    /// once. A map of which few features are ever other than zero visits those alone.
    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64));

    /// Writes phi(`point`) into `features`, of length [`dimension`](Self::dimension).
    fn write(&self, point: &[f64], features: &mut [f64]) {
        features.fill(0.0);
        self.visit(point, &mut |index, value| features[index] = value);
    }
}

/// Numbered states, each of which lies at a point: what `map` makes of that point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placed<M> {
    /// Where each state lies.
    pub points: Vec<Vec<f64>>,
    /// The features of those points.
    pub map: M,
}

impl<M: FeatureMap> FeatureMap for Placed<M> {
    fn dimension(&self) -> usize {
        self.map.dimension()
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        self.map.visit(&self.points[point[0] as usize], feature);
    }
}

/// One feature for each state, one where the agent is and zero elsewhere: the tabular case (Zhao, box 8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneHot {
    /// How many states there are. The point is the number of one.
    pub states: usize,
}

impl FeatureMap for OneHot {
    fn dimension(&self) -> usize {
        self.states
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        feature(point[0] as usize, 1.0);
    }
}

/// Neighbouring states share a feature: state s belongs to group s / `size` (Sutton and Barto, section 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateAggregation {
    /// How many states there are.
    pub states: usize,
    /// How many of them share a feature.
    pub size: usize,
}

impl FeatureMap for StateAggregation {
    fn dimension(&self) -> usize {
        self.states.div_ceil(self.size)
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        feature(point[0] as usize / self.size, 1.0);
    }
}

/// All products of the point's entries of total degree up to `degree`: 1, x, y, x^2, x y, y^2, ... (Zhao, chapter 8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polynomial {
    /// The power of each entry in each feature.
    powers: Vec<Vec<i32>>,
}

impl Polynomial {
    /// Of points with `entries` entries.
    pub fn new(entries: usize, degree: i32) -> Self {
        let mut powers = grid_of(entries, degree);
        powers.retain(|powers| powers.iter().sum::<i32>() <= degree);
        powers.sort_by_key(|powers| powers.iter().sum::<i32>());
        Self { powers }
    }

    /// Calls `slope(i, d phi_i / d x)` for every feature, with x the entry of `point` that has this number.
    pub(crate) fn visit_slopes(&self, point: &[f64], entry: usize, slope: &mut dyn FnMut(usize, f64)) {
        for (index, powers) in self.powers.iter().enumerate() {
            let factors = point.iter().zip(powers).enumerate().map(|(place, (x, &power))| {
                if place != entry {
                    x.powi(power)
                } else if power == 0 {
                    0.0
                } else {
                    f64::from(power) * x.powi(power - 1)
                }
            });
            slope(index, factors.product());
        }
    }
}

impl FeatureMap for Polynomial {
    fn dimension(&self) -> usize {
        self.powers.len()
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        for (index, powers) in self.powers.iter().enumerate() {
            let factors = point.iter().zip(powers).map(|(entry, &power)| entry.powi(power));
            feature(index, factors.product());
        }
    }
}

/// cos(pi c^T x) for all c with entries 0, 1, ..., `order`, of points in the unit cube (Konidaris, Osentoski and Thomas 2011;
/// Zhao, chapter 8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fourier {
    frequencies: Vec<Vec<i32>>,
}

impl Fourier {
    /// Of points with `entries` entries.
    pub fn new(entries: usize, order: i32) -> Self {
        Self {
            frequencies: grid_of(entries, order),
        }
    }
}

impl FeatureMap for Fourier {
    fn dimension(&self) -> usize {
        self.frequencies.len()
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        for (index, frequencies) in self.frequencies.iter().enumerate() {
            let phase: f64 = point.iter().zip(frequencies).map(|(x, &c)| x * f64::from(c)).sum();
            feature(index, (PI * phase).cos());
        }
    }
}

/// Bumps exp(-|x - c|^2 / (2 width^2)) around centres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RadialBasis {
    /// The centres, each as long as a point.
    pub centres: Vec<Vec<f64>>,
    /// How wide the bumps are.
    pub width: f64,
}

impl FeatureMap for RadialBasis {
    fn dimension(&self) -> usize {
        self.centres.len()
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        for (index, centre) in self.centres.iter().enumerate() {
            let square: f64 = point.iter().zip(centre).map(|(x, c)| (x - c) * (x - c)).sum();
            feature(index, (-square / (2.0 * self.width * self.width)).exp());
        }
    }
}

/// Several grids of tiles over a box, each shifted by another fraction of a tile; one feature a tile, one where the point
/// lies in it (Sutton and Barto, section 9.5.4). The shifts are in the ratio 1 : 3 : 5 : ... from entry to entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TileCoding {
    /// The least of each entry.
    pub low: Vec<f64>,
    /// The greatest of each entry.
    pub high: Vec<f64>,
    /// How many tiles the box is wide, in each entry.
    pub tiles: usize,
    /// How many grids there are.
    pub tilings: usize,
}

impl FeatureMap for TileCoding {
    fn dimension(&self) -> usize {
        // A shifted grid needs one tile more to cover the box.
        self.tilings * (self.tiles + 1).pow(self.low.len() as u32)
    }

    fn visit(&self, point: &[f64], feature: &mut dyn FnMut(usize, f64)) {
        let tiles_of_one = self.dimension() / self.tilings;
        for tiling in 0..self.tilings {
            let mut tile = 0;
            for (entry, (x, (low, high))) in point.iter().zip(self.low.iter().zip(&self.high)).enumerate() {
                let shift = (tiling * (2 * entry + 1) % self.tilings) as f64 / self.tilings as f64;
                let place = (x - low) / (high - low) * self.tiles as f64 + shift;
                tile = tile * (self.tiles + 1) + (place as usize).min(self.tiles);
            }
            feature(tiling * tiles_of_one + tile, 1.0);
        }
    }
}

/// All vectors of `entries` numbers from 0 to `most`, the first entry the slowest.
fn grid_of(entries: usize, most: i32) -> Vec<Vec<i32>> {
    (0..entries).fold(vec![Vec::new()], |vectors, _| {
        let longer = |vector: Vec<i32>| (0..=most).map(move |entry| [&vector[..], &[entry]].concat());
        vectors.into_iter().flat_map(longer).collect()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn features(map: &impl FeatureMap, point: &[f64]) -> Vec<f64> {
        let mut features = vec![f64::NAN; map.dimension()];
        map.write(point, &mut features);
        features
    }

    #[test]
    fn polynomials_by_degree() {
        assert_eq!(
            features(&Polynomial::new(2, 2), &[2.0, 3.0]),
            [1.0, 3.0, 2.0, 9.0, 6.0, 4.0]
        );
        for (degree, dimension) in [(1, 3), (2, 6), (3, 10)] {
            assert_eq!(Polynomial::new(2, degree).dimension(), dimension);
        }
    }

    #[test]
    fn cosines_by_frequency() {
        let expected = [1.0, (0.75 * PI).cos(), (0.5 * PI).cos(), (1.25 * PI).cos()];
        for (ours, expected) in features(&Fourier::new(2, 1), &[0.5, 0.75]).iter().zip(expected) {
            assert!((ours - expected).abs() < 1e-15);
        }
        assert_eq!(Fourier::new(2, 5).dimension(), 36);
    }

    #[test]
    fn states_and_groups() {
        assert_eq!(features(&OneHot { states: 3 }, &[1.0]), [0.0, 1.0, 0.0]);
        let groups = StateAggregation { states: 5, size: 2 };
        assert_eq!(features(&groups, &[1.0]), [1.0, 0.0, 0.0]);
        assert_eq!(features(&groups, &[4.0]), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn numbered_states_are_seen_where_they_lie() {
        let map = Placed {
            points: vec![vec![0.0, 0.0], vec![2.0, 3.0]],
            map: Polynomial::new(2, 1),
        };
        assert_eq!(features(&map, &[1.0]), [1.0, 3.0, 2.0]);
    }

    #[test]
    fn sparse_maps_visit_few_features() {
        let visited = |map: &dyn FeatureMap, point: &[f64]| {
            let mut count = 0;
            map.visit(point, &mut |_, _| count += 1);
            count
        };
        assert_eq!(visited(&OneHot { states: 500 }, &[499.0]), 1);
        assert_eq!(visited(&tiles(), &[0.0, 5.0]), 8);
    }

    #[test]
    fn bumps() {
        let bumps = RadialBasis {
            centres: vec![vec![0.0, 0.0], vec![3.0, 4.0]],
            width: 5.0,
        };
        assert_eq!(features(&bumps, &[3.0, 4.0]), [(-0.5_f64).exp(), 1.0]);
    }

    fn tiles() -> TileCoding {
        TileCoding {
            low: vec![-1.0, 0.0],
            high: vec![1.0, 10.0],
            tiles: 4,
            tilings: 8,
        }
    }

    proptest! {
        #[test]
        fn one_tile_of_each_tiling(x in -1.0..1.0_f64, y in 0.0..10.0_f64) {
            let map = tiles();
            let features = features(&map, &[x, y]);
            for tiling in features.chunks(map.dimension() / map.tilings) {
                prop_assert!((tiling.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }

        #[test]
        fn near_points_share_more_tiles(x in -1.0..0.5_f64, y in 0.0..7.0_f64) {
            let map = tiles();
            let here = features(&map, &[x, y]);
            let shared = |dx: f64, dy: f64| -> f64 {
                let there = features(&map, &[x + dx, y + dy]);
                here.iter().zip(&there).map(|(a, b)| a * b).sum()
            };
            // An eighth of a tile on, at most one tiling sees another tile in each entry; a tile on, all do.
            prop_assert!(shared(0.5 / 8.0, 0.0) >= 7.0 && shared(0.0, 2.5 / 8.0) >= 7.0);
            prop_assert!(shared(0.5 + 1e-9, 0.0) < 0.5 && shared(0.0, 2.5 + 1e-9) < 0.5);
        }
    }
}

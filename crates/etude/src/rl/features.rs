//! From a recipe's feature map to one of an environment.

use etude_rl::{
    AnyFeatures, Fourier, Numbered, OneHot, Placed, Polynomial, RadialBasis, Scaled, Space, StateAggregation,
    TabularModel, TileCoding,
};

use super::recipe::FeaturesRecipe;

/// Rows of the largest table of combinations.
const LARGEST_TABLE: usize = 1 << 24;

/// The feature map of `recipe` for observations from `space`; `model` says where numbered states lie. An error is a reason.
pub(super) fn features(
    recipe: &FeaturesRecipe,
    space: &Space,
    model: Option<&TabularModel>,
) -> Result<AnyFeatures, String> {
    match (recipe, space) {
        (_, Space::Masked { .. }) => Err(format!(
            "no features show which actions may be taken; here an observation is {space}"
        )),
        (FeaturesRecipe::OneHot, &Space::Discrete(states)) => Ok(AnyFeatures::OneHot(OneHot { states })),
        (FeaturesRecipe::StateAggregation { size }, &Space::Discrete(states)) => {
            let size = size.get();
            Ok(AnyFeatures::StateAggregation(StateAggregation { states, size }))
        }
        (FeaturesRecipe::OneHot, Space::MultiDiscrete(counts)) => {
            let states = counts
                .iter()
                .try_fold(1_usize, |product, &count| product.checked_mul(count));
            let states = states.filter(|&states| states <= LARGEST_TABLE).ok_or_else(|| {
                format!("a table of all combinations of {space} would have more than {LARGEST_TABLE} rows")
            })?;
            Ok(AnyFeatures::Numbered(Box::new(Numbered {
                counts: counts.clone(),
                map: AnyFeatures::OneHot(OneHot { states }),
            })))
        }
        (FeaturesRecipe::OneHot | FeaturesRecipe::StateAggregation { .. }, _) => Err(format!(
            "only numbered states and choices have a table; here an observation is {space}"
        )),
        (_, &Space::Discrete(states)) => {
            let points = model.map_or_else(|| in_a_row(states), TabularModel::points);
            let map = of_cube(recipe, points.first().map_or(1, Vec::len));
            Ok(AnyFeatures::Placed(Box::new(Placed { points, map })))
        }
        (_, Space::Box { low, high }) => {
            if let Some(entry) = low.iter().chain(high).position(|bound| bound.is_infinite()) {
                return Err(format!(
                    "entry {} of an observation has no bound, so it cannot be scaled",
                    entry % low.len()
                ));
            }
            let wide = |bounds: &[f32]| bounds.iter().map(|&bound| f64::from(bound)).collect::<Vec<_>>();
            let map = of_cube(recipe, low.len());
            Ok(AnyFeatures::Scaled(Box::new(Scaled {
                low: wide(low),
                high: wide(high),
                map,
            })))
        }
        (_, Space::Pixels { .. }) => Err(format!(
            "features are of numbers and choices; here an observation is {space}"
        )),
        (_, Space::MultiDiscrete(counts)) => {
            let map = of_cube(recipe, counts.len());
            Ok(AnyFeatures::Scaled(Box::new(Scaled {
                low: vec![0.0; counts.len()],
                high: counts.iter().map(|&count| (count.max(2) - 1) as f64).collect(),
                map,
            })))
        }
    }
}

/// States along the unit interval.
fn in_a_row(states: usize) -> Vec<Vec<f64>> {
    let last = states.max(2) - 1;
    (0..states).map(|state| vec![state as f64 / last as f64]).collect()
}

/// Features of the points of a unit cube.
fn of_cube(recipe: &FeaturesRecipe, entries: usize) -> AnyFeatures {
    match *recipe {
        FeaturesRecipe::Polynomial { degree } => AnyFeatures::Polynomial(Polynomial::new(entries, degree.get() as i32)),
        FeaturesRecipe::RadialBasis { centres, width } => {
            let count = centres.get();
            let along = |index: usize| index as f64 / (count - 1) as f64;
            let centres = (0..entries).fold(vec![Vec::new()], |points: Vec<Vec<f64>>, _| {
                let longer = |point: Vec<f64>| (0..count).map(move |index| [&point[..], &[along(index)]].concat());
                points.into_iter().flat_map(longer).collect()
            });
            let width = width.get();
            AnyFeatures::RadialBasis(RadialBasis { centres, width })
        }
        FeaturesRecipe::TileCoding { tiles, tilings } => AnyFeatures::TileCoding(TileCoding {
            low: vec![0.0; entries],
            high: vec![1.0; entries],
            tiles: tiles.get(),
            tilings: tilings.get(),
        }),
        FeaturesRecipe::Fourier { order } => AnyFeatures::Fourier(Fourier::new(entries, order.get() as i32)),
        FeaturesRecipe::OneHot | FeaturesRecipe::StateAggregation { .. } => AnyFeatures::OneHot(OneHot { states: 1 }),
    }
}

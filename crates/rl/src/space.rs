//! What an observation or an action may be.

use std::fmt;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// A set of vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// One of the numbers 0, 1, ..., n - 1.
    Discrete(usize),
    /// For each place one of so many numbers, from 0.
    MultiDiscrete(Vec<usize>),
    /// A vector between two bounds, which may be infinite.
    Box {
        /// The least of each entry.
        #[serde(with = "bounds")]
        low: Vec<f32>,
        /// The greatest of each entry.
        #[serde(with = "bounds")]
        high: Vec<f32>,
    },
    /// A picture: whole numbers from 0 to 255, shape `[channels, height, width]`.
    Pixels {
        /// Numbers to a pixel.
        channels: usize,
        /// Rows.
        height: usize,
        /// Pixels in a row.
        width: usize,
    },
    /// A vector, and after it one number for each action: 1 where it may be taken and 0 where not.
    Masked {
        /// What the vector may be.
        observation: Box<Self>,
        /// How many actions there are, of all choices together.
        actions: usize,
    },
}

/// Bounds as JSON can write them, which has no infinity: as `"-inf"` and `"inf"`.
pub(crate) mod bounds {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(bounds: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        let words: Vec<String> = bounds.iter().map(ToString::to_string).collect();
        words.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        let bound = |word: &String| {
            word.parse()
                .map_err(|_| D::Error::custom(format!("`{word}` is no bound")))
        };
        words.iter().map(bound).collect()
    }
}

/// Values of a number of a pixel.
const LEVELS: usize = 256;

impl Space {
    /// A box from `-high` to `high`.
    pub fn symmetric(high: Vec<f32>) -> Self {
        let low = high.iter().map(|bound| -bound).collect();
        Self::Box { low, high }
    }

    /// How many numbers make up one of its vectors.
    pub fn length(&self) -> usize {
        match self {
            Self::Discrete(_) => 1,
            Self::MultiDiscrete(counts) => counts.len(),
            Self::Box { low, .. } => low.len(),
            Self::Pixels {
                channels,
                height,
                width,
            } => channels.saturating_mul(*height).saturating_mul(*width),
            Self::Masked { observation, actions } => observation.length().saturating_add(*actions),
        }
    }

    /// How many of the last numbers of its vectors say which actions may be taken; 0 where none does.
    pub fn mask_length(&self) -> usize {
        match self {
            Self::Discrete(_) | Self::MultiDiscrete(_) | Self::Box { .. } | Self::Pixels { .. } => 0,
            Self::Masked { actions, .. } => *actions,
        }
    }

    /// Whether a vector belongs to it.
    pub fn contains(&self, vector: &[f32]) -> bool {
        let one_of = |value: f32, count: usize| value >= 0.0 && value.fract() == 0.0 && (value as usize) < count;
        match self {
            Self::Discrete(count) => matches!(vector, &[value] if one_of(value, *count)),
            Self::MultiDiscrete(counts) => {
                vector.len() == counts.len() && vector.iter().zip(counts).all(|(&value, &count)| one_of(value, count))
            }
            Self::Box { low, high } => {
                let bounds = low.iter().zip(high);
                vector.len() == low.len()
                    && (vector.iter().zip(bounds)).all(|(value, (low, high))| low <= value && value <= high)
            }
            Self::Pixels { .. } => vector.len() == self.length() && vector.iter().all(|&value| one_of(value, LEVELS)),
            Self::Masked { observation, .. } => {
                vector.len() == self.length() && {
                    let (vector, mask) = vector.split_at(observation.length());
                    observation.contains(vector) && mask.iter().all(|&may| one_of(may, 2))
                }
            }
        }
    }

    /// Draws one of its vectors, as Gymnasium does: uniformly between two bounds, from an exponential distribution
    /// beyond one, and from a standard normal where there is none.
    pub fn sample(&self, random: &mut impl Rng, vector: &mut [f32]) {
        match self {
            Self::Discrete(count) => vector[0] = random.random_range(0..*count) as f32,
            Self::MultiDiscrete(counts) => {
                for (value, &count) in vector.iter_mut().zip(counts) {
                    *value = random.random_range(0..count) as f32;
                }
            }
            Self::Box { low, high } => {
                for (value, (&low, &high)) in vector.iter_mut().zip(low.iter().zip(high)) {
                    *value = match (low.is_finite(), high.is_finite()) {
                        // In 64 bits, which hold the distance of any two bounds.
                        (true, true) => random.random_range(f64::from(low)..=f64::from(high)) as f32,
                        (true, false) => low + exponential(random),
                        (false, true) => high - exponential(random),
                        (false, false) => normal(random),
                    };
                }
            }
            Self::Pixels { .. } => vector.fill_with(|| random.random_range(0..LEVELS) as f32),
            Self::Masked { observation, .. } => {
                let (vector, mask) = vector.split_at_mut(observation.length());
                observation.sample(random, vector);
                mask.fill_with(|| f32::from(random.random::<bool>()));
            }
        }
    }
}

/// In words: `one of 4`, `2 numbers`.
impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(count) => write!(f, "one of {count}"),
            Self::MultiDiscrete(counts) => {
                let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
                write!(f, "one of {}", counts.join(" x "))
            }
            Self::Box { low, .. } if low.len() == 1 => f.write_str("1 number"),
            Self::Box { low, .. } => write!(f, "{} numbers", low.len()),
            Self::Pixels {
                channels,
                height,
                width,
            } => write!(f, "{width} x {height} pixels of {channels} numbers"),
            Self::Masked { observation, actions } => {
                write!(f, "{observation}, and which of {actions} actions may be taken")
            }
        }
    }
}

/// From the exponential distribution with mean 1.
fn exponential(random: &mut impl Rng) -> f32 {
    // 1 - u lies in (0, 1], so that the logarithm is finite.
    -(1.0 - random.random::<f32>()).ln()
}

/// From the standard normal distribution (Box and Muller 1958).
fn normal(random: &mut impl Rng) -> f32 {
    let radius = (2.0 * exponential(random)).sqrt();
    radius * (std::f32::consts::TAU * random.random::<f32>()).cos()
}

#[cfg(test)]
mod tests {
    use etude_train::Seed;
    use proptest::prelude::*;

    use super::*;

    fn any_space() -> impl Strategy<Value = Space> {
        let bound = |sign: f32| prop_oneof![Just(sign * f32::INFINITY), (0.0..100.0_f32).prop_map(move |b| sign * b)];
        let unmasked = prop_oneof![
            (1..1000_usize).prop_map(Space::Discrete),
            prop::collection::vec(1..50_usize, 1..5).prop_map(Space::MultiDiscrete),
            prop::collection::vec((bound(-1.0), bound(1.0)), 1..5).prop_map(|bounds| {
                let (low, high) = bounds.into_iter().unzip();
                Space::Box { low, high }
            }),
            (1..4_usize, 1..5_usize, 1..5_usize).prop_map(|(channels, height, width)| Space::Pixels {
                channels,
                height,
                width
            }),
        ];
        (unmasked, 0..5_usize).prop_map(|(space, actions)| if actions > 0 { masked(space, actions) } else { space })
    }

    fn masked(observation: Space, actions: usize) -> Space {
        Space::Masked {
            observation: Box::new(observation),
            actions,
        }
    }

    proptest! {
        #[test]
        fn samples_belong_to_their_space(space in any_space(), seed in any::<u64>()) {
            let mut random = Seed(seed).stream("space");
            let mut vector = vec![f32::NAN; space.length()];
            for _ in 0..20 {
                space.sample(&mut random, &mut vector);
                prop_assert!(space.contains(&vector), "{vector:?}");
            }
            let written = serde_json::to_string(&space).unwrap();
            prop_assert_eq!(serde_json::from_str::<Space>(&written).unwrap(), space);
        }
    }

    #[test]
    fn spaces_in_words() {
        assert_eq!(Space::Discrete(500).to_string(), "one of 500");
        assert_eq!(Space::MultiDiscrete(vec![32, 11, 2]).to_string(), "one of 32 x 11 x 2");
        assert_eq!(Space::symmetric(vec![2.0]).to_string(), "1 number");
        assert_eq!(Space::symmetric(vec![1.0; 6]).to_string(), "6 numbers");
        assert_eq!(
            masked(Space::Discrete(500), 6).to_string(),
            "one of 500, and which of 6 actions may be taken"
        );
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let discrete = Space::Discrete(3);
        assert!(discrete.contains(&[2.0]));
        for vector in [&[3.0][..], &[-1.0], &[0.5], &[f32::NAN], &[], &[0.0, 0.0]] {
            assert!(!discrete.contains(vector), "{vector:?}");
        }
        let space = Space::symmetric(vec![1.0, f32::INFINITY]);
        assert!(space.contains(&[-1.0, 1e30]));
        for vector in [&[1.5, 0.0][..], &[f32::NAN, 0.0], &[0.0]] {
            assert!(!space.contains(vector), "{vector:?}");
        }
        let space = masked(discrete, 2);
        assert!(space.contains(&[2.0, 0.0, 1.0]));
        for vector in [&[3.0, 0.0, 1.0][..], &[2.0, 0.5, 1.0], &[2.0, 2.0, 1.0], &[2.0, 0.0]] {
            assert!(!space.contains(vector), "{vector:?}");
        }
    }

    #[test]
    fn unbounded_entries_are_standard_normal_and_half_bounded_ones_exponential() {
        let space = Space::Box {
            low: vec![f32::NEG_INFINITY, 2.0],
            high: vec![f32::INFINITY; 2],
        };
        let mut random = Seed(1).stream("space");
        let (mut vector, mut sums) = ([0.0; 2], [0.0; 3]);
        let draws = 100_000;
        for _ in 0..draws {
            space.sample(&mut random, &mut vector);
            let [normal, exponential] = vector.map(f64::from);
            sums = [sums[0] + normal, sums[1] + normal * normal, sums[2] + exponential];
        }
        let means = sums.map(|sum| sum / f64::from(draws));
        // Five standard errors.
        assert!(means[0].abs() < 0.016 && (means[1] - 1.0).abs() < 0.023, "{means:?}");
        assert!((means[2] - 3.0).abs() < 0.016, "{means:?}");
    }
}

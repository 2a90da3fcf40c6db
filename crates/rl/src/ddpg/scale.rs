//! Actions between -1 and 1.

use serde::{Deserialize, Serialize};

use crate::error::RlError;
use crate::space::Space;

/// The middle of each bound of a box and half the distance between them, so that actions from -1 to 1 fill it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionScale {
    low: Vec<f32>,
    high: Vec<f32>,
}

impl ActionScale {
    /// For actions from `space`, which `algorithm` chooses.
    ///
    /// # Errors
    /// It is no box, or one whose bounds are not finite or leave nothing between them.
    pub fn new(algorithm: &'static str, space: &Space) -> Result<Self, RlError> {
        match space {
            Space::Box { low, high } if ordered(low, high) => Ok(Self {
                low: low.clone(),
                high: high.clone(),
            }),
            _ => Err(RlError::ActionSpace {
                algorithm,
                expected: "numbers between two bounds",
                found: space.clone(),
            }),
        }
    }

    /// How many numbers make up an action.
    pub fn length(&self) -> usize {
        self.low.len()
    }

    /// From -1 and 1 to the bounds: shape `[n, a]`, in place.
    pub fn to_bounds(&self, actions: &mut [f32]) {
        self.map(actions, |action, low, high| {
            (low + 0.5 * (action + 1.0) * (high - low)).clamp(low, high)
        });
    }

    /// From the bounds to -1 and 1: shape `[n, a]`, in place.
    pub fn to_unit(&self, actions: &mut [f32]) {
        self.map(actions, |action, low, high| 2.0 * (action - low) / (high - low) - 1.0);
    }

    fn map(&self, actions: &mut [f32], change: impl Fn(f32, f32, f32) -> f32) {
        for row in actions.chunks_exact_mut(self.length()) {
            for (action, (&low, &high)) in row.iter_mut().zip(self.low.iter().zip(&self.high)) {
                *action = change(*action, low, high);
            }
        }
    }
}

/// Whether there is something between all bounds, and as many of the one kind as of the other.
fn ordered(low: &[f32], high: &[f32]) -> bool {
    let between = |(low, high): (&f32, &f32)| low.is_finite() && high.is_finite() && low < high;
    low.len() == high.len() && low.iter().zip(high).all(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "halves and small whole numbers are exact")]
    fn there_and_back_again() {
        let space = Space::Box {
            low: vec![-2.0, 0.0],
            high: vec![2.0, 10.0],
        };
        let scale = ActionScale::new("ddpg", &space).unwrap();
        let mut actions = [1.0, -1.0, -0.5, 0.5];
        scale.to_bounds(&mut actions);
        assert_eq!(actions, [2.0, 0.0, -1.0, 7.5]);
        scale.to_unit(&mut actions);
        assert_eq!(actions, [1.0, -1.0, -0.5, 0.5]);
    }

    #[test]
    fn what_has_no_bounds_is_refused() {
        let backwards = Space::symmetric(vec![-1.0]);
        let nothing = Space::symmetric(vec![f32::NAN]);
        for space in [
            Space::Discrete(2),
            Space::symmetric(vec![f32::INFINITY]),
            backwards,
            nothing,
        ] {
            let error = ActionScale::new("ddpg", &space).unwrap_err().to_string();
            assert!(error.starts_with("ddpg chooses numbers between two bounds"), "{error}");
        }
    }
}

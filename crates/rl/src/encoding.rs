//! What a network is shown of an observation.

use serde::{Deserialize, Serialize};

use crate::space::Space;

/// Vectors pass as they are; a number that stands for one of n things becomes n numbers, of which one is 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// How many numbers an observation has.
    length: usize,
    /// Of how many things each of them chooses one, where it does.
    counts: Option<Vec<usize>>,
}

impl Encoding {
    /// For observations from `space`.
    pub fn new(space: &Space) -> Self {
        let counts = match space {
            Space::Discrete(count) => Some(vec![*count]),
            Space::MultiDiscrete(counts) => Some(counts.clone()),
            Space::Box { .. } => None,
        };
        Self {
            length: space.length(),
            counts,
        }
    }

    /// How many numbers a network is shown.
    pub fn width(&self) -> usize {
        self.counts.as_ref().map_or(self.length, |counts| counts.iter().sum())
    }

    /// Shape `[n, width]`, of observations of shape `[n, d]`. `memory` is used where they do not pass as they are.
    pub fn encode<'a>(&self, observations: &'a [f32], memory: &'a mut Vec<f32>) -> &'a [f32] {
        let Some(counts) = &self.counts else {
            return observations;
        };
        memory.clear();
        memory.resize(observations.len() / self.length * self.width(), 0.0);
        let mut place = 0;
        for (&choice, count) in observations.iter().zip(counts.iter().cycle()) {
            memory[place + choice as usize] = 1.0;
            place += count;
        }
        memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

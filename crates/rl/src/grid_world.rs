//! The grid worlds that `etude_mdp` solves, to be acted in.

use etude_mdp::{GridWorld, Model, Sample, TERMINAL};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::env::{Env, Step};
use crate::simulator::stream;
use crate::space::Space;

/// A [`GridWorld`] as an environment: the very model that is solved exactly. What is seen is the number of the cell.
pub struct GridWorldEnv {
    grid: GridWorld,
    observation_space: Space,
    action_space: Space,
    random: ChaCha8Rng,
    state: usize,
}

impl GridWorldEnv {
    /// Episodes begin in the grid's start, and in any cell that has actions where it has none.
    pub fn new(grid: GridWorld) -> Self {
        let states = grid.states();
        let most_actions = (0..states).map(|state| grid.actions(state)).max().unwrap_or(0);
        let mut env = Self {
            grid,
            observation_space: Space::Discrete(states),
            action_space: Space::Discrete(most_actions),
            random: stream(0),
            state: 0,
        };
        env.begin();
        env
    }

    /// The model.
    pub fn model(&self) -> &GridWorld {
        &self.grid
    }

    fn begin(&mut self) {
        self.state = self.grid.start().unwrap_or_else(|| {
            let cells: Vec<usize> = (0..self.grid.states())
                .filter(|&cell| self.grid.actions(cell) > 0)
                .collect();
            cells
                .get(self.random.random_range(0..cells.len().max(1)))
                .copied()
                .unwrap_or(0)
        });
    }
}

impl Env for GridWorldEnv {
    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        if let Some(seed) = seed {
            self.random = stream(seed);
        }
        self.begin();
        observation[0] = self.state as f32;
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let (next, reward) = self.grid.sample(self.state, action[0] as usize, &mut self.random);
        // A target that ends the episode is a state without actions; where there is none, the agent is seen where it was.
        let ended = next == TERMINAL;
        if !ended {
            self.state = next as usize;
        }
        observation[0] = self.state as f32;
        Step {
            reward,
            terminated: ended || self.grid.actions(self.state) == 0,
            truncated: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use etude_mdp::GridWorldSpec;

    use super::*;

    #[test]
    fn a_target_ends_the_episode_where_it_is_absorbing_and_not_where_it_is_not() {
        for absorbing in [true, false] {
            let spec = GridWorldSpec {
                map: vec!["S.T".into()],
                absorbing,
                ..GridWorldSpec::default()
            };
            let mut env = GridWorldEnv::new(GridWorld::new(&spec).unwrap());
            let mut observation = [f32::NAN];
            env.reset(Some(1), &mut observation);
            assert_eq!(observation[0] as u8, 0);
            // To the right, twice.
            let first = env.step(&[1.0], &mut observation);
            assert_eq!((first.reward, first.terminated, observation[0] as u8), (0.0, false, 1));
            let second = env.step(&[1.0], &mut observation);
            assert_eq!(
                (second.reward, second.terminated, second.truncated),
                (1.0, absorbing, false)
            );
        }
    }
}

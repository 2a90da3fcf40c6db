//! Environments with finitely many states, whose chances are known.

use std::fmt;
use std::sync::Arc;

use etude_mdp::{Mdp, MdpBuilder, MdpError, Next};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::render::Scene;
use crate::simulator::{Dynamics, Simulator};
use crate::space::Space;

/// One thing that may happen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Its probability.
    pub probability: f64,
    /// The state that follows, which is shown even where the episode is over.
    pub next: u32,
    /// The reward.
    pub reward: f64,
    /// Whether the episode is over.
    pub terminated: bool,
}

/// The chances of every state and action, and of the first states: Gymnasium's `P` and `initial_state_distrib`.
#[derive(Debug, Clone)]
pub struct TabularModel {
    actions: usize,
    /// The outcomes of action a in state s: `starts[s * actions + a]..starts[s * actions + a + 1]`.
    starts: Vec<u32>,
    outcomes: Vec<Outcome>,
    /// The states in which an episode may begin, all equally likely.
    first: Vec<u32>,
    /// Which actions may be taken, where that is said; shape `[states, actions]`.
    mask: Option<Vec<f32>>,
    columns: Option<usize>,
    picture: Option<Picture>,
}

/// What each state looks like.
#[derive(Clone)]
struct Picture(Arc<dyn Fn(u32) -> Scene + Send + Sync>);

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Picture")
    }
}

impl TabularModel {
    /// The model in which `outcomes(state, action)` may happen, and every episode begins in one of the states `first`.
    pub fn new<I: IntoIterator<Item = Outcome>>(
        states: usize,
        actions: usize,
        first: Vec<u32>,
        mut outcomes: impl FnMut(usize, usize) -> I,
    ) -> Self {
        let mut model = Self {
            actions,
            starts: vec![0],
            outcomes: Vec::new(),
            first,
            mask: None,
            columns: None,
            picture: None,
        };
        for state in 0..states {
            for action in 0..actions {
                model.outcomes.extend(outcomes(state, action));
                model.starts.push(model.outcomes.len() as u32);
            }
        }
        model
    }

    /// The model with a picture of each state.
    pub fn with_picture(mut self, picture: impl Fn(u32) -> Scene + Send + Sync + 'static) -> Self {
        self.picture = Some(Picture(Arc::new(picture)));
        self
    }

    /// The model in which only actions that may change something may be taken: those that lead nowhere but to the same state are
    /// masked. Where none changes anything, all may.
    pub fn with_action_mask(self) -> Self {
        let changes = |state, action| {
            let mut outcomes = self.outcomes(state, action).iter();
            outcomes.any(|outcome| outcome.terminated || outcome.next as usize != state)
        };
        let mut mask = Vec::with_capacity(self.states() * self.actions);
        for state in 0..self.states() {
            let none = !(0..self.actions).any(|action| changes(state, action));
            mask.extend((0..self.actions).map(|action| f32::from(none || changes(state, action))));
        }
        Self {
            mask: Some(mask),
            ..self
        }
    }

    /// Number of states.
    pub fn states(&self) -> usize {
        (self.starts.len() - 1) / self.actions
    }

    /// Number of actions, the same in every state.
    pub fn actions(&self) -> usize {
        self.actions
    }

    /// The states in which an episode may begin, all equally likely.
    pub fn first_states(&self) -> &[u32] {
        &self.first
    }

    /// All that may happen.
    ///
    /// # Panics
    /// There is no such action: what follows would be another state's.
    pub fn outcomes(&self, state: usize, action: usize) -> &[Outcome] {
        assert!(action < self.actions, "action {action} of {}", self.actions);
        let row = state * self.actions + action;
        &self.outcomes[self.starts[row] as usize..self.starts[row + 1] as usize]
    }

    /// Where the states lie: on the unit interval, or on the unit square where they are the cells of a board.
    pub fn points(&self) -> Vec<Vec<f64>> {
        let along = |index: usize, count: usize| index as f64 / (count.max(2) - 1) as f64;
        let states = self.states();
        match self.columns {
            Some(columns) => (0..states)
                .map(|state| {
                    let rows = states.div_ceil(columns);
                    vec![along(state / columns, rows), along(state % columns, columns)]
                })
                .collect(),
            None => (0..states).map(|state| vec![along(state, states)]).collect(),
        }
    }

    /// The same model, whose states are the cells of a board with so many columns, row by row.
    pub fn with_columns(self, columns: usize) -> Self {
        Self {
            columns: Some(columns),
            ..self
        }
    }

    /// How many columns the board has, where the states are its cells.
    pub fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// The same as a Markov decision process, to be solved exactly.
    ///
    /// # Errors
    /// Probabilities that are none, or do not sum to one.
    pub fn to_mdp(&self) -> Result<Mdp, MdpError> {
        let mut builder = MdpBuilder::new(self.states());
        for state in 0..self.states() {
            for action in 0..self.actions {
                for outcome in self.outcomes(state, action) {
                    let next = if outcome.terminated {
                        Next::End
                    } else {
                        Next::State(outcome.next as usize)
                    };
                    builder.transition(state, action as u32, next, outcome.probability, outcome.reward);
                }
            }
        }
        builder.build()
    }
}

/// An environment that follows a [`TabularModel`] and shows its states as numbers.
pub type Tabular = Simulator<TabularModel>;

impl Dynamics for TabularModel {
    type State = u32;

    fn observation_space(&self) -> Space {
        Space::Discrete(self.states())
    }

    fn action_space(&self) -> Space {
        Space::Discrete(self.actions)
    }

    fn start(&self, random: &mut ChaCha8Rng) -> u32 {
        self.first[random.random_range(0..self.first.len())]
    }

    fn advance(&self, state: u32, action: &[f32], random: &mut ChaCha8Rng) -> (u32, f64, bool) {
        let outcomes = self.outcomes(state as usize, action[0] as usize);
        let mut left: f64 = random.random();
        // The last one where rounding leaves some of the number.
        let mut taken = &outcomes[outcomes.len() - 1];
        for outcome in outcomes {
            left -= outcome.probability;
            if left < 0.0 {
                taken = outcome;
                break;
            }
        }
        (taken.next, taken.reward, taken.terminated)
    }

    fn observe(&self, state: &u32, observation: &mut [f32]) {
        observation[0] = *state as f32;
    }

    fn action_mask(&self, state: &u32, mask: &mut [f32]) -> bool {
        let Some(masks) = &self.mask else { return false };
        mask.copy_from_slice(&masks[*state as usize * self.actions..][..self.actions]);
        true
    }

    fn draw(&self, state: &u32) -> Option<Scene> {
        self.picture.as_ref().map(|picture| (picture.0)(*state))
    }
}

//! Grid worlds, which compute their transitions instead of storing them.
//!
//! The grid of Zhao, *Mathematical Foundations of Reinforcement Learning*, chapters 2 to 4 and 8, with forbidden cells
//! `x` and the target `T`:
//!
//! ```text
//!       1   2   3   4   5
//!     ┌───┬───┬───┬───┬───┐
//!   1 │   │   │   │   │   │
//!     ├───┼───┼───┼───┼───┤
//!   2 │   │ x │ x │   │   │
//!     ├───┼───┼───┼───┼───┤      actions    ↑ up, → right, ↓ down, ← left, ○ stay
//!   3 │   │   │ x │   │   │
//!     ├───┼───┼───┼───┼───┤      rewards    -1 for running into the boundary, which leaves the agent where it is,
//!   4 │   │ x │ T │ x │   │                 -1 or -10 for entering a forbidden cell,
//!     ├───┼───┼───┼───┼───┤                  1 for entering the target or staying in it,
//!   5 │   │ x │   │   │   │                  0 for entering any other cell
//!     └───┴───┴───┴───┴───┘
//! ```

mod spec;
mod stencil;

use rand::{Rng, RngExt};

use crate::error::MdpError;
use crate::model::Model;
use crate::simulate::Sample;

pub use spec::{GridRewards, GridWorldSpec};

/// The index of the action `stay`, which follows the four moves.
const STAY: usize = 4;

/// What a cell of a grid world is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CellKind {
    /// Nothing special.
    #[default]
    Plain,
    /// Can be entered, at a cost.
    Forbidden,
    /// Where the agent should go.
    Target,
    /// Cannot be entered: a move into it bounces as off the boundary.
    Wall,
}

/// A grid world: an agent that moves between the cells of a rectangle, one cell at a time, and may slip.
///
/// A state is a cell: `row * columns + column`, with rows and columns counted from 0. The actions are, in this order,
/// up, right, down, left and (unless it is left out) stay; see [`GridWorld::ACTIONS`].
///
/// A move leads to the cell ahead with probability 1 - slip, and to the cell on either side (left or right of the
/// direction of the move) with probability slip / 2 each. Where that cell is a wall or outside the grid, the agent
/// bounces: it stays where it is and earns the boundary reward. Otherwise it earns the reward of the cell that it
/// enters. Staying is certain and enters the same cell again. The reward of an action is the mean over its outcomes.
///
/// Walls have no actions, and neither have targets in a grid whose targets are absorbing: as states they are terminal,
/// with value 0. In the book the target is *not* absorbing; the agent collects its reward for ever.
///
/// ```
/// use etude_mdp::{GridWorld, GridWorldSpec, Model};
///
/// let grid = GridWorld::new(&GridWorldSpec {
///     rows: 5,
///     columns: 5,
///     forbidden: vec![[2, 2], [2, 3], [3, 3], [4, 2], [4, 4], [5, 2]], // from 1, as in the book
///     targets: vec![[4, 3]],
///     ..GridWorldSpec::default()
/// })?;
/// let beside_target = grid.state(3, 1); // from 0, as states are
/// assert_eq!(grid.reward(beside_target, 1), 1.0); // right, into the target
/// # Ok::<(), etude_mdp::MdpError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GridWorld {
    columns: usize,
    /// Row by row.
    kinds: Vec<CellKind>,
    start: Option<usize>,
    rewards: GridRewards,
    slip: f64,
    /// 5, or 4 without `stay`.
    actions: usize,
    absorbing: bool,
}

impl GridWorld {
    /// The names of the actions, by index.
    pub const ACTIONS: [&str; 5] = ["up", "right", "down", "left", "stay"];

    /// One sign for each action, by index.
    pub const ARROWS: [char; 5] = ['↑', '→', '↓', '←', '○'];

    /// The grid world that `spec` describes.
    ///
    /// # Errors
    /// [`MdpError::Grid`] names the field and the cell that make no sense; [`MdpError::TooLarge`] where 32-bit indices
    /// cannot number the cells.
    pub fn new(spec: &GridWorldSpec) -> Result<Self, MdpError> {
        spec.build()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.kinds.len() / self.columns
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The state of a cell, with `row` and `column` counted from 0.
    ///
    /// # Panics
    /// Where there is no such cell.
    pub fn state(&self, row: usize, column: usize) -> usize {
        assert!(
            row < self.rows() && column < self.columns,
            "no cell ({row}, {column}), from 0, in a grid of {} rows and {} columns",
            self.rows(),
            self.columns
        );
        row * self.columns + column
    }

    /// The kind of the cell that `state` stands for.
    ///
    /// # Panics
    /// Where `state` is not a state of the grid.
    pub fn kind(&self, state: usize) -> CellKind {
        self.kinds[state]
    }

    /// The state in which an episode starts, where one was given.
    pub fn start(&self) -> Option<usize> {
        self.start
    }

    /// Whether a cell is a terminal state.
    #[inline]
    fn is_terminal(&self, kind: CellKind) -> bool {
        kind == CellKind::Wall || (self.absorbing && kind == CellKind::Target)
    }

    /// The cell that each direction (an action that does not slip) leads to, `None` where it bounces.
    #[inline]
    fn neighbours(&self, state: usize) -> [Option<usize>; 5] {
        let column = state % self.columns;
        let open = |inside: bool, next: usize| (inside && self.kinds[next] != CellKind::Wall).then_some(next);
        [
            open(state >= self.columns, state.wrapping_sub(self.columns)),
            open(column + 1 < self.columns, state + 1),
            open(state + self.columns < self.kinds.len(), state + self.columns),
            open(column > 0, state.wrapping_sub(1)),
            Some(state),
        ]
    }

    /// What each direction earns: the reward, and `worth` of the cell in which the agent ends up.
    #[inline]
    fn outcomes(&self, state: usize, worth: impl Fn(usize) -> f64) -> [f64; 5] {
        self.neighbours(state).map(|next| match next {
            Some(next) => self.rewards.entering(self.kinds[next]) + worth(next),
            None => self.rewards.boundary + worth(state),
        })
    }

    /// The mean of the outcomes of an action that may slip. The stencil has the same operations in the same order.
    #[inline]
    fn mean(&self, action: usize, outcomes: &[f64; 5]) -> f64 {
        if action == STAY {
            return outcomes[STAY];
        }
        let [right, left] = sides(action);
        (1.0 - self.slip) * outcomes[action] + self.slip / 2.0 * (outcomes[left] + outcomes[right])
    }
}

/// The directions to the right and to the left of a move.
#[inline]
fn sides(action: usize) -> [usize; 2] {
    [(action + 1) % 4, (action + 3) % 4]
}

impl Model for GridWorld {
    fn states(&self) -> usize {
        self.kinds.len()
    }

    #[inline]
    fn actions(&self, state: usize) -> usize {
        if self.is_terminal(self.kinds[state]) {
            0
        } else {
            self.actions
        }
    }

    #[inline]
    fn reward(&self, state: usize, action: usize) -> f64 {
        self.mean(action, &self.outcomes(state, |_| 0.0))
    }

    /// No successor comes twice: moves that bounce both ahead and to the side, say in a corner, are one.
    #[inline]
    fn successors(&self, state: usize, action: usize, mut visit: impl FnMut(u32, f64)) {
        let arrive = self.neighbours(state).map(|next| next.unwrap_or(state));
        if action == STAY {
            return visit(state as u32, 1.0);
        }
        let [right, left] = sides(action);
        let aside = self.slip / 2.0;
        let ways = [(action, 1.0 - self.slip), (right, aside), (left, aside)].map(|(way, p)| (arrive[way], p));
        for (index, (next, _)) in ways.iter().enumerate() {
            let same = |way: &&(usize, f64)| way.0 == *next;
            let probability: f64 = ways[index..].iter().filter(same).map(|way| way.1).sum();
            if probability > 0.0 && !ways[..index].iter().any(|way| same(&way)) {
                visit(*next as u32, probability);
            }
        }
    }

    #[inline]
    fn action_value(&self, state: usize, action: usize, discount: f64, values: &[f64]) -> f64 {
        self.mean(action, &self.outcomes(state, |next| discount * values[next]))
    }

    /// Equal to the default, which would compute the outcomes of every direction once for each action.
    #[inline]
    fn backup(&self, state: usize, discount: f64, values: &[f64]) -> (f64, u32) {
        let actions = self.actions(state);
        if actions == 0 {
            return (0.0, 0);
        }
        let outcomes = self.outcomes(state, |next| discount * values[next]);
        let mut best = (self.mean(0, &outcomes), 0);
        for action in 1..actions {
            let value = self.mean(action, &outcomes);
            if value > best.0 {
                best = (value, action as u32);
            }
        }
        best
    }

    /// Many cells at a time, with the vector instructions of the machine. The result is the same, to the last bit, as
    /// state by state, on every machine.
    fn backup_block(&self, first: usize, discount: f64, values: &[f64], backed_up: &mut [f64], greedy: &mut [u32]) {
        stencil::backup_block(self, first, discount, values, backed_up, greedy);
    }

    fn max_successors(&self) -> usize {
        3
    }

    fn has_terminal(&self) -> bool {
        self.kinds.iter().any(|&kind| self.is_terminal(kind))
    }
}

impl Sample for GridWorld {
    /// Draws the direction that the agent really takes, and with it the reward that it really earns.
    fn sample(&self, state: usize, action: usize, random: &mut impl Rng) -> (u32, f64) {
        let slips: f64 = random.random();
        let way = match action {
            STAY => STAY,
            _ if slips >= self.slip => action,
            _ if slips < self.slip / 2.0 => sides(action)[0],
            _ => sides(action)[1],
        };
        let next = self.neighbours(state)[way].unwrap_or(state);
        (next as u32, self.outcomes(state, |_| 0.0)[way])
    }
}

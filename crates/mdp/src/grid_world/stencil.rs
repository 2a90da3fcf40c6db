//! The Bellman optimality backup of a grid world, many cells at a time.
//!
//! With w(c) = r(c) + gamma v(c) for entering cell c, and b(s) = `r_boundary` + gamma v(s) in its place where c is a
//! wall or lies outside,
//!
//! ```text
//! q(s, move) = (1 - slip) w(ahead) + (slip / 2) (w(left) + w(right))        q(s, stay) = w(s)
//! ```
//!
//! Every operation is rounded on its own, in this order; there is no fused multiply-add. So the number of lanes changes
//! nothing, and all machines agree to the last bit.
//!
//! The sweep goes down a strip of columns with w of three rows at hand, which stay in the first-level cache, and
//! computes w of each cell once. What cannot be entered is kept as NaN, so that edges need no code of their own.

#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of `with_simd`"
)]

use std::hint::select_unpredictable;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::grid_world::{CellKind, GridWorld};

/// Columns of a strip. Three rows of it take 24 KiB.
const STRIP: usize = 1022;

/// w of the cells of one row of a strip, and of one cell more on either side.
type Row = [f64; STRIP + 2];

/// See [`Model::backup_block`](crate::Model::backup_block).
pub(super) fn backup_block(
    grid: &GridWorld,
    first: usize,
    discount: f64,
    values: &[f64],
    backed_up: &mut [f64],
    greedy: &mut [u32],
) {
    if !backed_up.is_empty() {
        let backup = Backup { grid, discount, values };
        Arch::new().dispatch(Block {
            backup,
            first,
            backed_up,
            greedy,
        });
    }
}

/// The states that are asked for.
struct Block<'a> {
    backup: Backup<'a>,
    first: usize,
    backed_up: &'a mut [f64],
    greedy: &'a mut [u32],
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self {
            backup,
            first,
            backed_up,
            greedy,
        } = self;
        let columns = backup.grid.columns;
        let end = first + backed_up.len();
        let (first_row, last_row) = (first / columns, (end - 1) / columns);
        let wanted = if first_row == last_row {
            first % columns..(end - 1) % columns + 1
        } else {
            0..columns
        };
        #[expect(clippy::large_stack_arrays, reason = "24 KiB; an allocation a block would cost more")]
        let mut rows: [Row; 3] = [[f64::NAN; _]; 3];
        let [mut above, mut here, mut below] = rows.each_mut();
        for left in wanted.clone().step_by(STRIP) {
            let strip = left..wanted.end.min(left + STRIP);
            // The row above the first wraps to one that lies outside as well.
            backup.enter(first_row.wrapping_sub(1), &strip, above);
            backup.enter(first_row, &strip, here);
            for row in first_row..=last_row {
                backup.enter(row + 1, &strip, below);
                // The block may begin or end within the row.
                let row_start = row * columns;
                let (from, to) = (first.max(row_start + strip.start), end.min(row_start + strip.end));
                if from < to {
                    let skipped = from - row_start - strip.start;
                    let around = [&above[skipped..], &here[skipped..], &below[skipped..]];
                    let block = from - first..to - first;
                    backup.choose(from..to, around, &mut backed_up[block.clone()], &mut greedy[block]);
                }
                (above, here, below) = (here, below, above);
            }
        }
    }
}

/// What the backup reads.
struct Backup<'a> {
    grid: &'a GridWorld,
    discount: f64,
    values: &'a [f64],
}

impl Backup<'_> {
    /// w of a row's part of the strip and of one cell more on either side, NaN where there is none to enter.
    #[inline(always)]
    fn enter(&self, row: usize, strip: &Range<usize>, w: &mut Row) {
        let columns = self.grid.columns;
        let w = &mut w[..strip.len() + 2];
        if row >= self.grid.rows() {
            return w.fill(f64::NAN);
        }
        let inside = strip.start.saturating_sub(1)..columns.min(strip.end + 1);
        let cells = row * columns + inside.start..row * columns + inside.end;
        let begin = inside.start + 1 - strip.start;
        w[0] = f64::NAN;
        w[strip.len() + 1] = f64::NAN;
        let cells = self.grid.kinds[cells.clone()].iter().zip(&self.values[cells]);
        for (w, (&kind, value)) in w[begin..].iter_mut().zip(cells) {
            *w = self.grid.rewards.entering(kind) + self.discount * value;
        }
    }

    /// The best action of each of the `cells` in a row, and its value. `around` holds w of the rows above, at and below
    /// them, each from one column to the left of the first cell.
    #[inline(always)]
    fn choose(&self, cells: Range<usize>, around: [&[f64]; 3], backed_up: &mut [f64], greedy: &mut [u32]) {
        let grid = self.grid;
        let (straight, aside) = (1.0 - grid.slip, grid.slip / 2.0);
        let can_stay = grid.actions == 5;
        let end = if grid.absorbing {
            CellKind::Target
        } else {
            CellKind::Wall
        };
        let count = cells.len();
        let [above, here, below] = around.map(|w| &w[..count + 2]);
        let (kinds, values) = (&grid.kinds[cells.clone()], &self.values[cells]);
        let (backed_up, greedy) = (&mut backed_up[..count], &mut greedy[..count]);
        for i in 0..count {
            let bounce = grid.rewards.boundary + self.discount * values[i];
            let go = |w: f64| select_unpredictable(w.is_nan(), bounce, w);
            let (up, right, down, left) = (go(above[i + 1]), go(here[i + 2]), go(below[i + 1]), go(here[i]));
            let (across, along) = (aside * (left + right), aside * (up + down));
            let stay = select_unpredictable(can_stay, here[i + 1], f64::NEG_INFINITY);
            let mut best = (straight * up + across, 0_u64);
            best = better(best, straight * right + along, 1);
            best = better(best, straight * down + across, 2);
            best = better(best, straight * left + along, 3);
            best = better(best, stay, 4);
            let terminal = kinds[i] == CellKind::Wall || kinds[i] == end;
            backed_up[i] = select_unpredictable(terminal, 0.0, best.0);
            greedy[i] = select_unpredictable(terminal, 0, best.1) as u32;
        }
    }
}

/// The better of the best so far and of the next action; the earlier one where they are equal. Actions are as wide as
/// values here, so that they share their lanes.
#[inline(always)]
fn better(best: (f64, u64), value: f64, action: u64) -> (f64, u64) {
    let is_better = value > best.0;
    (
        select_unpredictable(is_better, value, best.0),
        select_unpredictable(is_better, action, best.1),
    )
}

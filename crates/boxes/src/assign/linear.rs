//! Linear sum assignment.

#![expect(clippy::float_cmp, reason = "a minimum is one of the numbers it was taken from")]

use pulp::{Arch, Simd, WithSimd};

use crate::error::check_length;
use crate::{BoxError, Float};

/// Pairs of a row and a column, by rising row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assignment {
    /// The rows that have a column: all of them, or as many as there are columns.
    pub rows: Vec<u32>,
    /// Their columns.
    pub columns: Vec<u32>,
    /// The sum of their costs.
    pub cost: f64,
}

/// The one-to-one assignment of rows to columns with the least total cost: the Hungarian matcher. `cost` is [rows,
/// columns], row by row; every row gets a column, or every column a row where there are fewer of these. An infinite
/// cost means that the two may not be paired.
///
/// Shortest augmenting paths: D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Transactions
/// on Aerospace and Electronic Systems 52(4), 2016, after Jonker and Volgenant 1987. Worst case O(n^2 m) for the
/// shorter side n. Everything is added in 64 bits. Of several assignments with the same cost, the same one is found
/// always.
///
#[doc = include_str!("../../docs/linear_assignment.svg")]
///
/// ```
/// use etude_boxes::assign::linear_assignment;
///
/// let never = f64::INFINITY;
/// let found = linear_assignment(&[4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 3.0, never, 2.0], [3, 3])?;
/// assert_eq!((found.columns, found.cost), (vec![1, 0, 2], 5.0));
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// `cost` is not [rows, columns]; a cost is NaN, negative infinity, or beyond 1e300; there is no complete assignment of
/// finite cost.
pub fn linear_assignment<T: Float>(cost: &[T], [rows, columns]: [usize; 2]) -> Result<Assignment, BoxError> {
    check_length("the costs", cost.len(), rows.saturating_mul(columns))?;
    if cost.is_empty() {
        return Ok(Assignment::default());
    }
    // Without a way out in the middle, the loop over all is several times faster.
    let wrong = cost.iter().fold(false, |wrong, &cost| wrong | !allowed(cost.to_64()));
    if wrong && let Some(index) = cost.iter().position(|&cost| !allowed(cost.to_64())) {
        return Err(BoxError::Cost {
            row: index / columns,
            column: index % columns,
            found: cost[index].to_64(),
        });
    }
    let mut solver = Solver::new(cost, [rows, columns]);
    Arch::new().dispatch(Solve(&mut solver))?;
    let mut pairs: Vec<(usize, usize)> = solver.column_of.iter().copied().enumerate().collect();
    if rows > columns {
        for (row, column) in &mut pairs {
            (*row, *column) = (*column, *row);
        }
        pairs.sort_unstable();
    }
    Ok(Assignment {
        cost: pairs
            .iter()
            .map(|(row, column)| cost[row * columns + column].to_64())
            .sum(),
        rows: pairs.iter().map(|&(row, _)| row as u32).collect(),
        columns: pairs.iter().map(|&(_, column)| column as u32).collect(),
    })
}

/// Assigns all rows, with the vector instructions of the processor.
struct Solve<'a>(&'a mut Solver);

impl WithSimd for Solve<'_> {
    type Output = Result<(), BoxError>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Self::Output {
        let Self(solver) = self;
        solver.reduce_rows();
        for row in 0..solver.rows {
            if solver.column_of[row] == NONE {
                solver.augment(row)?;
            }
        }
        Ok(())
    }
}

/// Whether it can be reckoned with: sums of a few such costs do not overflow.
fn allowed(cost: f64) -> bool {
    cost.abs() <= 1e300 || cost == f64::INFINITY
}

const NONE: usize = usize::MAX;

/// Numbers of a vector register that are compared at a time. Rows are padded to a multiple of it.
const WIDTH: usize = 8;

/// How often, in the mean, a row may ask for a column before paths are searched.
const ROUNDS: usize = 8;

/// The dual problem, and the assignment so far. Costs minus the duals of row and column are never negative, and zero
/// where a row is assigned.
struct Solver {
    /// No more than columns.
    rows: usize,
    /// Columns and their padding.
    stride: usize,
    cost: Vec<f64>,
    row_dual: Vec<f64>,
    column_dual: Vec<f64>,
    column_of: Vec<usize>,
    row_of: Vec<usize>,
    /// What [`augment`](Self::augment) needs: the length of the shortest path to each column that is not reached yet,
    /// infinite where it is; the row before it; the dual of the column, negative infinity where it is reached; and what
    /// was reached, with the length of the path.
    open: Vec<f64>,
    from: Vec<usize>,
    dual: Vec<f64>,
    reached: Vec<(usize, f64)>,
}

impl Solver {
    fn new<T: Float>(cost: &[T], [rows, columns]: [usize; 2]) -> Self {
        let (short, long) = (rows.min(columns), rows.max(columns));
        let stride = long.next_multiple_of(WIDTH);
        let mut padded = vec![f64::INFINITY; short * stride];
        if rows <= columns {
            for (to, from) in padded.chunks_mut(stride).zip(cost.chunks(columns)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_64());
            }
        } else {
            for (row, from) in cost.chunks(columns).enumerate() {
                from.iter()
                    .enumerate()
                    .for_each(|(column, from)| padded[column * stride + row] = from.to_64());
            }
        }
        Self {
            rows: short,
            stride,
            cost: padded,
            row_dual: vec![0.0; short],
            column_dual: vec![0.0; stride],
            column_of: vec![NONE; short],
            row_of: vec![NONE; stride],
            open: vec![0.0; stride],
            from: vec![NONE; stride],
            dual: vec![0.0; stride],
            reached: Vec::with_capacity(short + 1),
        }
    }

    /// Gives rows the column that costs them least, as long as that is easily had: Jonker and Volgenant's reduction of
    /// rows, and of augmenting rows. A column's dual falls by what its row would lose with the second best, so that a
    /// row which wants it too may well want another one then.
    #[inline(always)]
    fn reduce_rows(&mut self) {
        // Each round turns a row out or leaves one without a column; more than a few rounds a row are not worth it.
        let mut rounds = ROUNDS * self.rows;
        for first in 0..self.rows {
            let mut row = first;
            while rounds > 0 {
                rounds -= 1;
                let (column, least, second) = self.two_least(row);
                if least == f64::INFINITY {
                    break;
                }
                let before = self.row_of[column];
                let gain = if second < f64::INFINITY { second - least } else { 0.0 };
                if before != NONE && gain <= 0.0 {
                    break;
                }
                self.column_dual[column] -= gain;
                (self.row_of[column], self.column_of[row]) = (row, column);
                if before == NONE {
                    break;
                }
                self.column_of[before] = NONE;
                row = before;
            }
        }
        for row in 0..self.rows {
            let column = self.column_of[row];
            self.row_dual[row] = if column == NONE {
                let (_, least, _) = self.two_least(row);
                if least < f64::INFINITY { least } else { 0.0 }
            } else {
                self.cost[row * self.stride + column] - self.column_dual[column]
            };
        }
    }

    /// The column of the least cost of a row, its dual taken off; that cost, and the second least.
    #[inline(always)]
    fn two_least(&self, row: usize) -> (usize, f64, f64) {
        let (mut least, mut second) = ([f64::INFINITY; WIDTH], [f64::INFINITY; WIDTH]);
        let mut at = [0; WIDTH];
        let costs = self.cost[row * self.stride..][..self.stride].as_chunks::<WIDTH>().0;
        let duals = self.column_dual.as_chunks::<WIDTH>().0;
        for (chunk, (costs, duals)) in costs.iter().zip(duals).enumerate() {
            for lane in 0..WIDTH {
                let cost = costs[lane] - duals[lane];
                let less = cost < least[lane];
                second[lane] = second[lane].smaller(cost.larger(least[lane]));
                least[lane] = if less { cost } else { least[lane] };
                at[lane] = if less { chunk } else { at[lane] };
            }
        }
        let (lane, column) = first_least(&least, &at);
        let others = (0..WIDTH).filter(|&other| other != lane).map(|other| least[other]);
        (column, least[lane], others.fold(second[lane], f64::min))
    }

    /// Assigns one more row, along the shortest path that ends in a free column.
    #[inline(always)]
    fn augment(&mut self, first: usize) -> Result<(), BoxError> {
        self.open.fill(f64::INFINITY);
        self.dual.copy_from_slice(&self.column_dual);
        self.reached.clear();
        let (mut row, mut length) = (first, 0.0);
        let end = loop {
            let column;
            (column, length) = self.extend(row, length - self.row_dual[row]);
            if length == f64::INFINITY {
                return Err(BoxError::Infeasible { row: first });
            }
            self.open[column] = f64::INFINITY;
            self.dual[column] = f64::NEG_INFINITY;
            if self.row_of[column] == NONE {
                break column;
            }
            self.reached.push((column, length));
            row = self.row_of[column];
        };
        self.row_dual[first] += length;
        for &(column, reached) in &self.reached {
            self.row_dual[self.row_of[column]] += length - reached;
            self.column_dual[column] -= length - reached;
        }
        let mut column = end;
        loop {
            let row = self.from[column];
            self.row_of[column] = row;
            std::mem::swap(&mut self.column_of[row], &mut column);
            if row == first {
                return Ok(());
            }
        }
    }

    /// Goes on from a row to all columns, and returns the end of the shortest of all open paths and its length.
    #[inline(always)]
    fn extend(&mut self, row: usize, length: f64) -> (usize, f64) {
        let (mut least, mut at) = ([f64::INFINITY; WIDTH], [0; WIDTH]);
        let costs = self.cost[row * self.stride..][..self.stride].as_chunks::<WIDTH>().0;
        let (open, from) = (
            self.open.as_chunks_mut::<WIDTH>().0,
            self.from.as_chunks_mut::<WIDTH>().0,
        );
        let dual = self.dual.as_chunks::<WIDTH>().0;
        for (chunk, (((costs, dual), open), from)) in costs.iter().zip(dual).zip(open).zip(from).enumerate() {
            for lane in 0..WIDTH {
                let path = length + (costs[lane] - dual[lane]);
                let shorter = path < open[lane];
                open[lane] = if shorter { path } else { open[lane] };
                from[lane] = if shorter { row } else { from[lane] };
                let less = open[lane] < least[lane];
                least[lane] = if less { open[lane] } else { least[lane] };
                at[lane] = if less { chunk } else { at[lane] };
            }
        }
        let (lane, column) = first_least(&least, &at);
        (column, least[lane])
    }
}

/// The lane of the least number, and its column: of equal ones the first.
#[inline(always)]
fn first_least(least: &[f64; WIDTH], chunk: &[usize; WIDTH]) -> (usize, usize) {
    let column = |lane: usize| chunk[lane] * WIDTH + lane;
    let mut best = 0;
    for lane in 1..WIDTH {
        if least[lane] < least[best] || (least[lane] == least[best] && column(lane) < column(best)) {
            best = lane;
        }
    }
    (best, column(best))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::instructions::sets;

    /// Assigns under every set of instructions: columns and duals are the same to the last bit.
    #[test]
    fn all_instructions_assign_the_same() {
        let mut seed = 1_u64;
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 40) as f64 / 16_777_216.0
        };
        for [rows, columns] in [[1, 1], [7, 9], [40, 40], [90, 30]] {
            let cost: Vec<f64> = (0..rows * columns).map(|_| draw()).collect();
            let solve = |set: Arch| {
                let mut solver = Solver::new(&cost, [rows, columns]);
                set.dispatch(Solve(&mut solver)).unwrap();
                let duals = [solver.row_dual, solver.column_dual].concat();
                (
                    solver.column_of,
                    duals.into_iter().map(f64::to_bits).collect::<Vec<_>>(),
                )
            };
            let found: Vec<_> = sets().into_iter().map(solve).collect();
            assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// The duals prove that nothing costs less: no pair costs less than its two duals, the pairs found cost just that, and what a
        /// column without a row could add is zero.
        #[test]
        fn the_duals_prove_it(
            (rows, columns, cost) in (1_usize..40, 0_usize..20).prop_flat_map(|(rows, more)| {
                let cost = prop_oneof![4 => -5.0..5.0, 8 => (0_i32..6).prop_map(f64::from), 2 => Just(f64::INFINITY)];
                (Just(rows), Just(rows + more), vec(cost, rows * (rows + more)))
            }),
        ) {
            let mut solver = Solver::new(&cost, [rows, columns]);
            if Arch::new().dispatch(Solve(&mut solver)).is_ok() {
                for row in 0..rows {
                    for column in 0..columns {
                        let rest = cost[row * columns + column] - solver.row_dual[row] - solver.column_dual[column];
                        prop_assert!(rest > -1e-9);
                        prop_assert!(solver.column_of[row] != column || rest < 1e-9);
                    }
                }
                for column in 0..columns {
                    let dual = solver.column_dual[column];
                    prop_assert!(dual <= 0.0 && (solver.row_of[column] != NONE || dual == 0.0));
                }
            }
        }
    }
}

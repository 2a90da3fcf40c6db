//! Metrics and losses of many pairs at a time.
//!
//! Boxes are brought into blocks of corners, column by column, whatever their layout and format. Over a block the
//! formula of one pair is a loop without branches, which the compiler turns into vector instructions: those of the
//! processor at hand, which is found out at run time. Large inputs are shared between the threads of the current Rayon
//! pool.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::block::{Block, LANES, blocks};
use super::{Metric, Pair};
use crate::error::check_length;
use crate::{BoxError, Boxes, Float, Format};

/// Pairs that one thread takes at a time. Fewer are done sooner than another thread wakes up.
const PART: usize = 1 << 14;

/// Writes the metric of the first box of `a` and the first of `b`, of the second and the second, and so on.
///
/// ```
/// use etude_boxes::iou::{Iou, elementwise};
/// use etude_boxes::{Boxes, Format};
///
/// let a = [[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]];
/// let b = [[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]];
/// let mut values = [0.0; 2];
/// elementwise(&Iou::default(), Boxes::rows(&a, Format::Xyxy), Boxes::rows(&b, Format::Xyxy), &mut values)?;
/// assert_eq!(values, [1.0 / 3.0, 0.0]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many boxes in `a` as in `b` and as there is room for values.
pub fn elementwise<T: Float>(
    metric: &impl Metric<T>,
    a: Boxes<'_, T>,
    b: Boxes<'_, T>,
    values: &mut [T],
) -> Result<(), BoxError> {
    check_length("the second boxes", b.len(), a.len())?;
    check_length("room for values", values.len(), a.len())?;
    let part = |(index, values): (usize, &mut [T])| {
        Arch::new().dispatch(Elementwise {
            metric: *metric,
            a,
            b,
            index,
            values,
        });
    };
    in_parts(values.chunks_mut(PART), part);
    Ok(())
}

/// Writes the metric of every box of `a` with every box of `b`: `values` is [a, b], row by row.
///
/// ```
/// use etude_boxes::iou::{Giou, pairwise};
/// use etude_boxes::{Boxes, Format};
///
/// let a = [[0.0, 0.0, 1.0, 1.0]];
/// let b = [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0], [3.0, 0.0, 4.0, 1.0]];
/// let mut values = [0.0; 3];
/// pairwise(&Giou::default(), Boxes::rows(&a, Format::Xyxy), Boxes::rows(&b, Format::Xyxy), &mut values)?;
/// assert_eq!(values, [1.0, 0.0, -0.5]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There is not room for one value a pair.
pub fn pairwise<T: Float>(
    metric: &impl Metric<T>,
    a: Boxes<'_, T>,
    b: Boxes<'_, T>,
    values: &mut [T],
) -> Result<(), BoxError> {
    check_length("room for values", values.len(), a.len() * b.len())?;
    if values.is_empty() {
        return Ok(());
    }
    let columns = &blocks(metric, b);
    let rows = PART.div_ceil(b.len());
    let part = |(index, values): (usize, &mut [T])| {
        let first = index * rows;
        Arch::new().dispatch(Rows {
            metric: *metric,
            a,
            first,
            columns,
            width: b.len(),
            values,
        });
    };
    in_parts(values.chunks_mut(rows * b.len()), part);
    Ok(())
}

/// Boxes in blocks, with which others are compared one by one.
pub(crate) struct Compared<T> {
    columns: Vec<Block<T>>,
    count: usize,
}

impl<T: Float> Compared<T> {
    pub(crate) fn new(metric: &impl Metric<T>, boxes: Boxes<'_, T>) -> Self {
        Self {
            columns: blocks(metric, boxes),
            count: boxes.len(),
        }
    }

    /// Writes the metric of a box with these corners and each of them, of which there are as many as values.
    pub(crate) fn row(&self, metric: &impl Metric<T>, corners: [T; 4], values: &mut [T]) {
        if values.is_empty() {
            return;
        }
        Arch::new().dispatch(Rows {
            metric: *metric,
            a: Boxes::rows(&[corners], Format::Xyxy),
            first: 0,
            columns: &self.columns,
            width: self.count,
            values,
        });
    }
}

/// Writes the loss 1 - metric of each pair of a predicted box and its target, and its gradient by the predicted box, in
/// the format of that box.
///
/// ```
/// use etude_boxes::iou::{Diou, loss_and_gradient};
/// use etude_boxes::{Boxes, Format};
///
/// let (p, g) = ([[0.0, 0.0, 2.0, 2.0]], [[4.0, 0.0, 6.0, 2.0]]);
/// let (mut losses, mut gradients) = ([0.0; 1], [[0.0; 4]; 1]);
/// let (p, g) = (Boxes::rows(&p, Format::Xywh), Boxes::rows(&g, Format::Xyxy));
/// loss_and_gradient(&Diou::default(), p, g, &mut losses, &mut gradients)?;
/// assert_eq!(losses, [1.4]);
/// assert!(gradients[0][0] < 0.0); // the loss falls when x grows: the box is drawn to the right
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many predicted boxes as targets, and as there is room for losses and for gradients.
pub fn loss_and_gradient<T: Float>(
    metric: &impl Metric<T>,
    predicted: Boxes<'_, T>,
    targets: Boxes<'_, T>,
    losses: &mut [T],
    gradients: &mut [[T; 4]],
) -> Result<(), BoxError> {
    check_length("targets", targets.len(), predicted.len())?;
    check_length("room for losses", losses.len(), predicted.len())?;
    check_length("room for gradients", gradients.len(), predicted.len())?;
    let parts = losses.chunks_mut(PART).zip(gradients.chunks_mut(PART));
    let part = |(index, (losses, gradients))| {
        Arch::new().dispatch(Differentiated {
            metric: *metric,
            predicted,
            targets,
            index,
            losses,
            gradients,
        });
    };
    in_parts(parts, part);
    Ok(())
}

/// Does all parts, on all threads if there are several.
fn in_parts<P: Send>(parts: impl ExactSizeIterator<Item = P> + Send, part: impl Fn((usize, P)) + Send + Sync) {
    if parts.len() < 2 {
        parts.enumerate().for_each(part);
    } else {
        let parts: Vec<(usize, P)> = parts.enumerate().collect();
        parts.into_par_iter().for_each(&part);
    }
}

/// The metrics of one part of the pairs.
struct Elementwise<'a, T, M> {
    metric: M,
    a: Boxes<'a, T>,
    b: Boxes<'a, T>,
    index: usize,
    values: &'a mut [T],
}

impl<T: Float, M: Metric<T>> WithSimd for Elementwise<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let (mut a, mut b) = (Block::default(), Block::default());
        let mut first = self.index * PART;
        for values in self.values.chunks_mut(LANES) {
            a.load(M::ANGLES, self.a, first, values.len());
            b.load(M::ANGLES, self.b, first, values.len());
            let mut lanes = [T::zero(); LANES];
            for (lane, found) in lanes.iter_mut().enumerate() {
                *found = value(self.metric, &Pair::new(a.corners(lane), b.corners(lane)));
            }
            for lane in 0..values.len() {
                let holds = a.holds[lane] && b.holds[lane];
                values[lane] = if holds { lanes[lane] } else { self.metric.least() };
            }
            first += LANES;
        }
    }
}

/// The metrics of some rows of the matrix.
struct Rows<'a, T, M> {
    metric: M,
    a: Boxes<'a, T>,
    first: usize,
    columns: &'a [Block<T>],
    width: usize,
    values: &'a mut [T],
}

impl<T: Float, M: Metric<T>> WithSimd for Rows<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let mut row = Block::default();
        for (index, values) in (self.first..).zip(self.values.chunks_mut(self.width)) {
            row.load(M::ANGLES, self.a, index, 1);
            if !row.holds[0] {
                values.fill(self.metric.least());
                continue;
            }
            let p = row.corners(0);
            for (block, values) in self.columns.iter().zip(values.chunks_mut(LANES)) {
                if let Some(lanes) = values.as_mut_array::<LANES>() {
                    row_of(self.metric, p, block, lanes);
                } else {
                    let mut lanes = [T::zero(); LANES];
                    row_of(self.metric, p, block, &mut lanes);
                    values.copy_from_slice(&lanes[..values.len()]);
                }
                if !block.all_hold {
                    for (value, _) in values.iter_mut().zip(&block.holds).filter(|(_, holds)| !**holds) {
                        *value = self.metric.least();
                    }
                }
            }
        }
    }
}

/// The metrics of one box with those of a block.
#[inline(always)]
fn row_of<T: Float>(metric: impl Metric<T>, p: super::Corners<T>, block: &Block<T>, values: &mut [T; LANES]) {
    for (lane, found) in values.iter_mut().enumerate() {
        *found = value(metric, &Pair::new(p, block.corners(lane)));
    }
}

/// The metric of a pair, or the least one where it is too large for a number.
#[inline(always)]
fn value<T: Float>(metric: impl Metric<T>, pair: &Pair<T>) -> T {
    let value = metric.slopes(pair).0;
    if value.abs() <= T::max_value() {
        value
    } else {
        metric.least()
    }
}

/// The losses and gradients of one part of the pairs.
struct Differentiated<'a, T, M> {
    metric: M,
    predicted: Boxes<'a, T>,
    targets: Boxes<'a, T>,
    index: usize,
    losses: &'a mut [T],
    gradients: &'a mut [[T; 4]],
}

impl<T: Float, M: Metric<T>> WithSimd for Differentiated<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let format = self.predicted.format();
        let (mut p, mut g) = (Block::default(), Block::default());
        let mut first = self.index * PART;
        for (losses, gradients) in self.losses.chunks_mut(LANES).zip(self.gradients.chunks_mut(LANES)) {
            p.load(M::ANGLES, self.predicted, first, losses.len());
            g.load(M::ANGLES, self.targets, first, losses.len());
            let (mut values, mut slopes) = ([T::zero(); LANES], [[T::zero(); LANES]; 4]);
            for lane in 0..LANES {
                let pair = Pair::new(p.corners(lane), g.corners(lane));
                let (value, by) = self.metric.slopes(&pair);
                let gradient = pair.pull_back(&by);
                values[lane] = value;
                for (slopes, slope) in slopes.iter_mut().zip(gradient) {
                    slopes[lane] = slope;
                }
            }
            for (lane, (loss, gradient)) in losses.iter_mut().zip(gradients).enumerate() {
                let holds = p.holds[lane] && g.holds[lane] && values[lane].is_finite();
                (*loss, *gradient) = if holds {
                    let slopes = slopes.map(|slopes| -slopes[lane]);
                    (T::one() - values[lane], format.pull_back(slopes).map(Float::or_zero))
                } else {
                    (T::one() - self.metric.least(), [T::zero(); 4])
                };
            }
            first += LANES;
        }
    }
}

#[cfg(test)]
mod tests;

//! Metrics and losses of many pairs of rotated boxes at a time, shared between the threads of the current Rayon pool.

use rayon::prelude::*;

use super::{Rectangle, RotatedBoxes, RotatedMetric};
use crate::error::check_length;
use crate::{BoxError, Float};

/// Pairs that one thread takes at a time.
const PART: usize = 1 << 9;

/// Writes the metric of the first box of `a` and the first of `b`, of the second and the second, and so on.
///
/// ```
/// use etude_boxes::rotated::{AngleConvention, RotatedBoxes, RotatedIou, elementwise};
///
/// let (a, b) = ([[0.5, 0.5, 1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0, 1.0, 0.0]]);
/// let view = |boxes| RotatedBoxes::rows(boxes, AngleConvention::DETECTRON2);
/// let mut values = [0.0; 1];
/// elementwise(&RotatedIou, view(&a), view(&b), &mut values)?;
/// assert!((values[0] - 1.0 / 7.0_f64).abs() < 1e-15);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many boxes in `a` as in `b` and as there is room for values.
pub fn elementwise<T: Float>(
    metric: &impl RotatedMetric,
    a: RotatedBoxes<'_, T>,
    b: RotatedBoxes<'_, T>,
    values: &mut [T],
) -> Result<(), BoxError> {
    check_length("the second boxes", b.len(), a.len())?;
    check_length("room for values", values.len(), a.len())?;
    values
        .par_iter_mut()
        .with_min_len(PART)
        .enumerate()
        .for_each(|(index, value)| {
            *value = T::of(value_of(metric, &a.rectangle(index), &b.rectangle(index)));
        });
    Ok(())
}

/// Writes the metric of every box of `a` with every box of `b`: `values` is [a, b], row by row.
///
/// ```
/// use etude_boxes::rotated::{AngleConvention, RotatedBoxes, RotatedIou, pairwise};
///
/// let a = [[1.0, 1.0, 3.0, 4.0, 0.5]];
/// let b = [[0.0, 2.0, 2.0, 5.0, 0.3], [2.0, 1.0, 3.0, 3.0, 0.5]];
/// let view = |boxes| RotatedBoxes::rows(boxes, AngleConvention::MMCV);
/// let mut values = [0.0; 2];
/// pairwise(&RotatedIou, view(&a), view(&b), &mut values)?;
/// assert!((values[0] - 0.3708_f64).abs() < 5e-5 && (values[1] - 0.4351).abs() < 5e-5);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There is not room for one value a pair.
pub fn pairwise<T: Float>(
    metric: &impl RotatedMetric,
    a: RotatedBoxes<'_, T>,
    b: RotatedBoxes<'_, T>,
    values: &mut [T],
) -> Result<(), BoxError> {
    check_length("room for values", values.len(), a.len() * b.len())?;
    let columns: Vec<Rectangle> = (0..b.len()).map(|index| b.rectangle(index)).collect();
    let rows = PART.div_ceil(b.len().max(1));
    let parts = values.par_chunks_mut((rows * b.len()).max(1)).enumerate();
    parts.for_each(|(part, values)| {
        for (row, values) in values.chunks_mut(b.len()).enumerate() {
            let p = a.rectangle(part * rows + row);
            for (value, g) in values.iter_mut().zip(&columns) {
                *value = T::of(value_of(metric, &p, g));
            }
        }
    });
    Ok(())
}

/// Writes the loss 1 - metric of each pair of a predicted box and its target, and its gradient by the five numbers of
/// the predicted box, in the unit and direction of its angle.
///
/// ```
/// use etude_boxes::rotated::{AngleConvention, ProbIou, RotatedBoxes, loss_and_gradient};
///
/// let (p, g) = ([[5.0, 5.0, 4.0, 2.0, 10.0]], [[5.0, 5.0, 4.0, 2.0, 30.0]]);
/// let view = |boxes| RotatedBoxes::rows(boxes, AngleConvention::DETECTRON2);
/// let (mut losses, mut gradients) = ([0.0; 1], [[0.0; 5]; 1]);
/// loss_and_gradient(&ProbIou, view(&p), view(&g), &mut losses, &mut gradients)?;
/// assert!(gradients[0][4] < 0.0); // it should be turned farther
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many predicted boxes as targets, and as there is room for losses and for gradients.
pub fn loss_and_gradient<T: Float>(
    metric: &impl RotatedMetric,
    predicted: RotatedBoxes<'_, T>,
    targets: RotatedBoxes<'_, T>,
    losses: &mut [T],
    gradients: &mut [[T; 5]],
) -> Result<(), BoxError> {
    check_length("targets", targets.len(), predicted.len())?;
    check_length("room for losses", losses.len(), predicted.len())?;
    check_length("room for gradients", gradients.len(), predicted.len())?;
    let scale = predicted.convention().scale();
    let pairs = losses.par_iter_mut().zip(gradients).with_min_len(PART).enumerate();
    pairs.for_each(|(index, (loss, gradient))| {
        let (p, g) = (predicted.rectangle(index), targets.rectangle(index));
        let (value, [x, y, w, h, angle]) = if p.holds && g.holds {
            metric.slopes(&p, &g)
        } else {
            (0.0, [0.0; 5])
        };
        *loss = T::of(1.0 - value);
        *gradient = [x, y, w, h, angle * scale].map(|slope| T::of(-slope).or_zero());
    });
    Ok(())
}

/// The metric of a pair, zero where a box is not finite.
fn value_of(metric: &impl RotatedMetric, p: &Rectangle, g: &Rectangle) -> f64 {
    if p.holds && g.holds { metric.value(p, g) } else { 0.0 }
}

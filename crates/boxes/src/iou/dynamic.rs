//! Metrics that are chosen while the program runs.

use super::{Metric, elementwise, loss_and_gradient, pairwise};
use crate::{BoxError, Boxes, Float};

/// Any [`Metric`], behind a pointer: what it says of many pairs. Within a call the loops are those of the metric.
///
/// ```
/// use etude_boxes::iou::{Ciou, DynMetric, Giou};
/// use etude_boxes::{Boxes, Format};
///
/// let (p, g) = ([[0.0, 0.0, 1.0, 1.0]], [[3.0, 0.0, 4.0, 1.0]]);
/// let metrics: [Box<dyn DynMetric<f64>>; 2] = [Box::new(Giou::default()), Box::new(Ciou::default())];
/// for metric in metrics {
///     let mut values = [0.0];
///     metric.elementwise(Boxes::rows(&p, Format::Xyxy), Boxes::rows(&g, Format::Xyxy), &mut values)?;
///     assert!(values[0] < 0.0);
/// }
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
pub trait DynMetric<T: Float>: Send + Sync {
    /// See [`elementwise`].
    ///
    /// # Errors
    /// Those of the function.
    fn elementwise(&self, a: Boxes<'_, T>, b: Boxes<'_, T>, values: &mut [T]) -> Result<(), BoxError>;

    /// See [`pairwise`].
    ///
    /// # Errors
    /// Those of the function.
    fn pairwise(&self, a: Boxes<'_, T>, b: Boxes<'_, T>, values: &mut [T]) -> Result<(), BoxError>;

    /// See [`loss_and_gradient`].
    ///
    /// # Errors
    /// Those of the function.
    fn loss_and_gradient(
        &self,
        predicted: Boxes<'_, T>,
        targets: Boxes<'_, T>,
        losses: &mut [T],
        gradients: &mut [[T; 4]],
    ) -> Result<(), BoxError>;
}

impl<T: Float, M: Metric<T>> DynMetric<T> for M {
    fn elementwise(&self, a: Boxes<'_, T>, b: Boxes<'_, T>, values: &mut [T]) -> Result<(), BoxError> {
        elementwise(self, a, b, values)
    }

    fn pairwise(&self, a: Boxes<'_, T>, b: Boxes<'_, T>, values: &mut [T]) -> Result<(), BoxError> {
        pairwise(self, a, b, values)
    }

    fn loss_and_gradient(
        &self,
        predicted: Boxes<'_, T>,
        targets: Boxes<'_, T>,
        losses: &mut [T],
        gradients: &mut [[T; 4]],
    ) -> Result<(), BoxError> {
        loss_and_gradient(self, predicted, targets, losses, gradients)
    }
}

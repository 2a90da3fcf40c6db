//! The IoU family: how well a predicted box p fits its target g, as metric, and as loss 1 - metric with its gradient by
//! p.
//!
//! | metric | formula | range | file and source |
//! |---|---|---|---|
//! | [`Iou`] | I / U | 0 to 1 | `iou.rs` |
//! | [`Giou`] | IoU - (C - U) / C | -1 to 1 | `giou.rs`, Rezatofighi et al. 2019 |
//! | [`Diou`] | IoU - d^2 / c^2 | -1 to 1 | `diou.rs`, Zheng et al. 2020 |
//! | [`Ciou`] | DIoU - alpha v | -1.5 to 1 | `ciou.rs`, Zheng et al. 2020 |
//! | [`Eiou`] | DIoU - dw^2 / cw^2 - dh^2 / ch^2 | -3 to 1 | `eiou.rs`, Zhang et al. 2021 |
//! | [`FocalEiou`] | 1 - IoU^gamma (1 - EIoU) | -3 to 1 | `focal_eiou.rs`, Zhang et al. 2021 |
//! | [`AlphaIou`] | IoU^alpha - penalty^alpha | -1.5 to 1 | `alpha_iou.rs`, He et al. 2021 |
//! | [`Siou`] | IoU - (distance + shape) / 2 | -2 to 1 | `siou.rs`, Gevorgyan 2022 |
//! | [`Wiou`] | 1 - r exp(d^2 / c^2) (1 - IoU) | see there | `wiou.rs`, Tong et al. 2023 |
//! | [`Mpdiou`] | IoU - d1^2 / D^2 - d2^2 / D^2 | -2 to 1 | `mpdiou.rs`, Ma and Xu 2023 |
//! | [`InnerIou`], [`Inner`] | IoU of the boxes times a ratio | 0 to 1 | `inner_iou.rs`, Zhang et al. 2023 |
//! | [`ShapeIou`] | IoU - distance - shape / 2, by the target's shape | -3 to 1 | `shape_iou.rs`, Zhang and Zhang 2023 |
//! | [`BoundedIou`] | 1 - the bounds' losses | -3 to 1 | `bounded_iou.rs`, Tychsen-Smith and Petersson 2018 |
//!
//! Rotated boxes have their own: [`rotated`](crate::rotated).
//!
//! # Boxes that are hardly boxes
//!
//! - **Touching, contained**: the formula. Where a gradient has a kink it is the mean of the slopes to both sides.
//! - **Empty** (width or height zero): the formula, where 0 / 0 is 0 and has no slope. Two empty boxes have IoU 0.
//! - **Inverted** (a second corner before the first): width, or height, counts as zero, so that IoU is 0. Centre and
//!   enclosing box are those of the corners, and draw the box where they would draw a proper one.
//! - **Not finite** (or beyond [`Float::LIMIT`]): the least value of the metric, and gradient zero.
//! - A component of a gradient that is too large for its type is zero. Nothing here is ever NaN or infinite.
//!
//! # Where libraries differ
//!
//! The formulas are those of the papers; what else there is has a name. With p = [50, 50, 150, 150] and g = [60, 40, 180,
//! 120] where no other boxes are named:
//!
//! | question | choice | who | number |
//! |---|---|---|---|
//! | CIoU's weight alpha | [`Alpha::Constant`] | paper, torchvision, detectron2, Ultralytics | CIoU 0.445638, slope of the loss by x1 -0.0039806 |
//! | | [`Alpha::Differentiated`] | mmdetection up to 2.10 | CIoU 0.445638, slope -0.0039549 |
//! | | [`Alpha::AboveHalf`] | the authors' later code, mmdetection after | CIoU 0.446098, slope -0.0040039 |
//! | SIoU's exponent | [`Exponent::Negative`] | paper | 0.444913 |
//! | | [`Exponent::Positive`] | mmdetection by default | 0.501647 |
//! | Focal EIoU's weight | [`Weight::Constant`] | the default | slope by x2 -0.01655 for [0, 0, 10, 10] and [9, 0, 19, 10]: drawn nearer |
//! | | [`Weight::Differentiated`] | ports that leave IoU attached | slope +0.11227: driven away |
//! | denominators | [`Guard::NONE`] | papers | IoU of a box of side 0.0005 with itself 1; of two empty boxes 0 |
//! | | [`Guard::added`] 1e-7 | torchvision's losses, Ultralytics | 0.714286; 0 |
//! | | [`Guard::floor`] 1e-6 | mmdetection | 0.25; 0 |
//! | | none at all | torchvision's `box_iou` | 1; NaN |
//! | an empty box with itself | any [`Guard`] | here, and torchvision's losses | IoU 0, and the loss of GIoU 1 |
//! | the last pixel | [`Format::Xyxy`] | torchvision, mmdetection since 2, COCO | IoU of [0, 0, 9, 9] and [5, 5, 14, 14] 0.109589 |
//! | | [`Format::XyxyInclusive`] | VOC's evaluation, mmcv's `offset=1` | 0.142857 |
//!
//! Mmdetection's `EIoULoss` is none of these: it is the Extended IoU of Peng and Yu (2021), and no Efficient IoU. Where
//! boxes meet it is a smooth L1 of 1 - IoU, here 0.476316, where the loss of [`Eiou`] is 0.610628.

mod alpha_iou;
mod block;
mod bounded_iou;
mod ciou;
mod compute;
mod diou;
mod dynamic;
mod eiou;
mod focal_eiou;
mod giou;
mod guard;
mod inner_iou;
#[expect(clippy::module_inception, reason = "the first of the family has the family's name")]
mod iou;
mod mpdiou;
mod pair;
mod shape_iou;
mod siou;
mod wiou;

pub use alpha_iou::{AlphaIou, AlphaPenalty};
pub use bounded_iou::BoundedIou;
pub use ciou::{Alpha, Ciou};
pub(crate) use compute::Compared;
pub use compute::{elementwise, loss_and_gradient, pairwise};
pub use diou::Diou;
pub use dynamic::DynMetric;
pub use eiou::Eiou;
pub use focal_eiou::{FocalEiou, Weight};
pub use giou::Giou;
pub use guard::{Guard, Quotient};
pub use inner_iou::{Inner, InnerIou};
pub use iou::Iou;
pub use mpdiou::Mpdiou;
pub use pair::{Corners, Pair, Slopes};
pub use shape_iou::ShapeIou;
pub use siou::{Exponent, Siou};
pub use wiou::{RunningMean, Wiou, WiouFocus};

use crate::{Boxes, Float, Format};

/// A member of the family: the formula of one pair, with its slopes.
///
/// [`elementwise`], [`pairwise`] and [`loss_and_gradient`] apply it to many.
pub trait Metric<T: Float>: Copy + Send + Sync {
    /// Whether [`Corners::angle`] is used, which costs an arctangent a box.
    const ANGLES: bool = false;

    /// The value of a pair that is not finite: proper boxes have no less.
    fn least(&self) -> T;

    /// The value, and its slopes by what the pair is made of.
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>);

    /// The metric of two boxes x1, y1, x2, y2.
    ///
    /// ```
    /// use etude_boxes::iou::{Diou, Metric};
    ///
    /// assert_eq!(Diou::default().of([0.0, 0.0, 2.0, 2.0], [4.0, 0.0, 6.0, 2.0]), -0.4);
    /// ```
    fn of(&self, p: [T; 4], g: [T; 4]) -> T {
        let mut value = [self.least()];
        // The lengths are right.
        let _ = elementwise(
            self,
            Boxes::rows(&[p], Format::Xyxy),
            Boxes::rows(&[g], Format::Xyxy),
            &mut value,
        );
        value[0]
    }

    /// The loss 1 - metric of two boxes x1, y1, x2, y2, and its gradient by the first one.
    ///
    /// ```
    /// use etude_boxes::iou::{Iou, Metric};
    ///
    /// let (loss, gradient) = Iou::default().loss_of([0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 4.0, 2.0]);
    /// assert_eq!(loss, 0.5);
    /// assert_eq!(gradient[2], -0.25); // it falls as the right edge moves to the right
    /// ```
    fn loss_of(&self, p: [T; 4], g: [T; 4]) -> (T, [T; 4]) {
        let (mut loss, mut gradient) = ([T::one() - self.least()], [[T::zero(); 4]]);
        let (p, g) = ([p], [g]);
        let (p, g) = (Boxes::rows(&p, Format::Xyxy), Boxes::rows(&g, Format::Xyxy));
        // The lengths are right.
        let _ = loss_and_gradient(self, p, g, &mut loss, &mut gradient);
        (loss[0], gradient[0])
    }
}

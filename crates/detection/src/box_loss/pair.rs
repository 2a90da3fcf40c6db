//! Predicted boxes and their targets, and what the formulas of the IoU family are made of.

use burn::tensor::{Bool, Tensor};
use etude_boxes::iou::Guard;

use super::arithmetic::{divide, larger, positive_part, product, smaller};

/// Boxes by their corners, each of shape `[n, 2]`: x and y.
#[derive(Debug, Clone)]
pub struct Corners {
    /// Left and top.
    pub first: Tensor<2>,
    /// Right and bottom.
    pub second: Tensor<2>,
}

impl Corners {
    /// Of boxes x1, y1, x2, y2, shape `[n, 4]`.
    pub(super) fn new(boxes: Tensor<2>) -> Self {
        Self {
            first: boxes.clone().narrow(1, 0, 2),
            second: boxes.narrow(1, 2, 2),
        }
    }

    /// Widths and heights, shape `[n, 2]`: those of inverted boxes count as zero.
    pub fn size(&self) -> Tensor<2> {
        positive_part(self.second.clone() - self.first.clone())
    }

    /// The same boxes as constants.
    pub(super) fn detach(self) -> Self {
        Self {
            first: self.first.detach(),
            second: self.second.detach(),
        }
    }

    /// Those of the mask, shape `[n, 1]`, as constants.
    pub(super) fn held_where(self, mask: &Tensor<2, Bool>) -> Self {
        let hold = |corner: Tensor<2>| {
            let mask = mask.clone().expand(corner.shape());
            corner.clone().mask_where(mask, corner.detach())
        };
        Self {
            first: hold(self.first),
            second: hold(self.second),
        }
    }

    /// Width and height times `ratio`, about the same centre.
    pub(super) fn resized(&self, ratio: f64) -> Self {
        let (near, far) = (0.5 + 0.5 * ratio, 0.5 - 0.5 * ratio);
        Self {
            first: self.first.clone() * near + self.second.clone() * far,
            second: self.first.clone() * far + self.second.clone() * near,
        }
    }
}

/// n predicted boxes p and their targets g. What has an x and a y has shape `[n, 2]`, everything else `[n, 1]`.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The predicted boxes.
    pub p: Corners,
    /// The targets.
    pub g: Corners,
    /// Width and height of p.
    pub size: Tensor<2>,
    /// Width and height of g.
    pub target_size: Tensor<2>,
    /// Area of the intersection.
    pub inter: Tensor<2>,
    /// Area of the union.
    pub union: Tensor<2>,
}

impl Pair {
    /// Boxes that are finite.
    pub(super) fn new(p: Corners, g: Corners) -> Self {
        let (size, target_size) = (p.size(), g.size());
        let last = smaller(p.second.clone(), g.second.clone());
        let inter = product(&positive_part(last - larger(p.first.clone(), g.first.clone())));
        // In this order it is never less than the intersection, whatever is rounded.
        let union = (product(&size) + product(&target_size)) - inter.clone();
        Self {
            p,
            g,
            size,
            target_size,
            inter,
            union,
        }
    }

    /// IoU = intersection / union.
    pub fn iou(&self, guard: Guard) -> Tensor<2> {
        divide(guard, self.inter.clone(), self.union.clone())
    }

    /// Width and height of the smallest enclosing boxes, which hold all four corners of both.
    pub fn hull(&self) -> Tensor<2> {
        let Self { p, g, .. } = self;
        let last = larger(
            larger(p.first.clone(), p.second.clone()),
            larger(g.first.clone(), g.second.clone()),
        );
        let first = smaller(
            smaller(p.first.clone(), p.second.clone()),
            smaller(g.first.clone(), g.second.clone()),
        );
        last - first
    }

    /// The centre of p minus that of g.
    pub fn offset(&self) -> Tensor<2> {
        let Self { p, g, .. } = self;
        ((p.first.clone() + p.second.clone()) - (g.first.clone() + g.second.clone())) * 0.5
    }

    /// (C - U) / C, with C the area of the enclosing box: the penalty of GIoU.
    pub fn empty_part(&self, guard: Guard) -> Tensor<2> {
        let hull = product(&self.hull());
        divide(guard, hull.clone() - self.union.clone(), hull)
    }

    /// The squared distance of the centres over the squared diagonal of the enclosing box, whose width and height are
    /// `hull`: the penalty of DIoU.
    pub fn centre_distance(&self, hull: &Tensor<2>, guard: Guard) -> Tensor<2> {
        let squared = |x: Tensor<2>| x.square().sum_dim(1);
        divide(guard, squared(self.offset()), squared(hull.clone()))
    }
}

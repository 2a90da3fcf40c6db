//! What the formulas of the IoU family are made of, and the chain rule from there to the corners of the predicted box.

use super::guard::Guard;
use crate::Float;

/// The corners of a box.
#[derive(Debug, Clone, Copy, Default)]
pub struct Corners<T> {
    /// Left.
    pub x1: T,
    /// Top.
    pub y1: T,
    /// Right.
    pub x2: T,
    /// Bottom.
    pub y2: T,
    /// arctan(width / height), where a [`Metric`](super::Metric) asks for it; otherwise zero.
    pub angle: T,
}

impl<T: Float> Corners<T> {
    /// A box without its angle.
    #[inline(always)]
    pub fn new([x1, y1, x2, y2]: [T; 4]) -> Self {
        let angle = T::zero();
        Self { x1, y1, x2, y2, angle }
    }

    /// The same box with its angle, which is zero for a box of no width.
    #[inline(always)]
    pub fn with_angle(self) -> Self {
        let angle = (self.x2 - self.x1)
            .positive_part()
            .atan2((self.y2 - self.y1).positive_part());
        Self { angle, ..self }
    }

    /// Both corners moved towards the centre, or away from it: width and height times `ratio`.
    #[inline(always)]
    pub(crate) fn resized(self, ratio: T) -> Self {
        let (near, far) = resize_weights(ratio);
        Self {
            x1: near * self.x1 + far * self.x2,
            y1: near * self.y1 + far * self.y2,
            x2: far * self.x1 + near * self.x2,
            y2: far * self.y1 + near * self.y2,
            angle: self.angle,
        }
    }
}

/// What the two corners of a box add to each corner of the box times `ratio`.
#[inline(always)]
pub(crate) fn resize_weights<T: Float>(ratio: T) -> (T, T) {
    let half = T::of(0.5);
    (half + half * ratio, half - half * ratio)
}

/// A predicted box p and its target g, both within [`Float::LIMIT`].
///
/// The width of an inverted box counts as zero, and so does its height: it meets nothing. It still has a centre, and
/// the enclosing box holds all four corners of both boxes.
#[derive(Debug, Clone, Copy)]
pub struct Pair<T> {
    /// The predicted box, by which gradients are taken.
    pub p: Corners<T>,
    /// The target.
    pub g: Corners<T>,
    /// Width of p.
    pub w: T,
    /// Height of p.
    pub h: T,
    /// Width of g.
    pub target_w: T,
    /// Height of g.
    pub target_h: T,
    /// Width of the intersection.
    pub inter_w: T,
    /// Height of the intersection.
    pub inter_h: T,
    /// Area of the intersection.
    pub inter: T,
    /// Area of the union.
    pub union: T,
    /// Width of the smallest enclosing box.
    pub hull_w: T,
    /// Height of the smallest enclosing box.
    pub hull_h: T,
    /// The centre of p minus that of g, in x.
    pub dx: T,
    /// The centre of p minus that of g, in y.
    pub dy: T,
}

/// The slopes of a function of a [`Pair`] by its parts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slopes<T> {
    /// By the area of the intersection, the union being held.
    pub inter: T,
    /// By the area of the union.
    pub union: T,
    /// By the width of the enclosing box.
    pub hull_w: T,
    /// By the height of the enclosing box.
    pub hull_h: T,
    /// By the distance of the centres in x.
    pub dx: T,
    /// By the distance of the centres in y.
    pub dy: T,
    /// By the width of p, areas being held.
    pub w: T,
    /// By the height of p, areas being held.
    pub h: T,
    /// By the corners of p, everything else being held.
    pub corners: [T; 4],
}

impl<T: Float> Pair<T> {
    /// Two boxes.
    #[inline(always)]
    pub fn new(p: Corners<T>, g: Corners<T>) -> Self {
        let half = T::of(0.5);
        let (w, h) = ((p.x2 - p.x1).positive_part(), (p.y2 - p.y1).positive_part());
        let (target_w, target_h) = ((g.x2 - g.x1).positive_part(), (g.y2 - g.y1).positive_part());
        let inter_w = (p.x2.smaller(g.x2) - p.x1.larger(g.x1)).positive_part();
        let inter_h = (p.y2.smaller(g.y2) - p.y1.larger(g.y1)).positive_part();
        let inter = inter_w * inter_h;
        Self {
            p,
            g,
            w,
            h,
            target_w,
            target_h,
            inter_w,
            inter_h,
            inter,
            // In this order it is never less than the intersection, whatever is rounded.
            union: (w * h + target_w * target_h) - inter,
            hull_w: hull([p.x1, p.x2, g.x1, g.x2]),
            hull_h: hull([p.y1, p.y2, g.y1, g.y2]),
            dx: ((p.x1 + p.x2) - (g.x1 + g.x2)) * half,
            dy: ((p.y1 + p.y2) - (g.y1 + g.y2)) * half,
        }
    }

    /// IoU = intersection / union.
    #[inline(always)]
    pub fn iou(&self, guard: Guard) -> (T, Slopes<T>) {
        let iou = guard.divide(self.inter, self.union);
        let slopes = Slopes {
            inter: iou.by_numerator,
            union: iou.by_denominator,
            ..Slopes::default()
        };
        (iou.value, slopes)
    }

    /// (C - U) / C, with C the area of the enclosing box: the penalty of GIoU.
    #[inline(always)]
    pub fn empty_part(&self, guard: Guard) -> (T, Slopes<T>) {
        let hull = self.hull_w * self.hull_h;
        let part = guard.divide(hull - self.union, hull);
        let by_hull = part.by_numerator + part.by_denominator;
        let slopes = Slopes {
            union: -part.by_numerator,
            hull_w: by_hull * self.hull_h,
            hull_h: by_hull * self.hull_w,
            ..Slopes::default()
        };
        (part.value, slopes)
    }

    /// The squared distance of the centres over the squared diagonal of the enclosing box: the penalty of DIoU.
    #[inline(always)]
    pub fn centre_distance(&self, guard: Guard) -> (T, Slopes<T>) {
        let two = T::of(2.0);
        let diagonal = self.hull_w * self.hull_w + self.hull_h * self.hull_h;
        let part = guard.divide(self.dx * self.dx + self.dy * self.dy, diagonal);
        let slopes = Slopes {
            dx: two * self.dx * part.by_numerator,
            dy: two * self.dy * part.by_numerator,
            hull_w: two * self.hull_w * part.by_denominator,
            hull_h: two * self.hull_h * part.by_denominator,
            ..Slopes::default()
        };
        (part.value, slopes)
    }

    /// The gradient by the corners of p: the chain rule. At a kink, such as where edges meet, it is the mean of the
    /// slopes to both sides, as PyTorch has it for `torch.maximum`.
    #[inline(always)]
    pub fn pull_back(&self, by: &Slopes<T>) -> [T; 4] {
        // The union is the area of p, plus that of g, minus the intersection.
        let by_inter = by.inter - by.union;
        let x = Axis {
            p: [self.p.x1, self.p.x2],
            g: [self.g.x1, self.g.x2],
            by_size: by.w + by.union * self.h,
            by_inter: by_inter * self.inter_h,
            by_hull: by.hull_w,
            by_centre: by.dx,
        };
        let y = Axis {
            p: [self.p.y1, self.p.y2],
            g: [self.g.y1, self.g.y2],
            by_size: by.h + by.union * self.w,
            by_inter: by_inter * self.inter_w,
            by_hull: by.hull_h,
            by_centre: by.dy,
        };
        let ([x1, x2], [y1, y2], corners) = (x.pull_back(), y.pull_back(), by.corners);
        [x1 + corners[0], y1 + corners[1], x2 + corners[2], y2 + corners[3]]
    }
}

impl<T: Float> Slopes<T> {
    /// Adds the slopes of another term of a sum, times its factor.
    #[inline(always)]
    pub fn add(&mut self, factor: T, term: &Self) {
        self.inter = self.inter + factor * term.inter;
        self.union = self.union + factor * term.union;
        self.hull_w = self.hull_w + factor * term.hull_w;
        self.hull_h = self.hull_h + factor * term.hull_h;
        self.dx = self.dx + factor * term.dx;
        self.dy = self.dy + factor * term.dy;
        self.w = self.w + factor * term.w;
        self.h = self.h + factor * term.h;
        for (corner, term) in self.corners.iter_mut().zip(term.corners) {
            *corner = *corner + factor * term;
        }
    }

    /// The slopes of a function that grows by `factor` with this one.
    #[inline(always)]
    pub fn times(&self, factor: T) -> Self {
        let mut slopes = Self::default();
        slopes.add(factor, self);
        slopes
    }
}

/// From the lowest to the highest of four numbers.
#[inline(always)]
fn hull<T: Float>([a, b, c, d]: [T; 4]) -> T {
    a.larger(b).larger(c.larger(d)) - a.smaller(b).smaller(c.smaller(d))
}

/// One axis of a pair: the ends of both boxes, and the slopes of a function by what is made of them.
struct Axis<T> {
    p: [T; 2],
    g: [T; 2],
    by_size: T,
    by_inter: T,
    by_hull: T,
    by_centre: T,
}

impl<T: Float> Axis<T> {
    /// The slopes by the ends of p.
    #[inline(always)]
    fn pull_back(&self) -> [T; 2] {
        let ([p1, p2], [g1, g2]) = (self.p, self.g);
        let (upright, inverted) = (p2.above(p1), p1.above(p2));
        let by_size = self.by_size * upright;
        let by_inter = self.by_inter * (p2.smaller(g2) - p1.larger(g1)).above(T::zero());
        // The ends of the enclosing interval, as far as they are ends of p.
        let by_last = self.by_hull * p1.larger(p2).above(g1.larger(g2));
        let by_first = -self.by_hull * g1.smaller(g2).above(p1.smaller(p2));
        let by_centre = self.by_centre * T::of(0.5);
        [
            by_centre - by_size - by_inter * p1.above(g1) + by_first * upright + by_last * inverted,
            by_centre + by_size + by_inter * g2.above(p2) + by_last * upright + by_first * inverted,
        ]
    }
}

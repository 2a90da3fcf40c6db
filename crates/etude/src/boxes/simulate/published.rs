//! The slopes of the paper's own program (github.com/Zzh-tju/DIoU, "simulation experiment"), which gave the paper's figures.
//!
//! They are not those of the formulas:
//! - slopes by width and height are twice as large;
//! - GIoU: where boxes do not meet, the negative sides of their intersection go into the union and its slopes;
//! - DIoU: the enclosing box's slopes by the centre have the other sign, and slopes of both its sides are added up;
//! - CIoU: the factor 1 / (w^2 + h^2) is left out.
//!
//! For all of them the exact slopes are in `etude_boxes::iou`.

use std::f64::consts::PI;

use crate::boxes::metric::Member;

/// A loss whose slopes the program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    Iou,
    Giou,
    Diou,
    Ciou,
}

/// Two boxes. What there is of each end comes first of the left and the upper one, then of the right and the lower one; pairs of
/// numbers are along x and y.
struct Pair {
    /// Sides of the enclosing box.
    hull: [f64; 2],
    /// Whether the first box reaches beyond the other, at each end.
    sticks_out: [[bool; 2]; 2],
    meets: bool,
    union: f64,
    iou: f64,
    /// Slopes of intersection and union by the first box's ends.
    inter_slopes: [[f64; 2]; 2],
    union_slopes: [[f64; 2]; 2],
}

impl Published {
    /// The program's form of a loss.
    pub(super) fn of(loss: Member) -> Option<Self> {
        match loss {
            Member::Iou => Some(Self::Iou),
            Member::Giou => Some(Self::Giou),
            Member::Diou => Some(Self::Diou),
            Member::Ciou => Some(Self::Ciou),
            _ => None,
        }
    }

    /// What stands for the slopes of the loss by centre, width and height; both boxes are cxcywh.
    pub(super) fn slopes(self, p: [f64; 4], g: [f64; 4]) -> [f64; 4] {
        let pair = Pair::new(p, g);
        let enclosing = (self == Self::Giou).then(|| pair.hull[0] * pair.hull[1]);
        let by_end = |end: usize, axis: usize| {
            let other = 1 - axis;
            let outwards = if end == 0 { -1.0 } else { 1.0 };
            let (inter_slope, union_slope) = (pair.inter_slopes[end][axis], pair.union_slopes[end][axis]);
            let iou = if pair.meets {
                (inter_slope - pair.iou * union_slope) / pair.union
            } else {
                0.0
            };
            let giou = enclosing.map_or(0.0, |area| {
                let hull_slope = f64::from(pair.sticks_out[end][axis]) * outwards * pair.hull[other];
                (area * union_slope - pair.union * hull_slope) / (area * area)
            });
            iou + giou
        };
        let mut metric = [0.0; 4];
        for axis in [0, 1] {
            metric[axis] = by_end(0, axis) + by_end(1, axis);
            metric[2 + axis] = by_end(1, axis) - by_end(0, axis);
        }
        if matches!(self, Self::Diou | Self::Ciou) {
            let delta = [g[0] - p[0], g[1] - p[1]];
            let distance = delta[0] * delta[0] + delta[1] * delta[1];
            let diagonal = pair.hull[0] * pair.hull[0] + pair.hull[1] * pair.hull[1];
            for axis in [0, 1] {
                let [first, last] = [0, 1].map(|end| f64::from(pair.sticks_out[end][axis]));
                let sides = pair.hull[0] + pair.hull[1];
                metric[axis] +=
                    2.0 * (delta[axis] * diagonal - sides * (last - first) * distance) / (diagonal * diagonal);
                let half = 0.5 * (first + last);
                let own = if first + last > 1.5 { -1.0 } else { half };
                let growth = pair.hull[axis] * own + pair.hull[1 - axis] * half;
                metric[2 + axis] += 2.0 * growth * distance / (diagonal * diagonal);
            }
        }
        if self == Self::Ciou {
            let angle = |[.., w, h]: [f64; 4]| (w / h).atan();
            let difference = angle(g) - angle(p);
            let v = 4.0 / (PI * PI) * difference * difference;
            let weight = v / (1.0 - pair.iou + v + 1e-7) * 8.0 / (PI * PI) * difference;
            metric[2] += weight * p[3];
            metric[3] -= weight * p[2];
        }
        metric.map(|slope| -slope)
    }
}

impl Pair {
    fn new(p: [f64; 4], g: [f64; 4]) -> Self {
        let ends = |[x, y, w, h]: [f64; 4]| [[x - w / 2.0, y - h / 2.0], [x + w / 2.0, y + h / 2.0]];
        let (size, others) = ([p[2], p[3]], [g[2], g[3]]);
        let (p, g) = (ends(p), ends(g));
        let inter = [0, 1].map(|axis| p[1][axis].min(g[1][axis]) - p[0][axis].max(g[0][axis]));
        let hull = [0, 1].map(|axis| p[1][axis].max(g[1][axis]) - p[0][axis].min(g[0][axis]));
        let meets = inter[0] > 0.0 && inter[1] > 0.0;
        let union = size[0] * size[1] + others[0] * others[1] - inter[0] * inter[1];
        let slopes = |side: [f64; 2], within: [[bool; 2]; 2]| {
            [
                [0, 1].map(|axis| -f64::from(within[0][axis]) * side[1 - axis]),
                [0, 1].map(|axis| f64::from(within[1][axis]) * side[1 - axis]),
            ]
        };
        let within = [
            [0, 1].map(|axis| p[0][axis] > g[0][axis]),
            [0, 1].map(|axis| p[1][axis] < g[1][axis]),
        ];
        let inter_slopes = slopes(inter, within);
        let area_slopes = slopes(size, [[true; 2]; 2]);
        Self {
            hull,
            sticks_out: [
                [0, 1].map(|axis| p[0][axis] < g[0][axis]),
                [0, 1].map(|axis| p[1][axis] > g[1][axis]),
            ],
            meets,
            union,
            iou: if meets { inter[0] * inter[1] / union } else { 0.0 },
            inter_slopes,
            union_slopes: [0, 1].map(|end| [0, 1].map(|axis| area_slopes[end][axis] - inter_slopes[end][axis])),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::Published;

    #[derive(Deserialize)]
    struct Fixture {
        boxes: Vec<[f64; 4]>,
        targets: Vec<[f64; 4]>,
        iou: Vec<[f64; 4]>,
        giou: Vec<[f64; 4]>,
        diou: Vec<[f64; 4]>,
        ciou: Vec<[f64; 4]>,
    }

    /// `scripts/boxes_simulation.py fixture` made it.
    #[test]
    fn the_slopes_are_those_of_the_script() {
        let fixture: Fixture = serde_json::from_str(include_str!("published.json")).unwrap();
        let losses = [
            (Published::Iou, &fixture.iou),
            (Published::Giou, &fixture.giou),
            (Published::Diou, &fixture.diou),
            (Published::Ciou, &fixture.ciou),
        ];
        for (loss, expected) in losses {
            assert_eq!(expected.len(), 60);
            for ((p, g), expected) in fixture.boxes.iter().zip(&fixture.targets).zip(expected) {
                for (slope, expected) in loss.slopes(*p, *g).iter().zip(expected) {
                    assert!(
                        (slope - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                        "{loss:?} {p:?} {g:?}"
                    );
                }
            }
        }
    }
}

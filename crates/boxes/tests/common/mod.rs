//! What several tests use: every metric under its name, and generated pairs.

use etude_boxes::iou::{
    Alpha, AlphaIou, AlphaPenalty, BoundedIou, Ciou, Diou, Eiou, Exponent, FocalEiou, Giou, Guard, Inner, InnerIou,
    Iou, Metric, Mpdiou, ShapeIou, Siou, Weight, Wiou, WiouFocus,
};

/// What is done with every metric.
pub(crate) trait Visitor {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M);
}

/// Shows every metric, under the names of `scripts/boxes_fixtures.py`.
pub(crate) fn visit_metrics(visitor: &mut impl Visitor) {
    let (torchvision, mmdet) = (Guard::added(1e-7), Guard::floor(1e-6));
    let ciou = |alpha, guard| Ciou { alpha, guard };
    let alpha = |penalty| AlphaIou {
        penalty,
        ..AlphaIou::default()
    };
    let wiou = |focus| Wiou {
        focus,
        ..Wiou::default()
    };
    visitor.visit("iou", Iou::default());
    visitor.visit("giou", Giou::default());
    visitor.visit("diou", Diou::default());
    visitor.visit("ciou", Ciou::default());
    visitor.visit("eiou", Eiou::default());
    visitor.visit("focal_eiou", FocalEiou::default());
    let differentiated = FocalEiou {
        weight: Weight::Differentiated,
        ..FocalEiou::default()
    };
    visitor.visit("focal_eiou_differentiated", differentiated);
    visitor.visit("alpha_iou", alpha(AlphaPenalty::None));
    visitor.visit("alpha_giou", alpha(AlphaPenalty::Giou));
    visitor.visit("alpha_diou", alpha(AlphaPenalty::Diou));
    visitor.visit("alpha_ciou", alpha(AlphaPenalty::Ciou));
    visitor.visit("siou", Siou::default());
    let positive = Siou {
        exponent: Exponent::Positive,
        ..Siou::default()
    };
    visitor.visit("siou_positive", positive);
    visitor.visit("wiou_v1", wiou(WiouFocus::V1));
    visitor.visit("wiou_v2", wiou(WiouFocus::V2 { gamma: 0.5, mean: 0.4 }));
    let third = WiouFocus::V3 {
        alpha: 1.9,
        delta: 3.0,
        mean: 0.4,
    };
    visitor.visit("wiou_v3", wiou(third));
    visitor.visit("mpdiou", Mpdiou::new(640.0, 480.0));
    visitor.visit("inner_iou", InnerIou::new(0.75));
    let inner_siou = Inner {
        metric: Siou::default(),
        inner: InnerIou::new(0.75),
    };
    visitor.visit("inner_siou", inner_siou);
    let shape = ShapeIou {
        scale: 0.5,
        ..ShapeIou::default()
    };
    visitor.visit("shape_iou", shape);
    visitor.visit("bounded_iou", BoundedIou::default());
    visitor.visit("ciou_differentiated", ciou(Alpha::Differentiated, Guard::NONE));
    visitor.visit("ciou_above_half", ciou(Alpha::AboveHalf, Guard::NONE));
    visitor.visit("giou_torchvision", Giou { guard: torchvision });
    visitor.visit("ciou_torchvision", ciou(Alpha::Constant, torchvision));
    visitor.visit("giou_mmdet", Giou { guard: mmdet });
    visitor.visit("ciou_mmdet", ciou(Alpha::AboveHalf, mmdet));
    visitor.visit("eiou_mmdet_floor", Eiou { guard: mmdet });
    let bounded = BoundedIou {
        guard: Guard::added(1e-3),
        ..BoundedIou::default()
    };
    visitor.visit("bounded_iou_mmdet", bounded);
}

/// The pairs of `scripts/boxes_fixtures.py`.
pub(crate) fn pairs(count: usize) -> (Vec<[f64; 4]>, Vec<[f64; 4]>) {
    let mut seed = 0_u64;
    let mut draw = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 32) as f64 / 4_294_967_296.0
    };
    (0..count)
        .map(|index| {
            let u: [f64; 8] = std::array::from_fn(|_| draw());
            match index % 4 {
                0 => {
                    let [a, b, c, d, e, f, g, h] = u.map(|x| x * 100.0);
                    ([a, b, a + c, b + d], [e, f, e + g, f + h])
                }
                1 => {
                    let [a, b, c, d, e, f, g, h] = u.map(|x| (x * 6.0).floor());
                    ([a, b, c, d], [e, f, g, h])
                }
                2 => {
                    let (x, y) = (u[0] * 10.0, u[1] * 10.0);
                    let g = [x, y, x + u[2] + 0.5, y + u[3] + 0.5];
                    (std::array::from_fn(|k| (u[4 + k] - 0.5) * 0.125 + g[k]), g)
                }
                _ => {
                    let p = [u[0], u[1], u[0] + u[2], u[1] + u[3]];
                    let (x, y) = (u[4] + 1000.0, u[5] - 50.0);
                    (p, [x, y, x + u[6] * 100.0, y + u[7]])
                }
            }
        })
        .unzip()
}

//! What holds for every metric, on generated boxes, hostile ones included.

mod common;

use common::{Visitor, visit_metrics};
use etude_boxes::iou::{
    BoundedIou, Ciou, Diou, Eiou, Guard, InnerIou, Iou, Metric, Mpdiou, RunningMean, Wiou, WiouFocus, elementwise,
    loss_and_gradient, pairwise,
};
use etude_boxes::{Boxes, Float, Format, Validity};
use proptest::array::uniform4;
use proptest::collection::vec;
use proptest::num::f64::{ANY, NORMAL};
use proptest::prelude::*;

/// Any four numbers, though often small whole ones, so that edges meet.
fn hostile() -> impl Strategy<Value = [f64; 4]> {
    let special = prop::sample::select(vec![
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        1e18,
        1e-18,
        1e150,
        1e-150,
        1e38,
        1e-38,
    ]);
    let small = (0_i32..5).prop_map(f64::from);
    uniform4(prop_oneof![ANY, NORMAL, special, small, -100.0..100.0])
}

/// A box with sides between 0.1 and 20.
fn proper() -> impl Strategy<Value = [f64; 4]> {
    (-20.0..20.0, -20.0..20.0, 0.1..20.0, 0.1..20.0).prop_map(|(x, y, w, h)| [x, y, x + w, y + h])
}

/// Nothing is NaN or infinite, the loss is 1 - metric, and what is not finite has the least metric and no gradient.
struct Hostile {
    p: [f64; 4],
    g: [f64; 4],
}

impl Hostile {
    fn check<T: Float>(&self, name: &str, metric: &impl Metric<T>) {
        let (p, g) = (self.p.map(T::of), self.g.map(T::of));
        let value = metric.of(p, g);
        let (loss, gradient) = metric.loss_of(p, g);
        assert!(value.is_finite(), "{name} of {p:?}, {g:?}: {value}");
        assert_eq!(loss, T::one() - value, "{name} of {p:?}, {g:?}");
        assert!(
            gradient.iter().all(|slope| slope.is_finite()),
            "{name} of {p:?}, {g:?}: {gradient:?}"
        );
        if [Validity::of(p), Validity::of(g)].contains(&Validity::NotFinite) {
            assert_eq!(
                (value, gradient),
                (metric.least(), [T::zero(); 4]),
                "{name} of {p:?}, {g:?}"
            );
        }
    }
}

impl Visitor for Hostile {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        self.check::<f64>(name, &metric);
        self.check::<f32>(name, &metric);
    }
}

/// No metric is beyond its bounds, and the best is a perfect fit.
struct Bounds {
    p: [f64; 4],
    g: [f64; 4],
}

impl Visitor for Bounds {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        let (value, perfect): (f64, f64) = (metric.of(self.p, self.g), metric.of(self.g, self.g));
        let slack = 1e-9;
        if name != "siou_positive" {
            assert!(value <= 1.0 + slack, "{name}: {value}");
        }
        assert!(value >= Metric::<f64>::least(&metric) - slack, "{name}: {value}");
        // What libraries add to denominators is felt.
        assert!(
            (perfect - 1.0).abs() < 1e-3,
            "{name} of {:?} with itself: {perfect}",
            self.g
        );
    }
}

/// Moving both boxes, or scaling the plane, changes nothing but the scale of the gradient.
struct Moved {
    p: [f64; 4],
    g: [f64; 4],
    by: [f64; 2],
    scale: f64,
}

impl Visitor for Moved {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        let unscaled = name == "mpdiou" || name.contains("torchvision") || name.contains("mmdet");
        let scale = if unscaled { 1.0 } else { self.scale };
        let moved = |[x1, y1, x2, y2]: [f64; 4]| {
            let [x, y] = self.by;
            [x1 + x, y1 + y, x2 + x, y2 + y].map(|corner| corner * scale)
        };
        let (before, slopes) = metric.loss_of(self.p, self.g);
        let (after, moved_slopes) = metric.loss_of(moved(self.p), moved(self.g));
        assert!((before - after).abs() < 1e-9, "{name}: {before}, {after}");
        let size: f64 = slopes.iter().map(|slope| slope.abs()).sum();
        for (before, after) in slopes.iter().zip(moved_slopes) {
            assert!(
                (before - after * scale).abs() < 1e-6 * size.max(1e-3),
                "{name}: {before}, {after}"
            );
        }
    }
}

/// How far [`Differences`] moves a corner.
const STEP: f64 = 1e-6;

/// 32 bits are nearly as good as 64.
struct Narrow {
    p: [f64; 4],
    g: [f64; 4],
}

impl Visitor for Narrow {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        // The same numbers in both.
        let (p, g) = (self.p.map(|x| x as f32), self.g.map(|x| x as f32));
        let (loss, gradient) = metric.loss_of(p, g);
        let (wide, slopes) = metric.loss_of(p.map(f64::from), g.map(f64::from));
        assert!(
            (f64::from(loss) - wide).abs() < 1e-4,
            "{name} of {p:?}, {g:?}: {loss}, {wide}"
        );
        let size: f64 = slopes.iter().map(|slope| slope.abs()).sum();
        for (narrow, wide) in gradient.iter().zip(slopes) {
            assert!(
                (f64::from(*narrow) - wide).abs() < 1e-3 * size.max(1.0),
                "{name}: {narrow}, {wide}"
            );
        }
    }
}

/// The gradient is what central differences say.
struct Differences {
    p: [f64; 4],
    g: [f64; 4],
}

impl Visitor for Differences {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        // Parts that are constants for the gradient are not differentiated.
        let constant = ["ciou", "wiou", "focal_eiou", "alpha_ciou"]
            .iter()
            .any(|part| name.contains(part));
        if constant && !name.contains("differentiated") {
            return;
        }
        let (_, gradient) = metric.loss_of(self.p, self.g);
        for (corner, slope) in gradient.into_iter().enumerate() {
            let at = |step: f64| {
                let mut p = self.p;
                p[corner] += step;
                metric.loss_of(p, self.g).0
            };
            let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!(
                (slope - expected).abs() < 1e-6 * expected.abs().max(1.0),
                "{name}, corner {corner} of {:?}, {:?}: {slope}, expected {expected}",
                self.p,
                self.g
            );
        }
    }
}

/// Whether a formula changes within reach of finite differences: where edges, centres or sizes agree.
fn near_a_kink(p: [f64; 4], g: [f64; 4]) -> bool {
    let inner = |[x1, y1, x2, y2]: [f64; 4]| {
        let (w, h) = ((x2 - x1) / 8.0, (y2 - y1) / 8.0);
        [x1 + w, y1 + h, x2 - w, y2 - h]
    };
    let close = |a: f64, b: f64| (a - b).abs() < 1e-3;
    let edges = |p: [f64; 4], g: [f64; 4]| {
        (0..2).any(|axis| {
            let ([p1, p2], [g1, g2]) = ([p[axis], p[axis + 2]], [g[axis], g[axis + 2]]);
            close(p1, g1) || close(p2, g2) || close(p1, g2) || close(p2, g1)
        })
    };
    let sizes = (0..2).any(|axis| {
        let ([p1, p2], [g1, g2]) = ([p[axis], p[axis + 2]], [g[axis], g[axis + 2]]);
        let (apart, target) = ((p1 + p2 - g1 - g2).abs(), g2 - g1);
        close(p2 - p1, target) || close(apart, 0.0) || close(apart, target)
    });
    edges(p, g) || edges(inner(p), inner(g)) || sizes
}

/// One loss in another format, and in a matrix, is the same.
struct Layouts {
    p: Vec<[f64; 4]>,
    g: Vec<[f64; 4]>,
}

impl Visitor for Layouts {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        let (p, g) = (Boxes::rows(&self.p, Format::Xyxy), Boxes::rows(&self.g, Format::Xyxy));
        let columns: [Vec<f64>; 4] = std::array::from_fn(|k| self.g.iter().map(|g| g[k]).collect());
        let columns = Boxes::columns(columns.each_ref().map(Vec::as_slice), Format::Xyxy).unwrap();
        let (mut matrix, mut pairs) = (vec![0.0; p.len() * g.len()], vec![0.0; g.len()]);
        pairwise(&metric, p, columns, &mut matrix).unwrap();
        for (row, values) in matrix.chunks(g.len()).enumerate() {
            let repeated = vec![self.p[row]; g.len()];
            elementwise(&metric, Boxes::rows(&repeated, Format::Xyxy), g, &mut pairs).unwrap();
            for (column, (a, b)) in values.iter().zip(&pairs).enumerate() {
                assert!((a - b).abs() < 1e-14, "{name}, row {row}, column {column}: {a}, {b}");
                assert!((metric.of(self.p[row], self.g[column]) - b).abs() < 1e-14);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_is_ever_nan(p in hostile(), g in hostile()) {
        visit_metrics(&mut Hostile { p, g });
        visit_metrics(&mut Hostile { p, g: p });
    }

    #[test]
    fn metrics_keep_their_bounds(p in proper(), g in proper()) {
        visit_metrics(&mut Bounds { p, g });
    }

    #[test]
    fn the_place_and_the_scale_do_not_matter(
        p in proper(), g in proper(), by in [-50.0..50.0, -50.0..50.0], scale in 0.1..10.0,
    ) {
        visit_metrics(&mut Moved { p, g, by, scale });
    }

    #[test]
    fn gradients_are_central_differences(p in proper(), g in proper()) {
        prop_assume!(!near_a_kink(p, g));
        visit_metrics(&mut Differences { p, g });
    }

    #[test]
    fn narrow_numbers_are_nearly_as_good(p in proper(), g in proper()) {
        prop_assume!(!near_a_kink(p, g));
        visit_metrics(&mut Narrow { p, g });
    }

    #[test]
    fn each_penalty_takes_something_away(p in hostile(), g in hostile()) {
        let (iou, diou, ciou): (f64, f64, f64) = (Iou::default().of(p, g), Diou::default().of(p, g), Ciou::default().of(p, g));
        prop_assert!(ciou <= diou && diou <= iou && iou <= 1.0);
        for metric in [Iou::default().of(g, p) - iou, Diou::default().of(g, p) - diou, Ciou::default().of(g, p) - ciou] {
            prop_assert!(metric.abs() <= 0.0);
        }
    }

    #[test]
    fn formats_are_the_same_box(corners in proper(), slopes in proper()) {
        for format in [Format::Xyxy, Format::XyxyInclusive, Format::Xywh, Format::Cxcywh] {
            let back = format.to_corners(format.of_corners(corners));
            for (a, b) in back.iter().zip(corners) {
                prop_assert!((a - b).abs() < 1e-12, "{:?}", format);
            }
            // The chain rule: moving each number of the box by its part of a small step.
            let numbers = format.of_corners(corners);
            for (k, slope) in format.pull_back(slopes).into_iter().enumerate() {
                let mut moved = numbers;
                moved[k] += 1.0;
                let change: f64 = (0..4).map(|c| slopes[c] * (format.to_corners(moved)[c] - back[c])).sum();
                prop_assert!((change - slope).abs() < 1e-9, "{:?} {}", format, k);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn layouts_are_the_same_boxes(p in vec(hostile(), 1..4), g in vec(hostile(), 1..150)) {
        visit_metrics(&mut Layouts { p, g });
    }
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let (p, g) = common::pairs(40_000);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (mut losses, mut gradients) = (vec![0.0; p.len()], vec![[0.0; 4]; p.len()]);
            let (p, g) = (Boxes::rows(&p, Format::Xyxy), Boxes::rows(&g, Format::Xyxy));
            loss_and_gradient(&Ciou::default(), p, g, &mut losses, &mut gradients).unwrap();
            let mut matrix = vec![0.0; 300 * 300];
            let few = |boxes: Boxes<'_, f64>| (0..300).map(|k| boxes.get(k)).collect::<Vec<_>>();
            let (p, g) = (few(p), few(g));
            pairwise(
                &Ciou::default(),
                Boxes::rows(&p, Format::Xyxy),
                Boxes::rows(&g, Format::Xyxy),
                &mut matrix,
            )
            .unwrap();
            (losses, gradients, matrix)
        })
    };
    assert!(run(1) == run(3));
}

#[test]
fn wrong_lengths_are_errors() {
    let boxes = [[0.0, 0.0, 1.0, 1.0]; 3];
    let (three, two) = (
        Boxes::rows(&boxes, Format::Xyxy),
        Boxes::rows(&boxes[..2], Format::Xyxy),
    );
    assert!(elementwise(&Iou::default(), three, two, &mut [0.0; 3]).is_err());
    assert!(elementwise(&Iou::default(), three, three, &mut [0.0; 2]).is_err());
    assert!(pairwise(&Iou::default(), three, two, &mut [0.0; 5]).is_err());
    assert!(loss_and_gradient(&Iou::default(), three, three, &mut [0.0; 3], &mut [[0.0; 4]; 4]).is_err());
    assert!(Boxes::flat(&[0.0; 7], Format::Xyxy).is_err());
    assert!(Boxes::columns([&[0.0][..], &[0.0], &[], &[0.0]], Format::Xyxy).is_err());
    // Nothing in, nothing out.
    let none = Boxes::<f32>::rows(&[], Format::Xyxy);
    assert!(pairwise(&Iou::default(), none, none, &mut []).is_ok());
    assert!(loss_and_gradient(&Iou::default(), none, none, &mut [], &mut []).is_ok());
}

#[test]
fn a_running_mean_stays_a_mean_of_losses() {
    let mut mean = RunningMean::new(1);
    for batch in [f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, -3.0] {
        mean.update(batch);
        assert!((0.0..=1.0).contains(&mean.value()), "{batch}: {}", mean.value());
    }
}

#[test]
fn settings_out_of_range_give_numbers_too() {
    let (p, g) = ([0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]);
    let check = |(loss, gradient): (f64, [f64; 4])| {
        assert!(
            loss.is_finite() && gradient.iter().all(|slope| slope.is_finite()),
            "{loss}, {gradient:?}"
        );
    };
    // A quotient that is too large for a number leaves the least metric.
    let focus = WiouFocus::V2 { gamma: 2.0, mean: 0.0 };
    let wiou = Wiou {
        focus,
        ..Wiou::default()
    };
    check(wiou.loss_of(p, g));
    assert!((Metric::<f64>::of(&wiou, p, g) - Metric::<f64>::least(&wiou)).abs() <= 0.0);
    check(InnerIou::new(f64::NAN).loss_of(p, g));
    check(Mpdiou::new(0.0, 0.0).loss_of(p, g));
    check(
        Iou {
            guard: Guard::added(-7.0),
        }
        .loss_of(p, g),
    );
    let bounded = BoundedIou {
        beta: f64::NAN,
        ..BoundedIou::default()
    };
    check(bounded.loss_of([f64::NAN; 4], g));
    // Slopes that are too large are zero.
    check(Ciou::default().loss_of([0.0, 0.0, 1e-300, 1e-310], g));
    check(Eiou::default().loss_of([0.0, 0.0, 1e-320, 1e-310], [0.0, 0.0, 1e-310, 1e-320]));
}

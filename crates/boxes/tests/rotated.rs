//! Rotated boxes against Shapely, autograd, published numbers and what must hold.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
use std::fs;
use std::path::Path;

use etude_boxes::iou::{Iou, Metric};
use etude_boxes::nms::rotated_nms;
use etude_boxes::rotated::{
    AngleConvention, AngleUnit, Direction, ProbIou, Rectangle, RotatedBoxes, RotatedIou, RotatedMetric, elementwise,
    loss_and_gradient, pairwise,
};
use proptest::prelude::*;
use serde::Deserialize;

const MMCV: AngleConvention = AngleConvention::MMCV;

fn rectangle(numbers: [f64; 5]) -> Rectangle {
    Rectangle::new(numbers, MMCV)
}

fn iou(p: [f64; 5], g: [f64; 5]) -> f64 {
    RotatedIou.value(&rectangle(p), &rectangle(g))
}

/// The loss of one pair, and its gradient.
fn loss(metric: impl RotatedMetric, p: [f64; 5], g: [f64; 5], convention: AngleConvention) -> (f64, [f64; 5]) {
    let (mut losses, mut gradients) = ([0.0], [[0.0; 5]]);
    let (p, g) = ([p], [g]);
    let (p, g) = (RotatedBoxes::rows(&p, convention), RotatedBoxes::rows(&g, convention));
    loss_and_gradient(&metric, p, g, &mut losses, &mut gradients).unwrap();
    (losses[0], gradients[0])
}

#[test]
fn losses_and_gradients_are_those_of_autograd() {
    #[derive(Deserialize)]
    struct Case {
        p: [f64; 5],
        g: [f64; 5],
        shapely: f64,
        iou: [f64; 6],
        prob_iou: [f64; 6],
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rotated.json");
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert!(cases.iter().filter(|case| case.shapely > 0.0).count() > 30);
    for Case {
        p,
        g,
        shapely,
        iou: expected_iou,
        prob_iou,
    } in cases
    {
        assert!((iou(p, g) - shapely).abs() < 1e-12, "{p:?}, {g:?}");
        for ((loss, gradient), expected) in [
            (loss(RotatedIou, p, g, MMCV), expected_iou),
            (loss(ProbIou, p, g, MMCV), prob_iou),
        ] {
            assert!(
                (loss - expected[0]).abs() < 1e-12,
                "{p:?}, {g:?}: {loss}, {}",
                expected[0]
            );
            let size: f64 = expected[1..].iter().map(|slope| slope.abs()).sum();
            for (found, expected) in gradient.iter().zip(&expected[1..]) {
                assert!(
                    (found - expected).abs() <= 1e-9 * size,
                    "{p:?}, {g:?}: {found}, expected {expected}"
                );
            }
        }
    }
}

#[test]
fn published_values() {
    let a = [
        [1.0, 1.0, 3.0, 4.0, 0.5],
        [2.0, 2.0, 3.0, 4.0, 0.6],
        [7.0, 7.0, 8.0, 8.0, 0.4],
    ];
    let b = [
        [0.0, 2.0, 2.0, 5.0, 0.3],
        [2.0, 1.0, 3.0, 3.0, 0.5],
        [5.0, 5.0, 6.0, 7.0, 0.4],
    ];
    let mut values = [0.0; 9];
    pairwise(
        &RotatedIou,
        RotatedBoxes::rows(&a, MMCV),
        RotatedBoxes::rows(&b, MMCV),
        &mut values,
    )
    .unwrap();
    let expected = [0.3708, 0.4351, 0.0, 0.1104, 0.4487, 0.0424, 0.0, 0.0, 0.3622];
    assert!(
        values
            .iter()
            .zip(expected)
            .all(|(a, b): (&f64, f64)| (a - b).abs() < 5e-5),
        "{values:?}"
    );

    let unit = [0.5, 0.5, 1.0, 1.0, 0.0];
    for (other, expected) in [
        (unit, 1.0),
        ([0.5, 0.5, 1.0, 1.0, FRAC_PI_2], 1.0),
        ([0.5, 0.5, 1.0, 1.0, FRAC_PI_4], 0.5_f64.sqrt()),
        ([1.0, 1.0, 1.0, 1.0, 0.0], 1.0 / 7.0),
        ([1.5, 1.5, 1.0, 1.0, 0.0], 0.0),
    ] {
        assert!(
            (iou(other, unit) - expected).abs() < 1e-12,
            "{other:?}: {}",
            iou(other, unit)
        );
    }
    // detectron2's tests of precision.
    let near = [
        296.662_078_857_421_9,
        458.739_837_646_484_4,
        23.515_729_904_174_805,
        47.677_001_953_125,
        0.087_950_877_845_287_32,
    ];
    let mut nearer = near;
    (nearer[0], nearer[4]) = (near[0] - 1e-5, near[4] + 1e-7);
    assert!((iou(near, nearer) - 1.0).abs() < 1e-5);
    assert!((iou([565.0, 565.0, 10.0, 10.0, 0.0], [565.0, 565.0, 10.0, 8.3, 0.0]) - 0.83).abs() < 1e-12);
    assert!((iou([0.0, 0.0, 2.0, 1.0, 0.7], [0.0, 0.0, 1.0, 1.0, 0.7]) - 0.5).abs() < 1e-12);
    let extreme = [160.0, 153.0, 230.0, 23.0, -37.0];
    let huge = [-1.117e17, 1.38e17, 5.55e8, 4.25e9, -2.45e4];
    assert!((0.0..1e-9).contains(&iou(extreme, huge)));
}

#[test]
fn rotated_suppression_is_that_of_mmcvs_tests() {
    let boxes = [
        [6.0, 3.0, 8.0, 7.0, 0.5],
        [3.0, 6.0, 9.0, 11.0, 0.6],
        [3.0, 7.0, 10.0, 12.0, 0.3],
        [1.0, 4.0, 13.0, 7.0, 0.6],
    ];
    let (boxes, scores) = (RotatedBoxes::rows(&boxes, MMCV), [0.7, 0.8, 0.5, 0.9]);
    assert_eq!(rotated_nms(boxes, &scores, None, 0.5).unwrap(), [3, 1, 0]);
    // With labels mmcv expects the same, since `nms_rotated_cpu` is not told of them. The third box meets only one of
    // another class.
    assert_eq!(
        rotated_nms(boxes, &scores, Some(&[1, 0, 1, 0]), 0.5).unwrap(),
        [3, 1, 0, 2]
    );
}

#[test]
fn boxes_at_the_limit_are_suppressed_like_others() {
    // The boxes around them end beyond the limit, or are too small for 32 bits so far out.
    let boxes = [
        [-42.0, 1e18, 1e12, 0.0, -11.0],
        [1e18, 1e18, 1e17, 1e17, 10.0_f32],
        [1e18, 1e18, 1e17, 1e17, 10.0],
        [1e9, 0.0, 4.0, 4.0, 45.0],
        [1e9, 0.0, 4.0, 4.0, 45.0],
    ];
    let found = rotated_nms(
        RotatedBoxes::rows(&boxes, AngleConvention::DETECTRON2),
        &[0.5; 5],
        None,
        0.5,
    )
    .unwrap();
    assert_eq!(found, [0, 1, 3]);
}

/// A box with sides between 0.1 and 10.
fn proper() -> impl Strategy<Value = [f64; 5]> {
    (-5.0..5.0, -5.0..5.0, 0.1..10.0, 0.1..10.0, -4.0..4.0).prop_map(|(x, y, w, h, angle)| [x, y, w, h, angle])
}

/// How far central differences move a number.
const STEP: f64 = 1e-5;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn upright_boxes_are_boxes(p in proper(), g in proper(), turns in 0_i32..8) {
        let (mut p, mut g) = (p, g);
        p[4] = 0.0;
        g[4] = f64::from(turns) * FRAC_PI_2;
        let found = iou(p, g);
        let expected = Iou::default().of(rectangle(p).bounding_box(), rectangle(g).bounding_box());
        prop_assert!((found - expected).abs() < 1e-12, "{}, {}", found, expected);
    }

    #[test]
    fn who_looks_and_from_where_does_not_matter(p in proper(), g in proper(), turn in -4.0..4.0, scale in 0.1..10.0) {
        for metric in [|p, g| RotatedIou.value(&p, &g), |p, g| ProbIou.value(&p, &g)] as [fn(Rectangle, Rectangle) -> f64; 2] {
            let value = metric(rectangle(p), rectangle(g));
            prop_assert!((0.0..=1.0).contains(&value));
            prop_assert!((metric(rectangle(g), rectangle(p)) - value).abs() < 1e-9);
            let (sine, cosine) = f64::sin_cos(turn);
            let moved = |[x, y, w, h, angle]: [f64; 5]| {
                let (u, v) = (x * cosine - y * sine + 3.0, x * sine + y * cosine - 7.0);
                rectangle([u * scale, v * scale, w * scale, h * scale, angle + turn])
            };
            prop_assert!((metric(moved(p), moved(g)) - value).abs() < 1e-9);
            // Half a turn is the same box, and so is a quarter with the sides exchanged.
            let [x, y, w, h, angle] = p;
            prop_assert!((metric(rectangle([x, y, w, h, angle + PI]), rectangle(g)) - value).abs() < 1e-9);
            prop_assert!((metric(rectangle([x, y, h, w, angle - FRAC_PI_2]), rectangle(g)) - value).abs() < 1e-9);
        }
    }

    #[test]
    fn gradients_are_central_differences(p in proper(), g in proper(), unit in 0..2, direction in 0..2) {
        let convention = AngleConvention {
            unit: [AngleUnit::Radians, AngleUnit::Degrees][unit as usize],
            direction: [Direction::Clockwise, Direction::CounterClockwise][direction as usize],
        };
        let check = |found: [f64; 5], of: &dyn Fn([f64; 5]) -> f64| {
            for k in 0..5 {
                let at = |step: f64| {
                    let mut p = p;
                    p[k] += step;
                    of(p)
                };
                let (left, right) = ((of(p) - at(-STEP)) / STEP, (at(STEP) - of(p)) / STEP);
                let expected = left.midpoint(right);
                // Where corners cross edges there are kinks in the second derivative, and where boxes touch in the
                // first.
                let error = (found[k] - expected).abs();
                prop_assert!(error < 1e-5 + (left - right).abs(), "{k}: {}, expected {expected}", found[k]);
            }
            Ok(())
        };
        check(loss(RotatedIou, p, g, convention).1, &|p| loss(RotatedIou, p, g, convention).0)?;
        check(loss(ProbIou, p, g, convention).1, &|p| loss(ProbIou, p, g, convention).0)?;
    }

    #[test]
    fn nothing_is_ever_nan(
        p in prop::array::uniform5(prop_oneof![prop::num::f64::ANY, (-3_i32..4).prop_map(f64::from), -9.0..9.0]),
        g in prop::array::uniform5(prop_oneof![prop::num::f64::ANY, (-3_i32..4).prop_map(f64::from), -9.0..9.0]),
    ) {
        for g in [g, p] {
            for (loss, gradient) in [loss(RotatedIou, p, g, MMCV), loss(ProbIou, p, g, MMCV)] {
                prop_assert!((0.0..=1.0).contains(&loss), "{}", loss);
                prop_assert!(gradient.iter().all(|slope| slope.is_finite()), "{:?}", gradient);
            }
            let (p, g) = ([p.map(|x| x as f32)], [g.map(|x| x as f32)]);
            let mut value = [f32::NAN];
            elementwise(&RotatedIou, RotatedBoxes::rows(&p, MMCV), RotatedBoxes::rows(&g, MMCV), &mut value).unwrap();
            prop_assert!((0.0..=1.0).contains(&value[0]));
        }
    }

    #[test]
    fn suppression_is_what_all_pairs_say(
        boxes in prop::collection::vec((proper(), 0_u32..6), 0..40),
        threshold in 0.0..1.0,
    ) {
        let (boxes, scores): (Vec<_>, Vec<_>) = boxes.into_iter().map(|(one, score)| (one, f64::from(score))).unzip();
        let mut order: Vec<u32> = (0..boxes.len() as u32).collect();
        order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let mut expected: Vec<u32> = Vec::new();
        for index in order {
            if !expected.iter().any(|&other| iou(boxes[other as usize], boxes[index as usize]) > threshold) {
                expected.push(index);
            }
        }
        prop_assert_eq!(rotated_nms(RotatedBoxes::rows(&boxes, MMCV), &scores, None, threshold).unwrap(), expected);
    }
}

#[test]
fn a_perfect_fit_draws_nowhere() {
    for numbers in [
        [1.0, 2.0, 3.0, 4.0, 0.3],
        [1.0, 2.0, 3.0, 4.0, 0.0],
        [-7.0, 2.0, 1e-3, 4e3, 2.0],
    ] {
        let (loss, gradient) = loss(RotatedIou, numbers, numbers, MMCV);
        assert!(loss < 1e-9, "{loss}");
        assert!(gradient.iter().all(|slope| slope.abs() < 1e-9), "{gradient:?}");
    }
}

#[test]
fn what_is_too_far_apart_has_nothing_in_common() {
    let (p, g) = ([1e150, 1e150, 2e-7, 1e-7, 0.3], [0.0, 0.0, 1e-7, 1e-7, 0.2]);
    for (loss, gradient) in [loss(RotatedIou, p, g, MMCV), loss(ProbIou, p, g, MMCV)] {
        assert!(
            (loss - 1.0).abs() < 1e-12 && gradient.iter().all(|slope| slope.is_finite()),
            "{loss}, {gradient:?}"
        );
    }
}

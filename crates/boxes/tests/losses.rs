//! The IoU family against PyTorch, torchvision and published numbers.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{Visitor, pairs, visit_metrics};
use etude_boxes::iou::{
    Alpha, Ciou, Diou, Eiou, Exponent, FocalEiou, Giou, Guard, Iou, Metric, Mpdiou, ShapeIou, Siou, Weight,
    elementwise, loss_and_gradient, pairwise,
};
use etude_boxes::{Boxes, Format};

fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The loss and the four parts of its gradient of every pair.
fn losses<M: Metric<f64>>(metric: &M, p: &[[f64; 4]], g: &[[f64; 4]]) -> Vec<[f64; 5]> {
    let (mut losses, mut gradients) = (vec![0.0; p.len()], vec![[0.0; 4]; p.len()]);
    let (p, g) = (Boxes::rows(p, Format::Xyxy), Boxes::rows(g, Format::Xyxy));
    loss_and_gradient(metric, p, g, &mut losses, &mut gradients).unwrap();
    losses
        .iter()
        .zip(&gradients)
        .map(|(&loss, &[a, b, c, d])| [loss, a, b, c, d])
        .collect()
}

struct Pytorch {
    /// Sums over 500 pairs each.
    expected: BTreeMap<String, Vec<[f64; 5]>>,
    p: Vec<[f64; 4]>,
    g: Vec<[f64; 4]>,
    seen: usize,
}

impl Visitor for Pytorch {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        let found = losses(&metric, &self.p, &self.g);
        for (chunk, (found, expected)) in found.chunks(500).zip(&self.expected[name]).enumerate() {
            for part in 0..5 {
                let sum: f64 = found.iter().map(|found| found[part]).sum();
                let size: f64 = found.iter().map(|found| found[part].abs()).sum();
                let error = (sum - expected[part]).abs();
                assert!(
                    error <= 1e-11 * size,
                    "{name}, part {part} of chunk {chunk}: {sum}, expected {}",
                    expected[part]
                );
            }
        }
        self.seen += 1;
    }
}

#[test]
fn losses_and_gradients_of_ten_thousand_pairs_are_those_of_autograd() {
    let expected: BTreeMap<_, _> = fixture("losses.json");
    let (p, g) = pairs(10_000);
    let metrics = expected.len();
    let mut pytorch = Pytorch {
        expected,
        p,
        g,
        seen: 0,
    };
    visit_metrics(&mut pytorch);
    assert_eq!(pytorch.seen, metrics);
}

#[test]
fn with_its_convention_the_losses_are_those_of_torchvision() {
    #[derive(serde::Deserialize)]
    struct Case {
        p: Vec<[f64; 4]>,
        g: Vec<[f64; 4]>,
        giou: Vec<[f64; 5]>,
        diou: Vec<[f64; 5]>,
        ciou: Vec<[f64; 5]>,
    }
    let case: Case = fixture("torchvision.json");
    let guard = Guard::added(1e-7);
    let compare = |found: Vec<[f64; 5]>, expected: &[[f64; 5]]| {
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!(
                (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                "{found}, {expected}"
            );
        }
    };
    compare(losses(&Giou { guard }, &case.p, &case.g), &case.giou);
    compare(losses(&Diou { guard }, &case.p, &case.g), &case.diou);
    let alpha = Alpha::Constant;
    compare(losses(&Ciou { alpha, guard }, &case.p, &case.g), &case.ciou);
}

/// Every metric of `a` with every one of `b`.
fn matrix<M: Metric<f64>>(metric: M, a: &[[f64; 4]], b: &[[f64; 4]]) -> Vec<f64> {
    let mut values = vec![0.0; a.len() * b.len()];
    pairwise(
        &metric,
        Boxes::rows(a, Format::Xyxy),
        Boxes::rows(b, Format::Xyxy),
        &mut values,
    )
    .unwrap();
    values
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < tolerance, "{found:?}, expected {expected:?}");
    }
}

#[test]
fn the_tables_of_torchvisions_tests() {
    let a = [
        [0.0, 0.0, 100.0, 100.0],
        [0.0, 0.0, 50.0, 50.0],
        [200.0, 200.0, 300.0, 300.0],
        [0.0, 0.0, 25.0, 25.0],
    ];
    let b = &a[..3];
    let iou = [1.0, 0.25, 0.0, 0.25, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0625, 0.25, 0.0];
    assert_near(&matrix(Iou::default(), &a, b), &iou, 1e-4);
    let giou = [
        1.0, 0.25, -0.7778, 0.25, 1.0, -0.8611, -0.7778, -0.8611, 1.0, 0.0625, 0.25, -0.8819,
    ];
    assert_near(&matrix(Giou::default(), &a, b), &giou, 1e-4);
    let diou = [
        1.0, 0.1875, -0.4444, 0.1875, 1.0, -0.5625, -0.4444, -0.5625, 1.0, -0.0781, 0.1875, -0.6267,
    ];
    assert_near(&matrix(Diou::default(), &a, b), &diou, 1e-4);
    assert_near(&matrix(Ciou::default(), &a, b), &diou, 1e-4);

    // Three that nearly coincide, and all metrics with them.
    let near = [
        [285.3538, 185.5758, 1193.5110, 851.4551],
        [285.1472, 188.7374, 1192.4984, 851.0669],
        [279.2440, 197.9812, 1189.4746, 849.2019],
    ];
    let expected = [1.0, 0.9933, 0.9673, 0.9933, 1.0, 0.9737, 0.9673, 0.9737, 1.0];
    for found in [
        matrix(Iou::default(), &near, &near),
        matrix(Giou::default(), &near, &near),
        matrix(Diou::default(), &near, &near),
        matrix(Ciou::default(), &near, &near),
    ] {
        assert_near(&found, &expected, 1e-3);
    }
    // The costs in mmdetection's documentation are these with the other sign.
    let (a, b) = (
        [[1.0, 1.0, 2.0, 2.0], [2.0, 2.0, 3.0, 4.0]],
        [[0.0, 0.0, 2.0, 4.0], [1.0, 2.0, 3.0, 4.0]],
    );
    assert_near(&matrix(Giou::default(), &a, &b), &[0.125, -0.1667, -0.1667, 0.5], 1e-4);

    let (b1, b2) = ([-1.0, -1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]);
    let (b3, b4) = ([0.0, 1.0, 1.0, 2.0], [1.0, 1.0, 2.0, 2.0]);
    let giou = |p, g| Giou::default().loss_of(p, g).0;
    assert_near(
        &[giou(b1, b1), giou(b1, b2), giou(b2, b3), giou(b2, b4)],
        &[0.0, 0.75, 1.0, 1.5],
        1e-12,
    );
    let ciou = |p, g| Ciou::default().loss_of(p, g).0;
    let diou = |p, g| Diou::default().loss_of(p, g).0;
    for loss in [&ciou as &dyn Fn([f64; 4], [f64; 4]) -> f64, &diou] {
        assert_near(
            &[loss(b1, b2), loss(b1, b3), loss(b1, b4)],
            &[0.8125, 1.1923, 1.25],
            1e-4,
        );
        // The sum of a batch.
        assert_near(&[loss(b2, b3) + loss(b2, b4)], &[2.45], 1e-12);
    }
}

#[test]
fn published_gradients() {
    let (p, g) = ([50.0, 50.0, 150.0, 150.0], [60.0, 40.0, 180.0, 120.0]);
    let near = |(_, gradient): (f64, [f64; 4]), expected: [f64; 4]| assert_near(&gradient, &expected, 6e-8);
    near(
        Iou::default().loss_of(p, g),
        [-0.003_561_5, 0.006_410_8, -0.004_194_7, 0.003_561_5],
    );
    near(
        Giou::default().loss_of(p, g),
        [-0.003_722_9, 0.007_110_1, -0.006_292_6, 0.005_023_7],
    );
    near(
        Diou::default().loss_of(p, g),
        [-0.004_003_9, 0.007_100_4, -0.004_884_4, 0.004_041_9],
    );
    near(
        Ciou::default().loss_of(p, g),
        [-0.003_980_6, 0.007_077_1, -0.004_907_7, 0.004_065_2],
    );
    let differentiated = Ciou {
        alpha: Alpha::Differentiated,
        ..Ciou::default()
    };
    near(
        differentiated.loss_of(p, g),
        [-0.003_954_9, 0.007_049, -0.004_926_7, 0.004_084_8],
    );
    near(
        Eiou::default().loss_of(p, g),
        [-0.001_272_9, 0.003_794_6, -0.007_251_2, 0.006_746_6],
    );
    let (p, g) = ([10.0, 10.0, 30.0, 50.0], [0.0, 0.0, 100.0, 100.0]);
    near(
        Ciou::default().loss_of(p, g),
        [0.002_727_5, 0.000_886_2, -0.005_727_5, -0.002_886_2],
    );
    near(
        differentiated.loss_of(p, g),
        [0.002_937_5, 0.000_773_7, -0.005_937_5, -0.002_773_7],
    );
}

struct Published {
    row: usize,
    pair: [[f64; 4]; 2],
    seen: usize,
}

impl Visitor for Published {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        let column = match name {
            "iou" => [0.473_684, 0.0, 0.08, 0.8],
            "giou" => [0.403_754, -0.65, 0.08, 0.8],
            "diou" => [0.446_098, -0.371_951, 0.015, 0.795],
            "ciou" => [0.445_638, -0.372_197, 0.013_17, 0.794_88],
            "ciou_above_half" => [0.446_098, -0.371_951, 0.015, 0.794_88],
            "eiou" => [0.389_372, -0.594_451, -0.985, 0.755],
            "siou" => [0.444_913, -0.357_07, -0.053_966, 0.789_559],
            "alpha_iou" => [0.106_284, 0.0, 0.000_512, 0.512],
            "inner_iou" => [0.368_503, 0.0, 0.08, 0.741_935],
            // The loss.
            "wiou_v1" => [0.541_037, 1.450_562, 0.981_786, 0.201_003].map(|loss| 1.0 - loss),
            _ => return,
        };
        let [p, g] = self.pair;
        let (found, expected) = (metric.of(p, g), column[self.row]);
        assert!(
            (found - expected).abs() < 6e-7,
            "{name} {}: {found}, expected {expected}",
            self.row
        );
        self.seen += 1;
    }
}

#[test]
fn published_values() {
    let cases = [
        [[50.0, 50.0, 150.0, 150.0], [60.0, 40.0, 180.0, 120.0]],
        [[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 50.0, 40.0]],
        [[10.0, 10.0, 30.0, 50.0], [0.0, 0.0, 100.0, 100.0]],
        [[0.0, 0.0, 10.0, 8.0], [0.0, 0.0, 10.0, 10.0]],
    ];
    for (row, pair) in cases.into_iter().enumerate() {
        let mut published = Published { row, pair, seen: 0 };
        visit_metrics(&mut published);
        assert_eq!(published.seen, 10);

        let [p, g] = pair;
        let shape = |scale| {
            ShapeIou {
                scale,
                ..ShapeIou::default()
            }
            .of(p, g)
        };
        let found = [Mpdiou::new(640.0, 640.0).of(p, g), shape(0.0), shape(1.0)];
        let expected = [
            [0.471_243, 0.445_28, 0.444_94],
            [-0.004_028, -0.411_964, -0.393_854],
            [0.070_723, -0.051_697, -0.051_697],
            [0.799_995, 0.794_46, 0.794_46],
        ];
        assert_near(&found, &expected[row], 6e-6);
    }
}

#[test]
fn the_table_of_conventions() {
    let near = |found: f64, expected: f64, tolerance: f64| {
        assert!((found - expected).abs() < tolerance, "{found}, expected {expected}");
    };
    let (p, g) = ([50.0, 50.0, 150.0, 150.0], [60.0, 40.0, 180.0, 120.0]);
    for (alpha, ciou, slope) in [
        (Alpha::Constant, 0.445_638, -0.003_980_6),
        (Alpha::Differentiated, 0.445_638, -0.003_954_9),
        (Alpha::AboveHalf, 0.446_098, -0.004_003_9),
    ] {
        let (loss, gradient) = Ciou {
            alpha,
            ..Ciou::default()
        }
        .loss_of(p, g);
        near(1.0 - loss, ciou, 5e-7);
        near(gradient[0], slope, 5e-8);
    }
    // Mmdetection's `EIoULoss` of boxes that meet, and that of the paper by this name.
    near(Iou::default().loss_of(p, g).0 - 0.1 / 2.0, 0.476_316, 5e-7);
    near(Eiou::default().loss_of(p, g).0, 0.610_628, 5e-7);
    for (exponent, siou) in [(Exponent::Negative, 0.444_913), (Exponent::Positive, 0.501_647)] {
        near(
            Siou {
                exponent,
                ..Siou::default()
            }
            .of(p, g),
            siou,
            5e-7,
        );
    }
    for (weight, slope) in [(Weight::Constant, -0.016_55), (Weight::Differentiated, 0.112_27)] {
        let focal = FocalEiou {
            weight,
            ..FocalEiou::default()
        };
        near(
            focal.loss_of([0.0, 0.0, 10.0, 10.0], [9.0, 0.0, 19.0, 10.0]).1[2],
            slope,
            5e-6,
        );
    }
    let small = [0.0, 0.0, 5e-4, 5e-4];
    for (guard, iou) in [
        (Guard::NONE, 1.0),
        (Guard::added(1e-7), 0.714_286),
        (Guard::floor(1e-6), 0.25),
    ] {
        near(Iou { guard }.of(small, small), iou, 5e-7);
        near(Iou { guard }.of([0.0; 4], [0.0; 4]), 0.0, 1e-300);
        near(Giou { guard }.loss_of([0.0; 4], [0.0; 4]).0, 1.0, 1e-300);
    }
    for (format, iou) in [(Format::Xyxy, 0.109_589), (Format::XyxyInclusive, 0.142_857)] {
        let mut value = [0.0];
        let (a, b) = ([[0.0, 0.0, 9.0, 9.0]], [[5.0, 5.0, 14.0, 14.0]]);
        elementwise(
            &Iou::default(),
            Boxes::rows(&a, format),
            Boxes::rows(&b, format),
            &mut value,
        )
        .unwrap();
        near(value[0], iou, 5e-7);
    }
}

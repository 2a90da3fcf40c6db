//! ProbIoU on tensors against the closed form of `etude_boxes`.

use burn::tensor::{DType, Device, Tensor, TensorData};
use etude_boxes::rotated::{AngleConvention, ProbIou, RotatedBoxes, loss_and_gradient};
use etude_detection::box_loss::prob_iou_loss;
use etude_train::Seed;
use proptest::prelude::*;
use rand::RngExt;

type Rotated = [f64; 5];

/// Losses, and gradients of their sum.
fn found(p: &[Rotated], g: &[Rotated], convention: AngleConvention, kind: DType) -> (Vec<f64>, Vec<Rotated>) {
    let device = Device::flex().autodiff();
    let tensor = |boxes: &[Rotated]| {
        let data = TensorData::new(boxes.as_flattened().to_vec(), [boxes.len(), 5]);
        Tensor::<2>::from_data(data, (&device, kind))
    };
    let p = tensor(p).require_grad();
    let losses = prob_iou_loss(p.clone(), tensor(g), convention);
    let gradient = p.grad(&losses.clone().sum().backward()).unwrap();
    let gradient: Vec<f64> = gradient.into_data().iter().collect();
    (losses.into_data().iter().collect(), gradient.as_chunks().0.to_vec())
}

/// Boxes near their targets, some of them the same, some far away.
fn pairs(convention: AngleConvention) -> (Vec<Rotated>, Vec<Rotated>) {
    let mut random = Seed(0).stream("boxes");
    let turn = std::f64::consts::PI / convention.scale();
    let pair = |index: usize| {
        let mut draw = |low: f64, high: f64| random.random_range(low..high);
        let g = [
            draw(-5.0, 5.0),
            draw(-5.0, 5.0),
            draw(0.2, 9.0),
            draw(0.2, 9.0),
            draw(-1.0, 1.0) * turn,
        ];
        let far = [1e-3, 1e-1, 1.0, 20.0][index % 4];
        let sides = [0, 1].map(|side| (g[2 + side] + far * draw(-1.0, 1.0)).abs() + 0.1);
        let [x, y, angle] = [1.0, 1.0, turn].map(|scale| far * scale * draw(-1.0, 1.0));
        ([g[0] + x, g[1] + y, sides[0], sides[1], g[4] + angle], g)
    };
    (0..2000).map(pair).unzip()
}

#[test]
fn losses_and_gradients_are_those_of_the_closed_form() {
    for convention in [AngleConvention::MMCV, AngleConvention::DETECTRON2] {
        let (p, g) = pairs(convention);
        let (mut losses, mut gradients) = (vec![0.0; p.len()], vec![[0.0; 5]; p.len()]);
        let (p_view, g_view) = (RotatedBoxes::rows(&p, convention), RotatedBoxes::rows(&g, convention));
        loss_and_gradient(&ProbIou, p_view, g_view, &mut losses, &mut gradients).unwrap();
        for (kind, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-4)] {
            let (found_losses, found_gradients) = found(&p, &g, convention, kind);
            for index in 0..p.len() {
                let size = gradients[index].iter().fold(1.0_f64, |size, by| size.max(by.abs()));
                let parts = found_gradients[index].iter().zip(gradients[index]);
                let error = parts
                    .map(|(found, expected)| (found - expected).abs() / size)
                    .fold((found_losses[index] - losses[index]).abs(), f64::max);
                assert!(
                    error <= tolerance,
                    "{kind:?}, {:?} and {:?}: {} {:?}, expected {} {:?}",
                    p[index],
                    g[index],
                    found_losses[index],
                    found_gradients[index],
                    losses[index],
                    gradients[index]
                );
            }
        }
    }
}

#[test]
fn boxes_without_size_have_loss_one_and_perfect_ones_zero() {
    let boxes = [
        [1.0, 2.0, 3.0, 0.0, 0.1],
        [1.0, 2.0, -3.0, 4.0, 0.1],
        [f64::NAN, 2.0, 3.0, 4.0, 0.1],
        [1.0, 2.0, 3.0, 4.0, f64::INFINITY],
        [1.0, 2.0, 3.0, 4.0, 0.1],
    ];
    for kind in [DType::F32, DType::F64] {
        let (losses, gradients) = found(&boxes, &boxes, AngleConvention::MMCV, kind);
        assert_eq!(losses, [1.0, 1.0, 1.0, 1.0, 0.0]);
        assert_eq!(gradients, [[0.0; 5]; 5]);
        assert_eq!(found(&[], &[], AngleConvention::MMCV, kind), (vec![], vec![]));
    }
}

proptest! {
    #[test]
    fn nothing_is_nan_or_infinite(boxes in prop::collection::vec(prop::array::uniform10(hostile()), 1..32)) {
        let half = |first: usize| -> Vec<Rotated> {
            boxes.iter().map(|numbers| std::array::from_fn(|k| numbers[first + k])).collect()
        };
        let (losses, gradients) = found(&half(0), &half(5), AngleConvention::MMCV, DType::F32);
        prop_assert!(losses.iter().all(|loss| (0.0..=1.0).contains(loss)), "{losses:?}");
        prop_assert!(gradients.as_flattened().iter().all(|by| by.is_finite()), "{gradients:?}");
    }
}

fn hostile() -> impl Strategy<Value = f64> {
    let special = vec![0.0, f64::NAN, f64::INFINITY, 1e18, 1e-18, 1e-9, 1e9, 3e38, 1e-40];
    prop_oneof![
        any::<f32>().prop_map(f64::from),
        prop::sample::select(special),
        0.1..10.0,
        -10.0..10.0,
    ]
}

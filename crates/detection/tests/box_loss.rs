//! Losses on tensors against the closed forms of `etude_boxes`.

#[path = "../../boxes/tests/common/mod.rs"]
#[expect(dead_code, reason = "the pairs come with a visitor that knows no tensors")]
mod common;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::pairs;
use etude_boxes::iou::{
    Alpha, AlphaIou, AlphaPenalty, BoundedIou, Ciou, Diou, Eiou, Exponent, FocalEiou, Giou, Guard, Inner, InnerIou,
    Iou, Metric, Mpdiou, RunningMean, ShapeIou, Siou, Weight, Wiou, WiouFocus, loss_and_gradient,
};
use etude_boxes::{Boxes, Float, Format};
use etude_detection::box_loss::{TensorMetric, box_loss};
use proptest::prelude::*;

/// Losses, and gradients of their sum.
type Found = (Vec<f64>, Vec<[f64; 4]>);

/// The losses of predicted boxes and their targets.
type Losses<T> = Box<dyn Fn(&[[T; 4]], &[[T; 4]]) -> Found>;

/// A metric, on tensors of one kind of number and in closed form.
struct Case<T> {
    name: &'static str,
    tensors: Losses<T>,
    closed: Losses<T>,
}

fn tensor<T: Float>(boxes: &[[T; 4]], device: &Device) -> Tensor<2> {
    let numbers: Vec<f64> = boxes.iter().flatten().map(|&number| number.to_64()).collect();
    let kind = if size_of::<T>() == 8 { DType::F64 } else { DType::F32 };
    Tensor::from_data(TensorData::new(numbers, [boxes.len(), 4]), (device, kind))
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn case<T: Float, M: TensorMetric + Metric<T> + 'static>(name: &'static str, metric: M) -> Case<T> {
    let tensors = move |p: &[[T; 4]], g: &[[T; 4]]| {
        let device = Device::flex().autodiff();
        let p = tensor(p, &device).require_grad();
        let losses = box_loss(&metric, p.clone(), tensor(g, &device));
        let gradient = numbers(p.grad(&losses.clone().sum().backward()).unwrap());
        (numbers(losses), gradient.as_chunks().0.to_vec())
    };
    let closed = move |p: &[[T; 4]], g: &[[T; 4]]| {
        let (mut losses, mut gradients) = (vec![T::zero(); p.len()], vec![[T::zero(); 4]; p.len()]);
        let (p, g) = (Boxes::rows(p, Format::Xyxy), Boxes::rows(g, Format::Xyxy));
        loss_and_gradient(&metric, p, g, &mut losses, &mut gradients).unwrap();
        (
            losses.into_iter().map(Float::to_64).collect(),
            gradients.into_iter().map(|by| by.map(Float::to_64)).collect(),
        )
    };
    Case {
        name,
        tensors: Box::new(tensors),
        closed: Box::new(closed),
    }
}

/// Every metric with every one of its choices.
fn cases<T: Float>() -> Vec<Case<T>> {
    let (none, torchvision, mmdet) = (Guard::NONE, Guard::added(1e-7), Guard::floor(1e-6));
    let alpha = |penalty| AlphaIou {
        penalty,
        ..AlphaIou::default()
    };
    let ciou = |alpha, guard| Ciou { alpha, guard };
    let focal = |weight| FocalEiou {
        weight,
        ..FocalEiou::default()
    };
    let siou = |exponent| Siou {
        exponent,
        ..Siou::default()
    };
    let wiou = |focus| Wiou {
        focus,
        ..Wiou::default()
    };
    let third = WiouFocus::V3 {
        alpha: 1.9,
        delta: 3.0,
        mean: 0.4,
    };
    let shape = |scale| ShapeIou { scale, guard: none };
    let inner = InnerIou::new(0.75);
    vec![
        case("iou", Iou::default()),
        case("iou, mmdetection", Iou { guard: mmdet }),
        case("giou", Giou::default()),
        case("giou, torchvision", Giou { guard: torchvision }),
        case("giou, mmdetection", Giou { guard: mmdet }),
        case("diou", Diou::default()),
        case("ciou", ciou(Alpha::Constant, none)),
        case("ciou, differentiated", ciou(Alpha::Differentiated, none)),
        case("ciou, above half", ciou(Alpha::AboveHalf, none)),
        case("ciou, torchvision", ciou(Alpha::Constant, torchvision)),
        case("ciou, mmdetection", ciou(Alpha::AboveHalf, mmdet)),
        case("eiou", Eiou::default()),
        case("eiou, floor", Eiou { guard: mmdet }),
        case("focal eiou", focal(Weight::Constant)),
        case("focal eiou, differentiated", focal(Weight::Differentiated)),
        case("alpha iou", alpha(AlphaPenalty::None)),
        case("alpha giou", alpha(AlphaPenalty::Giou)),
        case("alpha diou", alpha(AlphaPenalty::Diou)),
        case("alpha ciou", alpha(AlphaPenalty::Ciou)),
        case("siou", siou(Exponent::Negative)),
        case("siou, positive", siou(Exponent::Positive)),
        case("wiou v1", wiou(WiouFocus::V1)),
        case("wiou v2", wiou(WiouFocus::V2 { gamma: 0.5, mean: 0.4 })),
        case("wiou v3", wiou(third)),
        case("mpdiou", Mpdiou::new(640.0, 480.0)),
        case("inner iou", inner),
        case(
            "inner siou",
            Inner {
                metric: Siou::default(),
                inner,
            },
        ),
        case("shape iou, 0", shape(0.0)),
        case("shape iou, 1/2", shape(0.5)),
        case("bounded iou", BoundedIou::default()),
        case(
            "bounded iou, mmdetection",
            BoundedIou {
                guard: Guard::added(1e-3),
                ..BoundedIou::default()
            },
        ),
    ]
}

/// Holds differences to a part of 1, or of what is larger.
fn compare<T: Float>(case: &Case<T>, p: &[[T; 4]], g: &[[T; 4]], tolerance: f64) {
    let ((losses, gradients), (closed_losses, closed_gradients)) = ((case.tensors)(p, g), (case.closed)(p, g));
    assert_eq!((losses.len(), gradients.len()), (p.len(), p.len()));
    for index in 0..p.len() {
        // Parts of a gradient that cancel leave rounding of their own size.
        let size = closed_gradients[index]
            .iter()
            .fold(1.0_f64, |size, by| size.max(by.abs()));
        let part = |found: f64, expected: f64| (found - expected).abs() / size.max(expected.abs());
        let parts = gradients[index].iter().zip(closed_gradients[index]);
        let error = parts
            .map(|(&found, expected)| part(found, expected))
            .fold(part(losses[index], closed_losses[index]), f64::max);
        assert!(
            error <= tolerance,
            "{}, {:?} and {:?}: {} {:?}, expected {} {:?}",
            case.name,
            p[index],
            g[index],
            losses[index],
            gradients[index],
            closed_losses[index],
            closed_gradients[index],
        );
    }
}

#[test]
fn ten_thousand_pairs_have_the_losses_and_gradients_of_the_closed_forms() {
    let (p, g) = pairs(10_000);
    for case in cases::<f64>() {
        compare(&case, &p, &g, 1e-12);
    }
    // In 32 bits both round, and each in its way.
    let single = |boxes: &[[f64; 4]]| -> Vec<[f32; 4]> { boxes.iter().map(|b| b.map(|x| x as f32)).collect() };
    let (p, g) = (single(&p), single(&g));
    for case in cases::<f32>() {
        compare(&case, &p, &g, 1e-5);
    }
}

/// Boxes of these corners are empty, inverted, huge, small, or no boxes at all.
const HOSTILE: [f64; 9] = [
    0.0,
    1.0,
    -2.0,
    1e-6,
    1e15,
    -1e17,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

#[test]
fn boxes_that_are_hardly_boxes_have_the_losses_and_gradients_of_the_closed_forms() {
    let boxes: Vec<[f64; 4]> = (0..9_usize.pow(4))
        .step_by(7)
        .map(|code| [1, 9, 81, 729].map(|place| HOSTILE[code / place % 9]))
        .collect();
    let targets: Vec<[f64; 4]> = boxes
        .iter()
        .rev()
        .copied()
        .cycle()
        .skip(boxes.len() / 3)
        .take(boxes.len())
        .collect();
    for case in cases::<f64>() {
        compare(&case, &boxes, &targets, 1e-9);
        compare(&case, &boxes, &boxes, 1e-9);
    }
}

/// Any number, though often one at the edge of what there is.
fn hostile() -> impl Strategy<Value = f32> {
    let special = vec![
        0.0,
        f32::NAN,
        f32::INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
        1e-45,
        1e18,
        -1e18,
        1e-18,
        1e-19,
        1e9,
        1e-9,
    ];
    prop_oneof![
        any::<f32>(),
        prop::num::f32::NORMAL,
        prop::sample::select(special),
        (0_u8..5).prop_map(f32::from),
        -100.0_f32..100.0,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn nothing_is_nan_or_infinite(boxes in prop::collection::vec(prop::array::uniform8(hostile()), 1..32)) {
        let half = |first: usize| -> Vec<[f32; 4]> {
            boxes.iter().map(|numbers| std::array::from_fn(|k| numbers[first + k])).collect()
        };
        let (p, g) = (half(0), half(4));
        for case in cases::<f32>() {
            let (losses, gradients) = (case.tensors)(&p, &g);
            prop_assert!(losses.iter().all(|loss| loss.is_finite()), "{}", case.name);
            prop_assert!(gradients.as_flattened().iter().all(|by| by.is_finite()), "{}", case.name);
        }
    }
}

#[test]
fn a_thin_hull_of_boxes_without_an_inside_has_finite_gradients() {
    let (p, g) = ([0.0, 0.0, 2.434_676e15, 0.0], [0.011_905_515, 0.0, 0.0, -2.810_193e-39]);
    for case in cases::<f32>() {
        let (losses, gradients) = (case.tensors)(&[p], &[g]);
        assert!(losses[0].is_finite(), "{}", case.name);
        assert!(
            gradients.as_flattened().iter().all(|by| by.is_finite()),
            "{}: {gradients:?}",
            case.name
        );
    }
}

#[test]
fn no_boxes_have_no_losses() {
    for case in cases::<f32>() {
        assert_eq!((case.tensors)(&[], &[]), (vec![], vec![]), "{}", case.name);
    }
}

#[test]
fn targets_are_constants_and_weights_reach_the_gradient() {
    let device = Device::flex().autodiff();
    let boxes = |boxes: [[f64; 4]; 2]| tensor(&boxes, &device).require_grad();
    let (p, g) = (
        boxes([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]]),
        boxes([[1.0, 0.0, 3.0, 2.0], [1.0, 0.0, 3.0, 2.0]]),
    );
    let losses = box_loss(&Ciou::default(), p.clone(), g.clone());
    let weights = Tensor::from_data(TensorData::new(vec![1.0, 3.0], [2]), (&device, DType::F64));
    let gradients = (losses * weights).sum().backward();
    assert!(g.grad(&gradients).is_none());
    let by = numbers(p.grad(&gradients).unwrap());
    assert!(by[0] != 0.0 && (by[4] - 3.0 * by[0]).abs() < 1e-12, "{by:?}");
}

#[test]
fn without_autodiff_there_are_losses_too_and_half_precision_becomes_single() {
    let device = Device::flex();
    let (p, g) = (
        tensor(&[[0.0_f32, 0.0, 1.0, 1.0]], &device),
        tensor(&[[3.0_f32, 0.0, 4.0, 1.0]], &device),
    );
    let half = p.clone().cast(DType::BF16);
    for p in [p, half] {
        let loss = box_loss(&Giou::default(), p, g.clone());
        assert_eq!((loss.dtype(), numbers(loss)), (DType::F32, vec![1.5]));
    }
}

#[test]
fn the_running_mean_of_wise_iou_is_kept_by_the_caller() {
    let device = Device::flex();
    let (p, g) = (
        tensor(&[[0.0, 0.0, 10.0, 8.0]], &device),
        tensor(&[[0.0, 0.0, 10.0, 10.0]], &device),
    );
    let mut mean = RunningMean::new(1);
    mean.update(numbers(box_loss(&Iou::default(), p.clone(), g.clone()).mean())[0]);
    // (1 + 0.2) / 2: half of the mean is gone after one update.
    assert!((mean.value() - 0.6).abs() < 1e-12);
    let loss = |focus| {
        let wiou = Wiou {
            focus,
            ..Wiou::default()
        };
        numbers(box_loss(&wiou, p.clone(), g.clone()))[0]
    };
    let second = WiouFocus::V2 {
        gamma: 0.5,
        mean: mean.value(),
    };
    let ratio = loss(second) / loss(WiouFocus::V1);
    assert!((ratio - (0.2_f64 / 0.6).sqrt()).abs() < 1e-12, "{ratio}");
}

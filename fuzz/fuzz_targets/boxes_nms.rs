//! Suppression of every kind, by the rule that looks at all pairs.

#![no_main]

use std::collections::BTreeSet;

use etude_boxes::iou::{Diou, Iou, Metric};
use etude_boxes::nms::{
    Confidence, Detections, Fusion, MatrixDecay, Scored, SoftDecay, batched_nms, diou_nms, fast_nms, matrix_nms, nms,
    rotated_nms, soft_nms, weighted_boxes_fusion,
};
use etude_boxes::rotated::{AngleConvention, RotatedBoxes, RotatedIou, RotatedMetric};
use etude_boxes::{Boxes, Float};
use etude_fuzz::input::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    match input.below(6) {
        0 => rotated::<f64>(&mut input),
        1 => rotated::<f32>(&mut input),
        2 => fused::<f64>(&mut input),
        3 => fused::<f32>(&mut input),
        4 => upright::<f64>(&mut input),
        _ => upright::<f32>(&mut input),
    }
});

/// Most are thresholds.
fn threshold(input: &mut Input<'_>) -> f64 {
    match input.below(4) {
        0 => input.number(),
        1 => 0.5,
        _ => input.below(101) as f64 / 100.0,
    }
}

fn classes(input: &mut Input<'_>, count: usize) -> Vec<u32> {
    (0..count).map(|_| input.below(3) as u32).collect()
}

/// Indices by falling score, of equal ones by rising index, where all numbers are numbers.
fn order<T: Float>(scores: &[T], finite: impl Fn(usize) -> bool) -> Vec<u32> {
    let counts = |&index: &u32| scores[index as usize].is_finite() && finite(index as usize);
    let mut order: Vec<u32> = (0..scores.len() as u32).filter(counts).collect();
    order.sort_by(|&a, &b| scores[b as usize].compare(scores[a as usize]));
    order
}

/// Greedy suppression by all pairs.
fn greedy(order: &[u32], suppresses: impl Fn(usize, usize) -> bool) -> Vec<u32> {
    let mut stay: Vec<u32> = Vec::new();
    for &index in order {
        if !stay.iter().any(|&other| suppresses(other as usize, index as usize)) {
            stay.push(index);
        }
    }
    stay
}

fn upright<T: Float>(input: &mut Input<'_>) {
    let (format, threshold, count) = (input.format(), threshold(input), input.below(12));
    let (beta, sigma, min_score) = (input.setting(1.0), input.setting(0.5), input.setting(0.0));
    let rows = input.rows::<T, 4>(count);
    let (scores, classes) = (input.numbers::<T>(count), classes(input, count));
    let boxes = Boxes::rows(&rows, format);
    let sound = (0.0..=1.0).contains(&threshold);
    let kept = nms(boxes, &scores, threshold);
    assert_eq!(kept.is_ok(), sound);
    if let Ok(kept) = kept {
        let finite = |index: usize| boxes.corners(index).iter().all(|corner| corner.abs() <= T::LIMIT);
        let order = order(&scores, finite);
        let limit = T::of(threshold);
        let iou = |i: usize, j: usize| Iou::default().of(boxes.corners(i), boxes.corners(j));
        let of_class = |i: usize, j: usize| classes[i] == classes[j];
        assert_eq!(kept, greedy(&order, |i, j| iou(i, j) > limit));
        let expected = greedy(&order, |i, j| of_class(i, j) && iou(i, j) > limit);
        assert_eq!(
            batched_nms(boxes, &scores, &classes, threshold).expect("settings are sound"),
            expected
        );
        let fast = fast_nms(boxes, &scores, None, threshold).expect("settings are sound");
        let better = |j: u32| order.iter().copied().take_while(move |&i| i != j);
        let gone = |j: u32| better(j).any(|i| iou(i as usize, j as usize) > limit);
        assert_eq!(fast, order.iter().copied().filter(|&j| !gone(j)).collect::<Vec<_>>());
        if let Ok(found) = diou_nms(boxes, &scores, Some(&classes), threshold, beta) {
            listed(&found, &scores);
            let diou = |i: usize, j: usize| Diou::default().of(boxes.corners(i), boxes.corners(j)) > limit;
            assert!(beta != 1.0 || found == greedy(&order, |i, j| of_class(i, j) && diou(i, j)));
        }
    }
    for decay in [SoftDecay::Linear { threshold }, SoftDecay::Gaussian { sigma }] {
        if let Ok(found) = soft_nms(boxes, &scores, Some(&classes), decay, min_score) {
            scored(&found, &scores, min_score);
        }
    }
    for decay in [MatrixDecay::Linear, MatrixDecay::Gaussian { sigma }] {
        if let Ok(found) = matrix_nms(boxes, &scores, Some(&classes), decay, min_score) {
            scored(&found, &scores, min_score);
        }
    }
    assert!(nms(boxes, &[], 0.5).is_err() || count == 0);
}

/// Boxes that stay are boxes, once each, by falling score.
fn listed<T: Float>(found: &[u32], scores: &[T]) {
    assert!(found.iter().all(|&index| (index as usize) < scores.len()));
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "{found:?}");
    let by_score = found.is_sorted_by(|&a, &b| scores[a as usize] >= scores[b as usize]);
    assert!(by_score, "{found:?} of {scores:?}");
}

/// The same, where the scores may have fallen.
fn scored<T: Float>(found: &[Scored<T>], scores: &[T], min_score: f64) {
    assert!(found.is_sorted_by(|a, b| a.score >= b.score), "{found:?}");
    assert_eq!(
        found.iter().map(|one| one.index).collect::<BTreeSet<_>>().len(),
        found.len()
    );
    for one in found {
        let before = scores[one.index as usize];
        assert!(one.score.is_finite() && one.score <= before, "{one:?}, {before}");
        assert!(one.score >= T::of(min_score), "{one:?}, {min_score}");
    }
}

fn rotated<T: Float>(input: &mut Input<'_>) {
    let (threshold, count) = (threshold(input), input.below(8));
    let rows = input.rows::<T, 5>(count);
    let (scores, classes) = (input.numbers::<T>(count), classes(input, count));
    let boxes = RotatedBoxes::rows(&rows, AngleConvention::DETECTRON2);
    let found = rotated_nms(boxes, &scores, Some(&classes), threshold);
    assert_eq!(found.is_ok(), (0.0..=1.0).contains(&threshold));
    if let Ok(found) = found {
        listed(&found, &scores);
        let rectangle = |index: usize| boxes.rectangle(index);
        let order = order(&scores, |index| rectangle(index).holds);
        let over =
            |i: usize, j: usize| classes[i] == classes[j] && RotatedIou.value(&rectangle(i), &rectangle(j)) > threshold;
        // Thresholds that rounding decides on are no test.
        let near = |i: usize, j: usize| (RotatedIou.value(&rectangle(i), &rectangle(j)) - threshold).abs() < 1e-6;
        let decided = (0..count).all(|i| (0..i).all(|j| !near(i, j)));
        assert!(
            !decided || found == greedy(&order, over),
            "{rows:?}, {scores:?}: {found:?}"
        );
    }
}

fn fused<T: Float>(input: &mut Input<'_>) {
    let format = input.format();
    let models = input.below(4);
    let boxes: Vec<Vec<[T; 4]>> = (0..models)
        .map(|_| input.below(6) as usize)
        .collect::<Vec<_>>()
        .into_iter()
        .map(|count| input.rows(count))
        .collect();
    let scores: Vec<Vec<T>> = boxes.iter().map(|boxes| input.numbers(boxes.len())).collect();
    let classes: Vec<Vec<u32>> = boxes.iter().map(|boxes| classes(input, boxes.len())).collect();
    let weights: Vec<f64> = boxes.iter().map(|_| input.setting(1.0)).collect();
    let detections = |model: usize| Detections {
        boxes: Boxes::rows(&boxes[model], format),
        scores: &scores[model],
        classes: &classes[model],
        weight: weights[model],
    };
    let models: Vec<Detections<'_, T>> = (0..models).map(detections).collect();
    let rule = Fusion {
        threshold: threshold(input),
        min_score: input.setting(0.0),
        confidence: [
            Confidence::Average,
            Confidence::AverageWithOverflow,
            Confidence::Max,
            Confidence::BoxAndModelAverage,
            Confidence::AbsentModelAwareAverage,
        ][input.below(5)],
    };
    let Ok(fused) = weighted_boxes_fusion(&models, &rule) else {
        return;
    };
    assert!(fused.len() <= boxes.iter().map(Vec::len).sum());
    assert!(fused.is_sorted_by(|a, b| a.score >= b.score), "{fused:?}");
    for one in fused {
        assert!(
            one.corners.iter().all(|corner| corner.is_finite()),
            "{one:?} of {models:?}"
        );
        assert!(one.score >= T::zero() && one.score.is_finite(), "{one:?} of {models:?}");
    }
}

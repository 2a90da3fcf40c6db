//! Suppression against torchvision, published numbers, and rules that look at all pairs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use etude_boxes::iou::{Diou, Iou, Metric};
use etude_boxes::nms::{
    Confidence, Detections, Fused, Fusion, MatrixDecay, Scored, SoftDecay, batched_nms, diou_nms, fast_nms, matrix_nms,
    nms, soft_nms, weighted_boxes_fusion,
};
use etude_boxes::{Boxes, Float, Format};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;

fn view<T: Float>(boxes: &[[T; 4]]) -> Boxes<'_, T> {
    Boxes::rows(boxes, Format::Xyxy)
}

fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    Iou::default().of(a, b)
}

#[test]
fn what_stays_is_what_torchvision_keeps() {
    #[derive(Deserialize)]
    struct Case {
        boxes: Vec<[f64; 4]>,
        scores: Vec<f64>,
        classes: Vec<u32>,
        thresholds: Vec<f64>,
        nms: Vec<Vec<u32>>,
        batched_nms: Vec<Vec<u32>>,
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nms.json");
    let case: Case = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(case.thresholds.len(), 6);
    for (index, &threshold) in case.thresholds.iter().enumerate() {
        let boxes = view(&case.boxes);
        assert_eq!(nms(boxes, &case.scores, threshold).unwrap(), case.nms[index]);
        let found = batched_nms(boxes, &case.scores, &case.classes, threshold).unwrap();
        assert_eq!(found, case.batched_nms[index]);
    }
}

/// Boxes of many sizes, on a grid so that edges meet, and some that are hardly boxes; few scores, so that there are
/// ties.
fn detections() -> impl Strategy<Value = Vec<([f64; 4], f64, u32)>> {
    let grid = (0_i32..8, 0_i32..8, 0_i32..6, 0_i32..6);
    let grid = grid.prop_map(|(x, y, w, h)| [x, y, x + w, y + h].map(f64::from));
    let sizes = (-2.0..6.0, -2.0..6.0, -3.0..4.0, -1.0..1.0).prop_map(|(x, y, size, ratio): (f64, f64, f64, f64)| {
        let (w, h) = (size.exp2() * ratio.exp2(), size.exp2());
        [x, y, x + w, y + h]
    });
    let far = (-4_i32..4).prop_map(|k| {
        let x = 10_f64.powi(4 * k);
        [x, -x, x * 1.5, x]
    });
    let hostile = prop::array::uniform4(prop::num::f64::ANY);
    let boxes = prop_oneof![6 => grid, 6 => sizes, 1 => far, 1 => hostile];
    let score = prop_oneof![0.0..1.0, (0_i32..5).prop_map(|k| f64::from(k) / 4.0)];
    vec((boxes, score, 0_u32..3), 0..60)
}

type Split = (Vec<[f64; 4]>, Vec<f64>, Vec<u32>);

fn split(detections: &[([f64; 4], f64, u32)]) -> Split {
    let boxes = detections.iter().map(|one| one.0).collect();
    let scores = detections.iter().map(|one| one.1).collect();
    (boxes, scores, detections.iter().map(|one| one.2).collect())
}

/// Indices of finite boxes by falling score.
fn order(boxes: &[[f64; 4]], scores: &[f64]) -> Vec<u32> {
    let finite = |&index: &u32| boxes[index as usize].iter().all(|corner| corner.abs() <= f64::LIMIT);
    let mut order: Vec<u32> = (0..boxes.len() as u32).filter(finite).collect();
    order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
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

/// Soft suppression as the paper writes it: all scores fall each time a box stays.
fn soft(boxes: &[[f64; 4]], scores: &[f64], classes: &[u32], decay: SoftDecay, least: f64) -> Vec<Scored<f64>> {
    let mut left = order(boxes, scores);
    left.sort_unstable();
    let (mut scores, mut stay) = (scores.to_vec(), Vec::new());
    loop {
        left.retain(|&index| scores[index as usize] >= least);
        let best = left.iter().copied().max_by(|&a, &b| {
            let by_score = scores[a as usize].total_cmp(&scores[b as usize]);
            by_score.then(b.cmp(&a))
        });
        let Some(index) = best else { return stay };
        let score = scores[index as usize];
        stay.push(Scored { index, score });
        left.retain(|&other| other != index);
        for &other in &left {
            if classes[other as usize] == classes[index as usize] {
                let overlap = iou(boxes[index as usize], boxes[other as usize]);
                scores[other as usize] *= match decay {
                    SoftDecay::Linear { threshold } if overlap < threshold => 1.0,
                    SoftDecay::Linear { .. } => 1.0 - overlap,
                    SoftDecay::Gaussian { sigma } => (-overlap * overlap / sigma).exp(),
                };
            }
        }
    }
}

/// Matrix suppression on whole matrices.
fn matrix(boxes: &[[f64; 4]], scores: &[f64], classes: &[u32], decay: MatrixDecay) -> Vec<f64> {
    let order = order(boxes, scores);
    let of = |i: usize, j: usize| {
        let (i, j) = (order[i] as usize, order[j] as usize);
        if classes[i] == classes[j] {
            iou(boxes[i], boxes[j])
        } else {
            0.0
        }
    };
    let f = |iou: f64| match decay {
        MatrixDecay::Linear => 1.0 - iou,
        MatrixDecay::Gaussian { sigma } => (-sigma * iou * iou).exp(),
    };
    let lost: Vec<f64> = (0..order.len())
        .map(|i| (0..i).map(|k| of(k, i)).fold(0.0, f64::max))
        .collect();
    let mut decayed = vec![f64::NAN; boxes.len()];
    for j in 0..order.len() {
        let quotients = (0..j).filter(|&i| f(lost[i]) > 0.0).map(|i| f(of(i, j)) / f(lost[i]));
        decayed[order[j] as usize] = scores[order[j] as usize] * quotients.fold(1.0, f64::min);
    }
    decayed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_goes_is_what_all_pairs_say(
        detections in detections(),
        threshold in prop_oneof![Just(0.0), Just(-0.0), Just(0.25), Just(0.5), Just(1.0), 0.0..1.0],
    ) {
        let (boxes, scores, classes) = split(&detections);
        let by_score = order(&boxes, &scores);
        let over = |i: usize, j: usize| iou(boxes[i], boxes[j]) > threshold;
        let kept = nms(view(&boxes), &scores, threshold).unwrap();
        prop_assert_eq!(&kept, &greedy(&by_score, over));

        let of_class = batched_nms(view(&boxes), &scores, &classes, threshold).unwrap();
        prop_assert_eq!(of_class, greedy(&by_score, |i, j| classes[i] == classes[j] && over(i, j)));

        let better = |j: u32| by_score.iter().copied().take_while(move |&i| i != j);
        let fast = fast_nms(view(&boxes), &scores, None, threshold).unwrap();
        let expected = by_score.iter().copied().filter(|&j| !better(j).any(|i| over(i as usize, j as usize)));
        prop_assert_eq!(&fast, &expected.collect::<Vec<_>>());
        let kept: BTreeSet<u32> = kept.into_iter().collect();
        prop_assert!(fast.iter().all(|index| kept.contains(index)));

        let found = diou_nms(view(&boxes), &scores, Some(&classes), threshold, 1.0).unwrap();
        let diou = |i: usize, j: usize| classes[i] == classes[j] && Diou::default().of(boxes[i], boxes[j]) > threshold;
        prop_assert_eq!(found, greedy(&by_score, diou));
    }

    #[test]
    fn softly_is_what_all_pairs_say(detections in detections(), threshold in 0.0..1.0, sigma in 0.1..2.0, least in 0.0..0.3) {
        let (boxes, scores, classes) = split(&detections);
        for decay in [SoftDecay::Linear { threshold }, SoftDecay::Gaussian { sigma }] {
            let found = soft_nms(view(&boxes), &scores, Some(&classes), decay, least).unwrap();
            prop_assert_eq!(found, soft(&boxes, &scores, &classes, decay, least));
        }
        for decay in [MatrixDecay::Linear, MatrixDecay::Gaussian { sigma: 2.0 }] {
            let found = matrix_nms(view(&boxes), &scores, Some(&classes), decay, least).unwrap();
            prop_assert!(found.is_sorted_by(|a, b| a.score >= b.score));
            let expected = matrix(&boxes, &scores, &classes, decay);
            prop_assert_eq!(found.len(), expected.iter().filter(|&&score| score >= least).count());
            for one in found {
                prop_assert!((one.score - expected[one.index as usize]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn in_32_bits_too(detections in detections(), threshold in 0.0..1.0) {
        let (boxes, scores, _) = split(&detections);
        let boxes: Vec<[f32; 4]> = boxes.iter().map(|corners| corners.map(|x| x as f32)).collect();
        let scores: Vec<f32> = scores.iter().map(|&score| score as f32).collect();
        let mut order: Vec<u32> = (0..boxes.len() as u32).collect();
        order.retain(|&index| boxes[index as usize].iter().all(|corner| corner.abs() <= f32::LIMIT));
        order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let over = |i: usize, j: usize| Iou::default().of(boxes[i], boxes[j]) > threshold as f32;
        prop_assert_eq!(nms(view(&boxes), &scores, threshold).unwrap(), greedy(&order, over));
    }

    #[test]
    fn fused_boxes_lie_between_their_parts(first in detections(), second in detections(), weight in 0.5..2.0) {
        let ((a, p, c), (b, q, d)) = (split(&first), split(&second));
        let models = [
            Detections { boxes: view(&a), scores: &p, classes: &c, weight: 1.0 },
            Detections { boxes: view(&b), scores: &q, classes: &d, weight },
        ];
        for confidence in [
            Confidence::Average,
            Confidence::AverageWithOverflow,
            Confidence::Max,
            Confidence::BoxAndModelAverage,
            Confidence::AbsentModelAwareAverage,
        ] {
            let fused = weighted_boxes_fusion(&models, &Fusion { confidence, ..Fusion::default() }).unwrap();
            prop_assert!(fused.len() <= a.len() + b.len());
            for Fused { corners, score, .. } in fused {
                prop_assert!(corners.iter().all(|corner| corner.is_finite()));
                let may_exceed = matches!(confidence, Confidence::Average | Confidence::AverageWithOverflow);
                prop_assert!(score > 0.0 && (score <= 1.0 + 1e-9 || may_exceed));
            }
        }
    }
}

#[test]
fn the_values_of_mmcvs_tests() {
    let boxes = [
        [6.0, 3.0, 8.0, 7.0],
        [3.0, 6.0, 9.0, 11.0],
        [3.0, 7.0, 10.0, 12.0],
        [1.0, 4.0, 13.0, 7.0],
    ];
    let scores = [0.6, 0.9, 0.7, 0.2];
    assert_eq!(nms(view(&boxes), &scores, 0.3).unwrap(), [1, 0, 3]);
    let expected: [(SoftDecay, [(u32, f64); 4]); 2] = [
        (
            SoftDecay::Linear { threshold: 0.3 },
            [(1, 0.9), (0, 0.6), (2, 0.290_243_92), (3, 0.2)],
        ),
        (
            SoftDecay::Gaussian { sigma: 0.5 },
            [(1, 0.9), (0, 0.596_307_75), (2, 0.352_755_1), (3, 0.186_504_59)],
        ),
    ];
    for (decay, expected) in expected {
        let found = soft_nms(view(&boxes), &scores, None, decay, 0.01).unwrap();
        assert_eq!(found.len(), 4);
        for (found, (index, score)) in found.iter().zip(expected) {
            assert_eq!(found.index, index);
            assert!((found.score - score).abs() < 1e-7, "{decay:?}: {found:?}, {score}");
        }
    }
}

#[test]
fn the_values_of_weighted_boxes_fusions_tests() {
    let first = [[0.1, 0.1, 0.5, 0.5], [0.11, 0.11, 0.51, 0.51], [0.6, 0.6, 0.8, 0.8]];
    let second = [[0.59, 0.59, 0.79, 0.79], [0.61, 0.61, 0.81, 0.81], [0.8, 0.8, 0.9, 0.9]];
    let models = [
        Detections {
            boxes: view(&first),
            scores: &[0.9, 0.8, 0.7],
            classes: &[1, 1, 1],
            weight: 2.0,
        },
        Detections {
            boxes: view(&second),
            scores: &[0.85, 0.75, 0.65],
            classes: &[1, 1, 0],
            weight: 1.0,
        },
    ];
    let three = 0.7 * 2.0 + 0.85 + 0.75;
    let near = (0.6 * 0.7 * 2.0 + 0.59 * 0.85 + 0.61 * 0.75) / three;
    let low = (0.1 * 0.9 * 2.0 + 0.11 * 0.8 * 2.0) / (0.9 * 2.0 + 0.8 * 2.0);
    let boxes = [
        [low, low, low + 0.4, low + 0.4],
        [near, near, near + 0.2, near + 0.2],
        [0.8, 0.8, 0.9, 0.9],
    ];
    let average = [1.7 * 2.0 / 2.0 * 2.0 / 3.0, three / 3.0, 0.65 / 3.0];
    let models_count = [0.85 * 2.0 / 3.0, three / 4.0, 0.65 / 3.0];
    let absent = [1.7 * 2.0 / 5.0, three / 4.0, 0.65 / 3.0];
    for (confidence, scores) in [
        (Confidence::Average, average),
        (Confidence::BoxAndModelAverage, models_count),
        (Confidence::AbsentModelAwareAverage, absent),
    ] {
        let rule = Fusion {
            threshold: 0.5,
            min_score: 0.0001,
            confidence,
        };
        let fused = weighted_boxes_fusion(&models, &rule).unwrap();
        let mut expected: Vec<_> = boxes.into_iter().zip(scores).zip([1, 1, 0]).collect();
        expected.sort_by(|((_, a), _), ((_, b), _)| f64::total_cmp(b, a));
        assert_eq!(fused.len(), 3);
        for (found, ((corners, score), class)) in fused.iter().zip(expected) {
            assert_eq!(found.class, class, "{confidence:?}");
            assert!(
                (found.score - score).abs() < 1e-12,
                "{confidence:?}: {}, {score}",
                found.score
            );
            for (found, expected) in found.corners.iter().zip(corners) {
                assert!((found - expected).abs() < 1e-12, "{confidence:?}: {found}, {expected}");
            }
        }
    }
}

#[test]
fn many_boxes_in_little_memory() {
    // A matrix of all pairs would have 10^10 entries.
    let mut seed = 1_u64;
    let mut draw = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f32 / 16_777_216.0
    };
    let boxes: Vec<[f32; 4]> = (0..100_000)
        .map(|_| {
            let (x, y) = (draw() * 5000.0, draw() * 5000.0);
            [x, y, x + 5.0 + draw() * 95.0, y + 5.0 + draw() * 95.0]
        })
        .collect();
    let scores: Vec<f32> = (0..boxes.len()).map(|_| draw()).collect();
    let kept = nms(view(&boxes), &scores, 0.5).unwrap();
    assert!(kept.is_sorted_by(|&a, &b| scores[a as usize] >= scores[b as usize]));
    // Suppression of what stayed takes nothing away.
    let stayed: Vec<[f32; 4]> = kept.iter().map(|&index| boxes[index as usize]).collect();
    let their_scores: Vec<f32> = kept.iter().map(|&index| scores[index as usize]).collect();
    assert!(kept.len() > 1000 && kept.len() < boxes.len());
    assert_eq!(nms(view(&stayed), &their_scores, 0.5).unwrap().len(), kept.len());
}

#[test]
fn decays_without_end_leave_numbers() {
    let boxes = [[0.0, 0.0, 1.0, 1.0_f32], [5.0, 5.0, 6.0, 6.0], [5.0, 5.0, 6.0, 6.0]];
    // In 32 bits the one sigma is zero and the other infinite.
    let soft = soft_nms(
        view(&boxes),
        &[0.9, 0.8, 0.7],
        None,
        SoftDecay::Gaussian { sigma: 1e-300 },
        0.0,
    )
    .unwrap();
    let matrix = matrix_nms(
        view(&boxes),
        &[0.9, 0.8, 0.7],
        None,
        MatrixDecay::Gaussian { sigma: 1e300 },
        0.0,
    )
    .unwrap();
    for found in [soft, matrix] {
        let scores: Vec<(u32, f32)> = found.iter().map(|one| (one.index, one.score)).collect();
        assert_eq!(scores, [(0, 0.9), (1, 0.8), (2, 0.0)]);
    }
    // Times zero, a negative score is no better than it was.
    let stay = matrix_nms(view(&boxes[1..]), &[0.9, -7.0], None, MatrixDecay::Linear, 0.0).unwrap();
    assert_eq!(stay.iter().map(|one| one.index).collect::<Vec<_>>(), [0]);
}

#[test]
fn models_that_weigh_next_to_nothing_fuse_to_numbers() {
    let boxes = [[0.0, 0.0, 1.0, 1.0_f32]];
    let fuse = |weight: f64, score: f32| {
        let model = Detections {
            boxes: view(&boxes),
            scores: &[score],
            classes: &[0],
            weight,
        };
        weighted_boxes_fusion(&[model, model], &Fusion::default())
    };
    assert_eq!(fuse(1e-300, 4.0).unwrap(), []);
    assert!(fuse(1e300, 1e-30).is_err());
    let light = fuse(1e-10, 1.0).unwrap()[0].corners;
    assert!(
        light.iter().zip(boxes[0]).all(|(a, b)| (a - b).abs() < 1e-6),
        "{light:?}"
    );
}

#[test]
fn settings_that_cannot_be_are_errors() {
    let boxes = [[0.0, 0.0, 1.0, 1.0]; 2];
    let (boxes, scores) = (view(&boxes), [0.5, 0.6]);
    assert!(nms(boxes, &scores, 1.5).is_err());
    assert!(nms(boxes, &scores, f64::NAN).is_err());
    assert!(nms(boxes, &scores[..1], 0.5).is_err());
    assert!(batched_nms(boxes, &scores, &[0], 0.5).is_err());
    assert!(soft_nms(boxes, &scores, None, SoftDecay::Gaussian { sigma: 0.0 }, 0.0).is_err());
    assert!(matrix_nms(boxes, &scores, None, MatrixDecay::Linear, -1.0).is_err());
    assert!(diou_nms(boxes, &scores, None, 0.5, -1.0).is_err());
    // What is not finite never stays.
    let some = [[0.0, 0.0, 1.0, 1.0], [5.0, 5.0, f64::NAN, 6.0], [9.0, 9.0, 8.0, 8.0]];
    assert_eq!(nms(view(&some), &[0.1, 0.9, 0.2], 0.5).unwrap(), [2, 0]);
    assert_eq!(nms(view(&some), &[f64::NAN, 0.9, 0.2], 0.5).unwrap(), [2]);
    for sigma in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
        assert!(matrix_nms(boxes, &scores, None, MatrixDecay::Gaussian { sigma }, 0.0).is_err());
    }
    let infinite = Detections {
        boxes,
        scores: &[f64::INFINITY, 0.5],
        classes: &[0, 0],
        weight: 1.0,
    };
    let fused = weighted_boxes_fusion(&[infinite], &Fusion::default()).unwrap();
    assert_eq!(
        (fused.len(), fused[0].score, fused[0].corners),
        (1, 0.5, [0.0, 0.0, 1.0, 1.0])
    );
}

//! Assignment against SciPy, brute force and whole matrices.

use std::fs;
use std::path::Path;

use etude_boxes::assign::{
    Label, MaxIou, SimOta, TaskAligned, atss, linear_assignment, max_iou, sim_ota, task_aligned,
};
use etude_boxes::{BoxError, Boxes, Format};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;

fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn linear_assignments_are_those_of_scipy() {
    #[derive(Deserialize)]
    struct Case {
        shape: [usize; 2],
        cost: Vec<Option<f64>>,
        feasible: bool,
        total: Option<f64>,
        rows: Option<Vec<u32>>,
        columns: Option<Vec<u32>>,
    }
    let cases: Vec<Case> = fixture("linear_assignment.json");
    assert_eq!(cases.len(), 32);
    assert!(cases.iter().any(|case| !case.feasible) && cases.iter().any(|case| case.columns.is_some()));
    for case in cases {
        let cost: Vec<f64> = case.cost.iter().map(|cost| cost.unwrap_or(f64::INFINITY)).collect();
        let found = linear_assignment(&cost, case.shape);
        if !case.feasible {
            assert!(matches!(found, Err(BoxError::Infeasible { .. })), "{:?}", case.shape);
            continue;
        }
        let found = found.unwrap();
        assert!(
            (found.cost - case.total.unwrap()).abs() < 1e-12,
            "{:?}: {}",
            case.shape,
            found.cost
        );
        if let (Some(rows), Some(columns)) = (case.rows, case.columns) {
            assert_eq!((found.rows, found.columns), (rows, columns), "{:?}", case.shape);
        }
    }
}

/// The least cost of giving every row from `row` on a column that is free.
fn brute_force(cost: &[f64], columns: usize, row: usize, taken: u32) -> f64 {
    if row * columns == cost.len() {
        return 0.0;
    }
    (0..columns)
        .filter(|column| taken & (1 << column) == 0)
        .map(|column| cost[row * columns + column] + brute_force(cost, columns, row + 1, taken | (1 << column)))
        .fold(f64::INFINITY, f64::min)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn linear_assignments_are_the_best(
        (rows, columns, cost) in (1_usize..6, 0_usize..3).prop_flat_map(|(rows, more)| {
            let cost = prop_oneof![4 => -5.0..5.0, 4 => (0_i32..4).prop_map(f64::from), 2 => Just(f64::INFINITY)];
            (Just(rows), Just(rows + more), vec(cost, rows * (rows + more)))
        }),
    ) {
        let expected = brute_force(&cost, columns, 0, 0);
        let transposed: Vec<f64> = (0..rows * columns).map(|k| cost[k % rows * columns + k / rows]).collect();
        for (found, by_row) in [(linear_assignment(&cost, [rows, columns]), true), (linear_assignment(&transposed, [columns, rows]), false)] {
            match found {
                Err(BoxError::Infeasible { .. }) => prop_assert!(expected.is_infinite()),
                Err(other) => prop_assert!(false, "{}", other),
                Ok(found) => {
                    prop_assert!((found.cost - expected).abs() < 1e-9);
                    prop_assert!(found.rows.is_sorted() && found.rows.len() == rows);
                    let mut each = if by_row { found.columns } else { found.rows };
                    each.sort_unstable();
                    each.dedup();
                    prop_assert_eq!(each.len(), rows);
                }
            }
        }
    }
}

#[test]
fn costs_that_cannot_be_are_errors() {
    assert_eq!(
        linear_assignment(&[0.0, 1.0, 2.0, f32::NEG_INFINITY], [2, 2]),
        Err(BoxError::Cost {
            row: 1,
            column: 1,
            found: f64::NEG_INFINITY
        })
    );
    assert!(matches!(
        linear_assignment(&[0.0, f64::NAN], [1, 2]),
        Err(BoxError::Cost { row: 0, column: 1, .. })
    ));
    assert!(linear_assignment(&[0.0; 5], [2, 3]).is_err());
    // Not as much memory as such a matrix would have a side, nor a product that begins again at zero.
    assert!(linear_assignment::<f64>(&[], [1 << 32, usize::MAX]).is_err());
    for shape in [[0, 0], [0, 3], [3, 0], [0, usize::MAX]] {
        assert!(linear_assignment::<f64>(&[], shape).unwrap().rows.is_empty());
    }
}

#[derive(Deserialize)]
struct Case {
    anchors: Vec<[f64; 4]>,
    levels: Vec<usize>,
    priors: Vec<[f64; 3]>,
    predicted: Vec<[f64; 4]>,
    scores: Vec<f64>,
    targets: Vec<[f64; 4]>,
    classes: Vec<u32>,
    max_iou: Vec<i32>,
    atss: Vec<i32>,
    sim_ota: Vec<i32>,
    task_aligned: Vec<i32>,
    aligned_scores: Vec<f64>,
}

fn numbers(labels: &[Label]) -> Vec<i32> {
    let number = |label: &Label| match *label {
        Label::Background => -1,
        Label::Ignored => -2,
        Label::Target(target) => target as i32,
    };
    labels.iter().map(number).collect()
}

fn view(boxes: &[[f64; 4]]) -> Boxes<'_, f64> {
    Boxes::rows(boxes, Format::Xyxy)
}

#[test]
fn labels_are_those_of_whole_matrices() {
    let case: Case = fixture("assign.json");
    let (anchors, targets) = (view(&case.anchors), view(&case.targets));
    assert_eq!(
        numbers(&max_iou(anchors, targets, &MaxIou::default()).labels),
        case.max_iou
    );
    assert_eq!(
        numbers(&atss(anchors, &case.levels, targets, 9).unwrap().labels),
        case.atss
    );
    let predicted = view(&case.predicted);
    let found = sim_ota(
        &case.priors,
        predicted,
        &case.scores,
        targets,
        &case.classes,
        &SimOta::default(),
    )
    .unwrap();
    assert_eq!(numbers(&found.labels), case.sim_ota);
    let rule = TaskAligned::default();
    let found = task_aligned(anchors, predicted, &case.scores, targets, &case.classes, &rule).unwrap();
    assert_eq!(numbers(&found.labels), case.task_aligned);
    for (found, expected) in found.scores.iter().zip(&case.aligned_scores) {
        assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
    }
}

#[test]
fn without_targets_everything_is_background() {
    let anchors = [[0.0, 0.0, 4.0, 4.0], [f64::NAN; 4]];
    let (anchors, none) = (view(&anchors), view(&[]));
    let background = [Label::Background; 2];
    assert_eq!(max_iou(anchors, none, &MaxIou::default()).labels, background);
    assert_eq!(atss(anchors, &[2], none, 9).unwrap().labels, background);
    let priors = [[2.0, 2.0, 4.0]; 2];
    assert_eq!(
        sim_ota(&priors, anchors, &[0.5; 4], none, &[], &SimOta::default())
            .unwrap()
            .labels,
        background
    );
    let found = task_aligned(anchors, anchors, &[0.5; 4], none, &[], &TaskAligned::default()).unwrap();
    assert_eq!((found.labels, found.scores), (background.to_vec(), vec![0.0; 2]));
}

#[test]
fn a_target_that_meets_no_anchor_gets_none() {
    let (anchors, target) = ([[0.0, 0.0, 4.0, 4.0], [4.0, 0.0, 8.0, 4.0]], [[90.0, 90.0, 95.0, 95.0]]);
    let found = max_iou(view(&anchors), view(&target), &MaxIou::default());
    assert_eq!(found.labels, [Label::Background; 2]);
}

#[test]
fn wrong_classes_and_lengths_are_errors() {
    let (boxes, rule) = ([[0.0, 0.0, 4.0, 4.0]; 2], TaskAligned::default());
    let target = view(&boxes[..1]);
    assert!(task_aligned(view(&boxes), view(&boxes), &[0.5; 4], target, &[2], &rule).is_err());
    assert!(task_aligned(view(&boxes), view(&boxes), &[0.5; 5], target, &[0], &rule).is_err());
    assert!(task_aligned(view(&boxes), view(&boxes), &[0.5; 4], target, &[], &rule).is_err());
    assert!(sim_ota(&[[0.0; 3]], view(&boxes), &[0.5; 4], target, &[0], &SimOta::default()).is_err());
    assert!(atss(view(&boxes), &[1], target, 9).is_err());
    for (alpha, beta) in [(-1.0, 6.0), (1.0, -1.0), (f64::NAN, 6.0)] {
        let rule = TaskAligned { alpha, beta, ..rule };
        assert!(task_aligned(view(&boxes), view(&boxes), &[0.5; 2], target, &[0], &rule).is_err());
    }
    assert!(atss(view(&boxes), &[usize::MAX, 3], target, 9).is_err());
    // Whatever a score is, what is learnt from it is a number.
    let found = task_aligned(
        view(&boxes),
        view(&boxes),
        &[f64::INFINITY, f64::NAN],
        target,
        &[0],
        &rule,
    )
    .unwrap();
    assert_eq!((found.labels[0], found.scores), (Label::Target(0), vec![1.0, 0.0]));
}

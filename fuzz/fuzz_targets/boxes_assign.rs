//! Linear assignment, by brute force, and the assigners of detectors.

#![no_main]

use etude_boxes::assign::{
    Label, MaxIou, SimOta, TaskAligned, atss, linear_assignment, max_iou, sim_ota, task_aligned,
};
use etude_boxes::{BoxError, Boxes, Float};
use etude_fuzz::input::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    match input.below(4) {
        0 => linear::<f64>(&mut input),
        1 => linear::<f32>(&mut input),
        2 => labels::<f64>(&mut input),
        _ => labels::<f32>(&mut input),
    }
});

fn linear<T: Float>(input: &mut Input<'_>) {
    let (rows, columns) = (input.below(6), input.below(6));
    let cost = input.numbers::<T>(rows * columns);
    let wide: Vec<f64> = cost.iter().map(|cost| cost.to_64()).collect();
    let sound = wide.iter().all(|cost| cost.abs() <= 1e300 || *cost == f64::INFINITY);
    let at = |row: usize, column: usize| wide[row * columns + column];
    let least = if rows <= columns {
        brute_force(&at, rows, columns, 0, 0)
    } else {
        brute_force(&|row, column| at(column, row), columns, rows, 0, 0)
    };
    match linear_assignment(&cost, [rows, columns]) {
        Ok(found) => {
            let count = rows.min(columns);
            assert!(sound && found.rows.len() == count && found.columns.len() == count);
            assert!(found.rows.is_sorted_by(|a, b| a < b));
            let mut each = found.columns.clone();
            each.sort_unstable();
            assert!(each.is_sorted_by(|a, b| a < b) && each.iter().all(|&column| (column as usize) < columns));
            let pairs = found.rows.iter().zip(&found.columns);
            let sum: f64 = pairs.map(|(&row, &column)| at(row as usize, column as usize)).sum();
            let finite = wide.iter().filter(|cost| cost.is_finite());
            let size = finite.fold(0.0, |size: f64, cost| size.max(cost.abs()));
            let near = |other: f64| (found.cost - other).abs() <= 1e-12 * size;
            assert!(near(sum) && near(least), "{wide:?}: {found:?}, {sum}, least {least}");
        }
        Err(BoxError::Infeasible { .. }) => assert!(sound && least == f64::INFINITY, "{wide:?}, least {least}"),
        Err(BoxError::Cost { row, column, .. }) => assert!(!sound && !(at(row, column).abs() <= 1e300)),
        Err(other) => panic!("{other}"),
    }
    assert!(linear_assignment(&cost, [rows, columns + 1]).is_err() || rows == 0);
}

/// The least cost of giving each row from `row` on a free column.
fn brute_force(cost: &impl Fn(usize, usize) -> f64, rows: usize, columns: usize, row: usize, taken: u32) -> f64 {
    if row == rows {
        return 0.0;
    }
    (0..columns)
        .filter(|column| taken & (1 << column) == 0)
        .map(|column| cost(row, column) + brute_force(cost, rows, columns, row + 1, taken | (1 << column)))
        .fold(f64::INFINITY, f64::min)
}

fn labels<T: Float>(input: &mut Input<'_>) {
    let (format, anchors, targets, width) = (input.format(), input.below(10), input.below(5), 1 + input.below(3));
    let counts = [input.below(4) as usize, input.below(4) as usize];
    let anchor_rows = input.rows::<T, 4>(anchors);
    let predicted = input.rows::<T, 4>(anchors);
    let target_rows = input.rows::<T, 4>(targets);
    let priors = input.rows::<T, 3>(anchors);
    let scores = input.numbers::<T>(anchors * width);
    let classes: Vec<u32> = (0..targets).map(|_| input.below(width as u8) as u32).collect();
    let view = |rows| Boxes::rows(rows, format);
    let (boxes, goals) = (view(&anchor_rows), view(&target_rows));
    let check = |labels: &[Label], ious: &[T]| {
        assert_eq!((labels.len(), ious.len()), (anchors, anchors));
        for (label, iou) in labels.iter().zip(ious) {
            assert!(*iou >= T::zero() && *iou <= T::one(), "{label:?}: {iou}");
            assert!(
                !matches!(label, Label::Target(target) if *target as usize >= targets),
                "{label:?}"
            );
            assert!(targets > 0 || *iou == T::zero());
        }
    };
    let rule = MaxIou {
        positive: input.setting(0.5),
        negative: input.setting(0.4),
        low_quality: input.flag().then(|| input.setting(0.0)),
    };
    let found = max_iou(boxes, goals, &rule);
    check(&found.labels, &found.ious);

    let first = counts[0].min(anchors);
    let found = atss(boxes, &[first, anchors - first], goals, counts[1]).expect("levels add up");
    check(&found.labels, &found.ious);
    assert!(!found.labels.contains(&Label::Ignored));
    assert!(atss(boxes, &[anchors, 1], goals, 9).is_err());

    let rule = SimOta {
        radius: input.setting(2.5),
        candidates: counts[0],
        iou_weight: input.setting(3.0),
    };
    if let Ok(found) = sim_ota(&priors, view(&predicted), &scores, goals, &classes, &rule) {
        check(&found.labels, &found.ious);
        assert!(!found.labels.contains(&Label::Ignored));
    }

    let rule = TaskAligned {
        alpha: input.setting(1.0),
        beta: input.setting(6.0),
        count: counts[1],
    };
    if let Ok(found) = task_aligned(boxes, view(&predicted), &scores, goals, &classes, &rule) {
        check(&found.labels, &found.ious);
        for (label, score) in found.labels.iter().zip(&found.scores) {
            let background = *label == Label::Background;
            assert!(*score >= T::zero() && *score <= T::one(), "{label:?}: {score}");
            assert!(!background || *score == T::zero(), "{label:?}: {score}");
        }
    }
}

//! Rotated boxes: views, rectangles, both metrics in all ways.

#![no_main]

use etude_boxes::Float;
use etude_boxes::rotated::{
    AngleConvention, AngleUnit, Direction, ProbIou, RotatedBoxes, RotatedIou, RotatedMetric, elementwise,
    loss_and_gradient, pairwise,
};
use etude_fuzz::input::{Input, columns};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    match input.below(4) {
        0 => check::<f32>(&mut input, RotatedIou),
        1 => check::<f32>(&mut input, ProbIou),
        2 => check::<f64>(&mut input, RotatedIou),
        _ => check::<f64>(&mut input, ProbIou),
    }
});

fn convention(input: &mut Input<'_>) -> AngleConvention {
    AngleConvention {
        unit: [AngleUnit::Radians, AngleUnit::Degrees][input.below(2)],
        direction: [Direction::Clockwise, Direction::CounterClockwise][input.below(2)],
    }
}

fn check<T: Float>(input: &mut Input<'_>, metric: impl RotatedMetric) {
    let (first, second) = (convention(input), convention(input));
    let count = 1 + input.below(3);
    let (p_rows, mut g_rows) = (input.rows::<T, 5>(count), input.rows::<T, 5>(count));
    if input.flag() {
        g_rows[0] = p_rows[0];
    }
    let (p, g) = (RotatedBoxes::rows(&p_rows, first), RotatedBoxes::rows(&g_rows, second));
    let by_column = columns(&g_rows);
    let by_column = RotatedBoxes::columns(by_column.each_ref().map(Vec::as_slice), second).expect("equally long");
    let (mut values, mut matrix) = (vec![T::nan(); count], vec![T::nan(); count * count]);
    let (mut losses, mut gradients) = (vec![T::nan(); count], vec![[T::nan(); 5]; count]);
    elementwise(&metric, p, g, &mut values).expect("there is room");
    pairwise(&metric, p, by_column, &mut matrix).expect("there is room");
    loss_and_gradient(&metric, p, g, &mut losses, &mut gradients).expect("there is room");
    let unit = T::zero()..=T::one();
    assert!(
        matrix.iter().all(|value| unit.contains(value)),
        "{p_rows:?}, {g_rows:?}: {matrix:?}"
    );
    for index in 0..count {
        let (value, loss, gradient) = (values[index], losses[index], gradients[index]);
        let pair = (p_rows[index], g_rows[index]);
        assert!(
            unit.contains(&value) && value == matrix[index * count + index],
            "{pair:?}: {value}"
        );
        assert!(
            (loss - (T::one() - value)).abs() <= T::epsilon(),
            "{pair:?}: {loss}, {value}"
        );
        assert!(gradient.iter().all(|slope| slope.is_finite()), "{pair:?}: {gradient:?}");
        let (p, g) = (p.rectangle(index), g.rectangle(index));
        assert!(
            p.holds && g.holds || value == T::zero() && gradient == [T::zero(); 5],
            "{pair:?}: {value}"
        );
        let reversed = T::of(metric.value(&g, &p));
        // Whoever is cut: rounding grows with how far boxes are from each other, in parts of their sides.
        let moderate = [p, g].iter().all(|one| {
            one.size.iter().all(|side| (1e-2..1e2).contains(side)) && one.centre.iter().all(|x| x.abs() < 1e3)
        });
        assert!(
            !moderate || (reversed - value).abs() <= T::of(1e-6),
            "{pair:?}: {value}, {reversed}"
        );
        for one in [p, g] {
            let [x1, y1, x2, y2] = one.bounding_box();
            assert!(
                one.area() >= 0.0 && one.area().is_finite() && x1 <= x2 && y1 <= y2,
                "{one:?}"
            );
            let slack = 1e-9 * (x1.abs() + y1.abs() + x2.abs() + y2.abs());
            for [x, y] in one.corners() {
                let inside = x >= x1 - slack && x <= x2 + slack && y >= y1 - slack && y <= y2 + slack;
                assert!(inside, "{one:?}: {x}, {y}");
            }
        }
    }
    assert!(RotatedBoxes::flat(&p_rows.as_flattened()[1..], first).is_err());
}

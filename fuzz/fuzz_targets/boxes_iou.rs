//! Upright boxes: views, formats, what is done with boxes one by one, and any metric of the IoU family.

#![no_main]

use std::fmt::Debug;

use etude_boxes::iou::{
    Ciou, Diou, Eiou, Giou, Iou, Metric, RunningMean, Siou, elementwise, loss_and_gradient, pairwise,
};
use etude_boxes::{Boxes, Float, Format, Validity, area, clip, convert, scale, validity};
use etude_fuzz::input::{Input, by_columns, columns};
use etude_fuzz::metric::{Visitor, visit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    match input.below(8) {
        0 => one_by_one::<f32>(&mut input),
        1 => one_by_one::<f64>(&mut input),
        2 => running_mean(&mut input),
        kind if kind % 2 == 0 => pairs::<f32>(&mut input),
        _ => pairs::<f64>(&mut input),
    }
});

/// Formats, clipping, scaling, area, validity.
fn one_by_one<T: Float>(input: &mut Input<'_>) {
    let (format, other, count) = (input.format(), input.format(), input.below(4));
    let [size, factors] = [0; 2].map(|_| [0; 2].map(|_| T::of(input.number())));
    let rows = input.rows::<T, 4>(count);
    let boxes = Boxes::rows(&rows, format);
    assert_eq!(
        (boxes.len(), boxes.is_empty(), boxes.format()),
        (count, count == 0, format)
    );
    let mut kinds = vec![Validity::Empty; count];
    let (mut areas, mut converted) = (vec![T::nan(); count], vec![[T::nan(); 4]; count]);
    validity(boxes, &mut kinds).expect("there is room");
    area(boxes, &mut areas).expect("there is room");
    convert(boxes, other, &mut converted).expect("there is room");
    for (index, corners) in boxes.iter().enumerate() {
        assert_eq!(kinds[index], Validity::of(corners));
        let area = areas[index];
        assert!(area >= T::zero() && area.is_finite(), "{corners:?}: area {area}");
        assert!(
            kinds[index] == Validity::Proper || area == T::zero(),
            "{corners:?}: area {area}"
        );
        let finite = kinds[index] != Validity::NotFinite;
        assert!(
            !finite || converted[index].iter().all(|number| number.is_finite()),
            "{corners:?}"
        );
    }
    clip(boxes, size, &mut converted).expect("there is room");
    if format == Format::Xyxy && size.iter().all(|side| *side >= T::zero()) {
        for (clipped, corners) in converted.iter().zip(boxes.iter()) {
            for (axis, corner) in clipped.iter().enumerate() {
                let inside = *corner >= T::zero() && *corner <= size[axis % 2];
                assert!(inside || corners[axis].is_nan(), "{corners:?} in {size:?}: {clipped:?}");
            }
        }
    }
    scale(boxes, factors, &mut converted).expect("there is room");
    // A wrong length is an error, and flat numbers are boxes only by fours.
    assert!(area(boxes, &mut vec![T::zero(); count + 1]).is_err());
    let flat = rows.as_flattened();
    assert_eq!(
        Boxes::flat(&flat[..flat.len() - flat.len().min(1)], format).is_err(),
        count > 0
    );
}

fn running_mean(input: &mut Input<'_>) {
    let mut mean = RunningMean::new(input.below(255) as u32);
    for _ in 0..input.below(20) {
        mean.update(input.number());
        assert!((0.0..=1.0).contains(&mean.value()), "{mean:?}");
    }
}

/// Any metric, in all ways; and what the plain ones promise.
fn pairs<T: Float>(input: &mut Input<'_>) {
    let formats = [input.format(), input.format()];
    let count = 1 + input.below(3);
    let (mut p, mut g) = (input.rows::<T, 4>(count), input.rows::<T, 4>(count));
    if input.flag() {
        // The same box twice, and one that stands on its head.
        g[0] = p[0];
        let [a, b, c, d] = p[0];
        p.push([c, b, a, d]);
        g.push([c, d, a, b]);
    }
    let (p, g) = (Boxes::rows(&p, formats[0]), Boxes::rows(&g, formats[1]));
    visit(input, Check { p, g });
    for index in 0..p.len() {
        let (p, g) = (p.corners(index), g.corners(index));
        symmetric(Iou::default(), p, g);
        symmetric(Giou::default(), p, g);
        symmetric(Diou::default(), p, g);
        symmetric(Ciou::default(), p, g);
        symmetric(Eiou::default(), p, g);
        symmetric(Siou::default(), p, g);
        let (iou, diou, ciou) = (
            Iou::default().of(p, g),
            Diou::default().of(p, g),
            Ciou::default().of(p, g),
        );
        assert!(
            ciou <= diou && diou <= iou && iou <= T::one(),
            "{p:?}, {g:?}: {ciou}, {diou}, {iou}"
        );
        let perfect = Iou::default().of(p, p);
        let proper = Validity::of(p) == Validity::Proper;
        assert!(
            perfect == T::one() || perfect == T::zero(),
            "{p:?} with itself: {perfect}"
        );
        assert!(proper || perfect == T::zero(), "{p:?} with itself: {perfect}");
    }
}

fn symmetric<T: Float>(metric: impl Metric<T>, p: [T; 4], g: [T; 4]) {
    let (here, there) = (metric.of(p, g), metric.of(g, p));
    assert!(here == there, "{p:?}, {g:?}: {here} and {there}");
}

struct Check<'a, T> {
    p: Boxes<'a, T>,
    g: Boxes<'a, T>,
}

impl<T: Float> Visitor<T> for Check<'_, T> {
    fn visit(self, metric: impl Metric<T> + Debug, largest: Option<f64>) {
        let Self { p, g } = self;
        let count = p.len();
        let (mut values, mut matrix) = (vec![T::nan(); count], vec![T::nan(); count * count]);
        let (mut losses, mut gradients) = (vec![T::nan(); count], vec![[T::nan(); 4]; count]);
        elementwise(&metric, p, g, &mut values).expect("there is room");
        let numbers: Vec<[T; 4]> = (0..count).map(|index| g.get(index)).collect();
        pairwise(&metric, p, by_columns(&columns(&numbers), g.format()), &mut matrix).expect("there is room");
        loss_and_gradient(&metric, p, g, &mut losses, &mut gradients).expect("there is room");
        assert!(pairwise(&metric, p, g, &mut values[1..]).is_err());
        let least = metric.least();
        let slack = T::epsilon().sqrt();
        for index in 0..count {
            let (p, g) = (p.corners(index), g.corners(index));
            let (value, loss, gradient) = (values[index], losses[index], gradients[index]);
            assert!(
                value.is_finite() && loss.is_finite(),
                "{metric:?} of {p:?}, {g:?}: {value}, {loss}"
            );
            assert!(
                gradient.iter().all(|slope| slope.is_finite()),
                "{metric:?} of {p:?}, {g:?}: {gradient:?}"
            );
            same(matrix[index * count + index], value, &metric);
            same(loss, T::one() - value, &metric);
            if [p, g].map(Validity::of).contains(&Validity::NotFinite) {
                assert!(
                    value == least && gradient == [T::zero(); 4],
                    "{metric:?} of {p:?}, {g:?}: {value}, {gradient:?}"
                );
            }
            if let Some(largest) = largest {
                let bounds = least - slack * (T::one() + least.abs())..=T::of(largest) + slack;
                assert!(
                    bounds.contains(&value),
                    "{metric:?} of {p:?}, {g:?}: {value}, not in {bounds:?}"
                );
            }
        }
        assert!(matrix.iter().all(|value| value.is_finite()), "{matrix:?}");
    }
}

/// Equal but for rounding.
fn same<T: Float>(a: T, b: T, metric: &impl Debug) {
    assert!(
        (a - b).abs() <= T::of(16.0) * T::epsilon() * (T::one() + a.abs()),
        "{metric:?}: {a} and {b}"
    );
}

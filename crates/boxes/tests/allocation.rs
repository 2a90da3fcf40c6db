//! No memory is allocated for a pair: four times as many take no more allocations.

mod common;

use allocation_counter::measure;
use common::{Visitor, pairs, visit_metrics};
use etude_boxes::iou::{Metric, elementwise, loss_and_gradient, pairwise};
use etude_boxes::rotated::{self, AngleConvention, ProbIou, RotatedBoxes, RotatedIou, RotatedMetric};
use etude_boxes::{Boxes, Float, Format};

/// What a call may allocate: the parts that threads share, and the blocks of one side.
const FEW: u64 = 8;

/// Allocations of calls with so many boxes, and with four times as many, on one thread, where all of them are counted.
fn check(name: &str, few: usize, call: impl Fn(usize) -> u64 + Sync) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let [fewer, more] = pool.install(|| {
        // The first call of a thread also makes what the thread needs.
        call(few);
        [call(few), call(4 * few)]
    });
    assert!(
        more <= fewer && fewer <= FEW,
        "{name}: {fewer} allocations, then {more}"
    );
}

struct Counted;

impl Visitor for Counted {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        upright::<f64, M>(name, metric);
        upright::<f32, M>(name, metric);
    }
}

fn upright<T: Float, M: Metric<T>>(name: &str, metric: M) {
    let (p, g) = pairs(1 << 17);
    let [p, g] = [p, g].map(|boxes| boxes.iter().map(|one| one.map(T::of)).collect::<Vec<_>>());
    let view = |boxes: &'static [[T; 4]]| Boxes::rows(boxes, Format::Cxcywh);
    let (p, g): (&'static [_], &'static [_]) = (p.leak(), g.leak());
    check(name, 1 << 15, |count| {
        let mut values = vec![T::zero(); count];
        measure(|| elementwise(&metric, view(&p[..count]), view(&g[..count]), &mut values).unwrap()).count_total
    });
    check(name, 1 << 15, |count| {
        let (mut losses, mut gradients) = (vec![T::zero(); count], vec![[T::zero(); 4]; count]);
        let (p, g) = (view(&p[..count]), view(&g[..count]));
        measure(|| loss_and_gradient(&metric, p, g, &mut losses, &mut gradients).unwrap()).count_total
    });
    check(name, 1 << 8, |count| {
        let mut values = vec![T::zero(); count * 500];
        measure(|| pairwise(&metric, view(&p[..count]), view(&g[..500]), &mut values).unwrap()).count_total
    });
}

fn turned(name: &str, metric: impl RotatedMetric) {
    let boxes: Vec<[f64; 5]> = (0..1 << 13)
        .map(|k| [f64::from(k % 97), f64::from(k % 89), 30.0, 20.0, f64::from(k)])
        .collect();
    let view = |count: usize| RotatedBoxes::rows(&boxes[..count], AngleConvention::MMCV);
    let target = |count: usize| RotatedBoxes::rows(&boxes[boxes.len() - count..], AngleConvention::MMCV);
    check(name, 1 << 11, |count| {
        let mut values = vec![0.0; count];
        measure(|| rotated::elementwise(&metric, view(count), target(count), &mut values).unwrap()).count_total
    });
    check(name, 1 << 11, |count| {
        let (mut losses, mut gradients) = (vec![0.0; count], vec![[0.0; 5]; count]);
        let (p, g) = (view(count), target(count));
        measure(|| rotated::loss_and_gradient(&metric, p, g, &mut losses, &mut gradients).unwrap()).count_total
    });
    check(name, 1 << 6, |count| {
        let mut values = vec![0.0; count * 100];
        measure(|| rotated::pairwise(&metric, view(count), target(100), &mut values).unwrap()).count_total
    });
}

#[test]
fn no_pair_takes_memory() {
    visit_metrics(&mut Counted);
    turned("rotated IoU", RotatedIou);
    turned("ProbIoU", ProbIou);
}

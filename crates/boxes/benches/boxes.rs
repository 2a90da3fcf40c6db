//! How long boxes take: `cargo bench -p etude-boxes -- 'nms|giou'` chooses among them.
//!
//! Rayon's threads are as many as `RAYON_NUM_THREADS` says.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etude_boxes::assign::linear_assignment;
use etude_boxes::iou::{
    AlphaIou, BoundedIou, Ciou, Diou, Eiou, FocalEiou, Giou, InnerIou, Iou, Metric, Mpdiou, ShapeIou, Siou, Wiou,
    loss_and_gradient, pairwise,
};
use etude_boxes::nms::{SoftDecay, batched_nms, fast_nms, nms, soft_nms};
use etude_boxes::rotated::{AngleConvention, RotatedBoxes, RotatedIou};
use etude_boxes::{Boxes, Format, rotated};

/// Boxes along each side of a matrix, and in a list.
const SIDE: usize = 1000;
const MANY: usize = 100_000;

/// Numbers from 0 to 1, always the same ones.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 40) as f32 / 16_777_216.0
    }

    /// Sides of 1 to 101 in a picture of side 1000.
    fn boxes(&mut self, count: usize) -> Vec<[f32; 4]> {
        let mut one = || {
            let [x, y, w, h] = std::array::from_fn(|_| self.next());
            [x * 1e3, y * 1e3, x * 1e3 + 1.0 + w * 1e2, y * 1e3 + 1.0 + h * 1e2]
        };
        (0..count).map(|_| one()).collect()
    }

    fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn xyxy(boxes: &[[f32; 4]]) -> Boxes<'_, f32> {
    Boxes::rows(boxes, Format::Xyxy)
}

/// All pairs as metric, and as many as a loss with gradient.
fn metric(criterion: &mut Criterion, name: &str, metric: impl Metric<f32>) {
    let mut draw = Draw(0);
    let (a, b) = (draw.boxes(SIDE), draw.boxes(SIDE));
    let mut values = vec![0.0; SIDE * SIDE];
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements((SIDE * SIDE) as u64));
    group.bench_function("pairwise", |bench| {
        bench.iter(|| pairwise(&metric, xyxy(&a), xyxy(&b), &mut values));
    });
    let (p, g) = (draw.boxes(MANY), draw.boxes(MANY));
    let (mut losses, mut gradients) = (vec![0.0; MANY], vec![[0.0; 4]; MANY]);
    group.throughput(Throughput::Elements(MANY as u64));
    group.bench_function("loss and gradient", |bench| {
        bench.iter(|| loss_and_gradient(&metric, xyxy(&p), xyxy(&g), &mut losses, &mut gradients));
    });
}

fn metrics(criterion: &mut Criterion) {
    metric(criterion, "iou", Iou::default());
    metric(criterion, "giou", Giou::default());
    metric(criterion, "diou", Diou::default());
    metric(criterion, "ciou", Ciou::default());
    metric(criterion, "eiou", Eiou::default());
    metric(criterion, "focal_eiou", FocalEiou::default());
    metric(criterion, "alpha_iou", AlphaIou::default());
    metric(criterion, "siou", Siou::default());
    metric(criterion, "wiou", Wiou::default());
    metric(criterion, "mpdiou", Mpdiou::new(640.0, 480.0));
    metric(criterion, "inner_iou", InnerIou::new(0.75));
    metric(criterion, "shape_iou", ShapeIou::default());
    metric(criterion, "bounded_iou", BoundedIou::default());
}

fn rotated_iou(criterion: &mut Criterion) {
    let mut draw = Draw(0);
    let mut boxes = || -> Vec<[f32; 5]> {
        let mut one = || {
            let [x, y, w, h, angle] = std::array::from_fn(|_| draw.next());
            [x * 2e2, y * 2e2, 1.0 + w * 1e2, 1.0 + h * 1e2, angle * 3.0]
        };
        (0..SIDE).map(|_| one()).collect()
    };
    let (a, b) = (boxes(), boxes());
    let view = |boxes| RotatedBoxes::rows(boxes, AngleConvention::MMCV);
    let mut values = vec![0.0; SIDE * SIDE];
    let mut group = criterion.benchmark_group("rotated_iou");
    group.throughput(Throughput::Elements((SIDE * SIDE) as u64));
    group.bench_function("pairwise", |bench| {
        bench.iter(|| rotated::pairwise(&RotatedIou, view(&a), view(&b), &mut values));
    });
}

fn suppression(criterion: &mut Criterion) {
    let mut draw = Draw(0);
    let (boxes, scores) = (draw.boxes(MANY), draw.numbers(MANY));
    let classes: Vec<u32> = draw.numbers(MANY).iter().map(|number| (number * 80.0) as u32).collect();
    let mut group = criterion.benchmark_group("nms");
    group.sample_size(20);
    for count in [MANY / 10, MANY] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("greedy of {count}"), |bench| {
            bench.iter(|| nms(xyxy(&boxes[..count]), &scores[..count], 0.5));
        });
    }
    group.bench_function("batched", |bench| {
        bench.iter(|| batched_nms(xyxy(&boxes), &scores, &classes, 0.5));
    });
    group.bench_function("fast", |bench| {
        bench.iter(|| fast_nms(xyxy(&boxes), &scores, None, 0.5));
    });
    let linear = SoftDecay::Linear { threshold: 0.3 };
    group.bench_function("soft in classes", |bench| {
        bench.iter(|| soft_nms(xyxy(&boxes), &scores, Some(&classes), linear, 0.01));
    });
}

fn assignment(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("linear_assignment");
    for [rows, columns] in [[100, 100], [900, 300]] {
        let costs = Draw(0).numbers(rows * columns);
        group.bench_function(format!("{rows} x {columns}"), |bench| {
            bench.iter(|| linear_assignment(&costs, [rows, columns]));
        });
    }
}

criterion_group!(boxes, metrics, rotated_iou, suppression, assignment);
criterion_main!(boxes);

//! How long norms, rotary embeddings, gated units, linear cross-entropy and AdamW take at the sizes of SmolLM2-135M, for 1,024 tokens:
//! `cargo bench -p etude-kernels --bench fused -- 'norm|gated'` chooses among them.
//!
//! Rayon's threads are as many as `RAYON_NUM_THREADS` says. Bytes a second are of what must be read and written at least.

use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use etude_kernels::Precision;
use etude_kernels::adam_w::{AdamW, Step};
use etude_kernels::gated::{Gate, gated, gated_backward};
use etude_kernels::linear_cross_entropy::Head;
use etude_kernels::norm::{layer_norm, layer_norm_backward, rms_norm, rms_norm_backward};
use etude_kernels::rotary::{RotaryTable, rotate};

const TOKENS: usize = 1024;
const WIDTH: usize = 576;
const INTERMEDIATE: usize = 1536;
const VOCABULARY: usize = 49_152;
const HEADS: usize = 9;

/// Irregular numbers between -1 and 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32)
        .map(|index| {
            (index.wrapping_mul(2_654_435_761).wrapping_add(seed * 40_503) >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// One function that reads and writes as many numbers.
fn sweep(criterion: &mut Criterion, name: &str, numbers: usize, routine: impl FnMut(&mut Bencher<'_>)) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes((numbers * size_of::<f32>()) as u64));
    let mut routine = routine;
    group.bench_function("1024 tokens", |bencher| routine(bencher));
    group.finish();
}

fn norms(criterion: &mut Criterion) {
    let count = TOKENS * WIDTH;
    let [x, dy, mut y] = [1, 2, 3].map(|seed| numbers(count, seed));
    let [weight, bias, mut dweight, mut dbias] = [4, 5, 6, 7].map(|seed| numbers(WIDTH, seed));
    sweep(criterion, "rms_norm", 2 * count, |bencher| {
        bencher.iter(|| rms_norm(&x, &weight, 1e-5, 0.0, &mut y));
    });
    sweep(criterion, "rms_norm_backward", 3 * count, |bencher| {
        bencher.iter(|| rms_norm_backward(&x, &weight, 1e-5, 0.0, &dy, &mut y, &mut dweight));
    });
    sweep(criterion, "layer_norm", 2 * count, |bencher| {
        bencher.iter(|| layer_norm(&x, &weight, &bias, 1e-5, &mut y));
    });
    sweep(criterion, "layer_norm_backward", 3 * count, |bencher| {
        bencher.iter(|| layer_norm_backward(&x, &weight, 1e-5, &dy, &mut y, &mut dweight, &mut dbias));
    });
}

fn rotary(criterion: &mut Criterion) {
    let table = RotaryTable::new(&numbers(WIDTH / HEADS / 2, 1), 1.0, TOKENS);
    let positions: Vec<u32> = (0..TOKENS as u32).collect();
    let mut x = numbers(TOKENS * WIDTH, 2);
    sweep(criterion, "rotate", 2 * TOKENS * WIDTH, |bencher| {
        bencher.iter(|| rotate(&mut x, HEADS, &positions, &table));
    });
}

fn gates(criterion: &mut Criterion) {
    let count = TOKENS * INTERMEDIATE;
    let [gate, up, dy, mut y, mut dgate, mut dup] = [1, 2, 3, 4, 5, 6].map(|seed| numbers(count, seed));
    for (name, kind) in [("swiglu", Gate::Silu), ("geglu", Gate::GeluTanh)] {
        sweep(criterion, name, 3 * count, |bencher| {
            bencher.iter(|| gated(&gate, &up, kind, &mut y));
        });
        sweep(criterion, &format!("{name}_backward"), 5 * count, |bencher| {
            bencher.iter(|| gated_backward(&gate, &up, kind, &dy, &mut dgate, &mut dup));
        });
    }
}

fn adam_w(criterion: &mut Criterion) {
    let count = VOCABULARY * WIDTH;
    let [mut parameters, gradient, mut first] = [1, 2, 3].map(|seed| numbers(count, seed));
    let mut second: Vec<f32> = first.iter().map(|moment| moment.abs()).collect();
    let step = Step {
        number: 10,
        learning_rate: 1e-4,
        gradient_scale: 0.5,
    };
    let mut group = criterion.benchmark_group("adam_w");
    group.throughput(Throughput::Bytes((7 * count * size_of::<f32>()) as u64));
    group.sample_size(10);
    group.bench_function("28 million parameters", |bencher| {
        bencher.iter(|| AdamW::default().step(step, &mut parameters, &gradient, &mut first, &mut second));
    });
    group.finish();
}

fn linear_cross_entropy(criterion: &mut Criterion) {
    let (hidden, weight) = (numbers(TOKENS * WIDTH, 1), numbers(VOCABULARY * WIDTH, 2));
    let targets: Vec<u32> = (0..TOKENS as u32).map(|token| token * 48).collect();
    let weights = vec![1.0 / TOKENS as f32; TOKENS];
    let (mut d_hidden, mut d_weight) = (vec![0.0; hidden.len()], vec![0.0; weight.len()]);
    let mut group = criterion.benchmark_group("linear_cross_entropy");
    group.sample_size(10);
    for precision in [Precision::F32, Precision::Bf16] {
        let head = Head {
            weight: &weight,
            width: WIDTH,
            soft_cap: None,
            precision,
        };
        // A multiplication and an addition count as two operations; with gradients there are three products.
        let operations = 2 * (TOKENS * WIDTH * VOCABULARY) as u64;
        group.throughput(Throughput::Elements(operations));
        group.bench_function(format!("loss, {precision:?}"), |bencher| {
            bencher.iter(|| head.cross_entropy(&hidden, &targets, &weights, &mut []));
        });
        group.throughput(Throughput::Elements(3 * operations));
        group.bench_function(format!("loss and gradients, {precision:?}"), |bencher| {
            bencher.iter(|| {
                let gradients = [&mut d_hidden[..], &mut d_weight].map(Some);
                let [d_hidden, d_weight] = gradients;
                head.cross_entropy_with_gradients(&hidden, &targets, &weights, d_hidden, d_weight, &mut [])
            });
        });
    }
    group.finish();
}

criterion_group!(benches, norms, rotary, gates, adam_w, linear_cross_entropy);
criterion_main!(benches);

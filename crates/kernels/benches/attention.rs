//! How long attention takes: `cargo bench -p etude-kernels --bench attention -- 'training|decode'` chooses among them.
//!
//! Rayon's threads are as many as `RAYON_NUM_THREADS` says. The throughput counts the multiplications and additions of the
//! products alone: two of them forward and five backward.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etude_kernels::attention::{Attention, KeyValueCache};

/// Irregular numbers from -1 to 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Multiplications and additions of one product, causal, `count` queries at the end of `length` tokens.
fn operations(attention: &Attention, count: usize, length: usize) -> u64 {
    let pairs = count * (2 * length - count + 1) / 2;
    (2 * attention.heads * attention.head_size * pairs) as u64
}

/// Training on `sequences` of `length` tokens.
fn training(criterion: &mut Criterion, name: &str, attention: &Attention, sequences: usize, length: usize) {
    let tokens = sequences * length;
    let (all, width) = (
        tokens * attention.heads * attention.head_size,
        tokens * attention.key_value_heads * attention.head_size,
    );
    let offsets: Vec<usize> = (0..=sequences).map(|index| index * length).collect();
    let (queries, d_outputs) = (numbers(all, 1), numbers(all, 2));
    let (keys, values) = (numbers(width, 3), numbers(width, 4));
    let (mut outputs, mut log_sums) = (vec![0.0; all], vec![0.0; tokens * attention.heads]);
    let operations = operations(attention, length, length) * sequences as u64;
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(2 * operations));
    group.bench_function("forward", |bench| {
        bench.iter(|| attention.forward(&queries, &keys, &values, &offsets, &mut outputs, &mut log_sums));
    });
    let (mut dq, mut dk, mut dv) = (vec![0.0; all], vec![0.0; width], vec![0.0; width]);
    group.throughput(Throughput::Elements(5 * operations));
    group.bench_function("backward", |bench| {
        bench.iter(|| {
            attention.backward(
                &queries, &keys, &values, &offsets, &outputs, &log_sums, &d_outputs, &mut dq, &mut dk, &mut dv,
            );
        });
    });
}

/// The last `count` of `length` tokens, in each of some caches.
fn generation(
    criterion: &mut Criterion,
    name: &str,
    attention: &Attention,
    sequences: usize,
    count: usize,
    lengths: &[usize],
) {
    let mut group = criterion.benchmark_group(name);
    for &length in lengths {
        let width = attention.key_value_heads * attention.head_size;
        let mut cache = KeyValueCache::new(attention, length);
        cache.append(&numbers(length * width, 1), &numbers(length * width, 2));
        let caches = vec![cache; sequences];
        let sequences: Vec<_> = caches.iter().map(|cache| (cache, count)).collect();
        let queries = numbers(sequences.len() * count * attention.heads * attention.head_size, 3);
        let mut outputs = vec![0.0; queries.len()];
        group.throughput(Throughput::Elements(
            2 * operations(attention, count, length) * sequences.len() as u64,
        ));
        group.bench_function(format!("{length}"), |bench| {
            bench.iter(|| attention.attend(&queries, &sequences, &mut outputs));
        });
    }
}

/// The sizes of SmolLM2-135M, and of Gemma 3 270M.
fn all(criterion: &mut Criterion) {
    let (small, gemma) = (Attention::new(9, 3, 64), Attention::new(4, 1, 256));
    training(criterion, "training 4 x 256", &small, 4, 256);
    training(criterion, "training 1 x 2048", &small, 1, 2048);
    training(criterion, "training gemma 4 x 256", &gemma, 4, 256);
    generation(criterion, "prefill", &small, 1, 512, &[512]);
    generation(criterion, "prefill gemma", &gemma, 1, 512, &[512]);
    generation(criterion, "decode", &small, 1, 1, &[64, 512, 2048]);
    generation(criterion, "decode gemma", &gemma, 1, 1, &[64, 512, 2048]);
    generation(criterion, "decode 8", &small, 8, 1, &[512]);
}

criterion_group!(benches, all);
criterion_main!(benches);

//! How long products with quantised weights take: `cargo bench -p etude-kernels --bench quantized -- 'Q4_1.*8 rows'` chooses
//! among them.
//!
//! The shapes are those of SmolLM2-135M. Throughput is in products of two numbers; the name has the megabytes of weights.
//! Rayon's threads are as many as `RAYON_NUM_THREADS` says, and stay awake as they do in a decoder.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etude_kernels::perceptron::with_helper;
use etude_kernels::quantized::{BlockType, QuantizedMatrix};

/// Outputs and inputs: queries, keys, up, down.
const SHAPES: [[usize; 2]; 4] = [[576, 576], [192, 576], [1536, 576], [576, 1536]];
const VOCABULARY: [usize; 2] = [49152, 576];

/// Weights and rows that are always the same.
fn draw(block_type: BlockType, [outputs, inputs]: [usize; 2], rows: usize) -> (QuantizedMatrix, Vec<f32>) {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let bytes = outputs * inputs / block_type.block_len() * block_type.block_bytes();
    let mut blocks: Vec<u8> = (0..bytes).map(|_| next()).collect();
    for block in blocks.chunks_exact_mut(block_type.block_bytes()) {
        // The scales are 2^-7 and 2^-5 in half precision.
        let scales: &[u8] = if block_type.block_bytes().is_multiple_of(4) {
            &[0, 0x20, 0, 0x28]
        } else {
            &[0, 0x20]
        };
        let at = if block_type == BlockType::Q6_K {
            block.len() - 2
        } else {
            0
        };
        block[at..at + scales.len()].copy_from_slice(scales);
    }
    let numbers = (0..rows * inputs).map(|_| f32::from(next()) / 128.0 - 1.0).collect();
    (
        QuantizedMatrix::new(block_type, &blocks, outputs, inputs).expect("whole blocks"),
        numbers,
    )
}

fn product(criterion: &mut Criterion, block_type: BlockType, shape: [usize; 2], rows: usize) {
    let (matrix, x) = draw(block_type, shape, rows);
    let mut to = vec![0.0; rows * shape[0]];
    let mut group = criterion.benchmark_group(block_type.to_string());
    group.sample_size(20);
    group.throughput(Throughput::Elements((shape[0] * shape[1] * rows) as u64));
    let megabytes = matrix.bytes() as f64 / 1e6;
    let name = format!("{} x {}, {megabytes:.2} MB, {rows} rows", shape[0], shape[1]);
    group.bench_function(name, |bench| {
        with_helper(|| bench.iter(|| matrix.multiply(&x, &mut to)));
    });
}

/// The types of the shapes that the two models at hand have.
fn layers(criterion: &mut Criterion) {
    for rows in [1, 8, 512] {
        for shape in SHAPES {
            product(criterion, BlockType::Q4_1, shape, rows);
        }
    }
}

fn types(criterion: &mut Criterion) {
    for rows in [1, 8, 512] {
        for block_type in BlockType::ALL {
            product(criterion, block_type, [1024, 1024], rows);
        }
    }
}

fn vocabulary(criterion: &mut Criterion) {
    for rows in [1, 8] {
        product(criterion, BlockType::Q8_0, VOCABULARY, rows);
    }
}

criterion_group!(quantized, layers, types, vocabulary);
criterion_main!(quantized);

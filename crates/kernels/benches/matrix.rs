//! How long matrix products take beside those of the `gemm` crate: `cargo bench -p etude-kernels --bench matrix -- decode`
//! chooses among them.
//!
//! Rayon's threads are as many as `RAYON_NUM_THREADS` says.

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use etude_kernels::Precision;
use etude_kernels::matrix::{Matrix, PackedMatrix, product};

const PRECISIONS: [(&str, Precision); 2] = [("f32", Precision::F32), ("bf16", Precision::Bf16)];

/// Numbers from -1 to 1, always the same ones.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 0u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Rows, inner index, columns, and which of the factors lie column by column.
struct Shape {
    name: &'static str,
    sizes: [usize; 3],
    transposed: [bool; 2],
}

fn shape(name: &'static str, sizes: [usize; 3], transposed: [bool; 2]) -> Shape {
    Shape {
        name,
        sizes,
        transposed,
    }
}

/// A square, and the layers of a language model of 576 channels in a step of 1024 tokens, forward and backward.
fn products(criterion: &mut Criterion) {
    let shapes = [
        shape("square of 1024", [1024, 1024, 1024], [false, false]),
        shape("576 to 576", [1024, 576, 576], [false, true]),
        shape("576 to 192", [1024, 576, 192], [false, true]),
        shape("576 to 1536", [1024, 576, 1536], [false, true]),
        shape("1536 to 576", [1024, 1536, 576], [false, true]),
        shape("576 to 1536, input's slopes", [1024, 1536, 576], [false, false]),
        shape("576 to 1536, weight's slopes", [1536, 1024, 576], [true, false]),
        shape("576 to a sixth of the vocabulary", [1024, 576, 8192], [false, true]),
    ];
    for Shape {
        name,
        sizes: [rows, inner, columns],
        transposed,
    } in shapes
    {
        let (left, right) = (numbers(rows * inner), numbers(inner * columns));
        let view = |entries, rows, columns, transposed| {
            if transposed {
                Matrix::new(entries, columns, rows).transposed()
            } else {
                Matrix::new(entries, rows, columns)
            }
        };
        let mut to = vec![0.0; rows * columns];
        let mut group = criterion.benchmark_group(name);
        // So that elements a second are floating-point operations.
        group.throughput(Throughput::Elements((2 * rows * inner * columns) as u64));
        for (precision_name, precision) in PRECISIONS {
            let left = view(&left, rows, inner, transposed[0]);
            let right = view(&right, inner, columns, transposed[1]);
            group.bench_function(precision_name, |bench| {
                bench.iter(|| product(left, right, precision, &mut to));
            });
        }
        gemm_crate(&mut group, [rows, inner, columns], transposed, &left, &right, &mut to);
    }
}

#[expect(unsafe_code, reason = "the interface of the gemm crate")]
fn gemm_crate(
    group: &mut BenchmarkGroup<'_, WallTime>,
    [rows, inner, columns]: [usize; 3],
    transposed: [bool; 2],
    left: &[f32],
    right: &[f32],
    to: &mut [f32],
) {
    let strides = |rows: usize, columns: usize, transposed: bool| {
        if transposed {
            [1, rows.cast_signed()]
        } else {
            [columns.cast_signed(), 1]
        }
    };
    let [left_row, left_column] = strides(rows, inner, transposed[0]);
    let [right_row, right_column] = strides(inner, columns, transposed[1]);
    let threads = gemm::Parallelism::Rayon(0);
    group.bench_function("the gemm crate's f32", |bench| {
        bench.iter(|| {
            // SAFETY: the strides are those of the three matrices.
            unsafe {
                gemm::gemm(
                    rows,
                    columns,
                    inner,
                    to.as_mut_ptr(),
                    1,
                    columns.cast_signed(),
                    false,
                    left.as_ptr(),
                    left_column,
                    left_row,
                    right.as_ptr(),
                    right_column,
                    right_row,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    threads,
                );
            }
        });
    });
}

/// A few rows times packed weights, which are read once.
fn decode(criterion: &mut Criterion) {
    for (outputs, inputs) in [(1536, 576), (576, 1536), (49152, 576)] {
        let weights = numbers(outputs * inputs);
        for (name, precision) in PRECISIONS {
            let packed = PackedMatrix::new(&weights, outputs, inputs, precision);
            let mut group = criterion.benchmark_group(format!("decode {outputs} from {inputs}, {name}"));
            group.throughput(Throughput::Bytes(packed.bytes() as u64));
            for rows in [1, 2, 4, 8] {
                let x = numbers(rows * inputs);
                let mut to = vec![0.0; rows * outputs];
                group.bench_function(format!("{rows} rows"), |bench| {
                    bench.iter(|| packed.multiply(&x, &mut to));
                });
            }
        }
    }
}

criterion_group!(benches, products, decode);
criterion_main!(benches);

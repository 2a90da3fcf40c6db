//! Steps of training of small networks: forward, the gradient of the mean squared error, backward and Adam.
//!
//! `cargo build --release -p etude-kernels --example kernels_mlp && target/release/examples/kernels_mlp 2` prints, for two
//! threads, one JSON object a line: first the processor's peak, then the networks.
#![expect(clippy::print_stdout, reason = "the script that starts it reads the answer there")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use etude_kernels::perceptron::{Activation, Adam, Mlp, Pass, with_helper};
use etude_train::Seed;
use pulp::{Arch, Simd, WithSimd};
use rand::RngExt;
use rayon::prelude::*;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds, of which the best counts, and seconds of each: short, so that some of them have the machine for themselves.
const ROUNDS: usize = 400;
const SECONDS: f64 = 0.005;

/// Sizes, activation, and rows of a batch.
const NETWORKS: [(&[usize], Activation, usize); 6] = [
    (&[4, 256, 256, 2], Activation::Relu, 64),
    (&[4, 256, 256, 2], Activation::Relu, 128),
    (&[4, 256, 256, 2], Activation::Tanh, 64),
    (&[4, 120, 84, 2], Activation::Relu, 128),
    (&[4, 64, 64, 2], Activation::Tanh, 64),
    (&[17, 400, 300, 6], Activation::Relu, 256),
];

fn main() -> Result<(), Box<dyn Error>> {
    let threads: usize = std::env::args().nth(1).ok_or("expected how many threads")?.parse()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| {
        println!("{}", json!({ "threads": threads, "peak": peak(threads) }));
        for (sizes, activation, batch) in NETWORKS {
            let mut training = Training::new(sizes, activation, batch);
            let step = with_helper(|| best(|| training.step()));
            let acting = best(|| training.act());
            println!(
                "{}",
                json!({ "sizes": sizes, "activation": activation, "batch": batch, "threads": threads,
                    "operations": operations(sizes, batch), "step": step, "acting": acting })
            );
        }
    });
    Ok(())
}

/// Floating-point operations a second of as many threads that multiply and add in registers and do nothing else.
fn peak(threads: usize) -> f64 {
    let arch = Arch::new();
    let seconds = best(|| {
        (0..threads).into_par_iter().for_each(|_| {
            black_box(arch.dispatch(MultiplyAndAdd));
        });
    });
    threads as f64 * MultiplyAndAdd::operations(arch) / seconds
}

struct MultiplyAndAdd;

impl MultiplyAndAdd {
    /// Sums that do not wait for one another, and additions to each.
    const SUMS: usize = 16;
    const ADDITIONS: usize = 2000;

    fn operations(arch: Arch) -> f64 {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;
            fn with_simd<S: Simd>(self, _simd: S) -> usize {
                S::F32_LANES
            }
        }
        2.0 * (Self::SUMS * Self::ADDITIONS * arch.dispatch(Lanes)) as f64
    }
}

impl WithSimd for MultiplyAndAdd {
    type Output = f32;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loop must take on the vector instructions")]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let factor = simd.splat_f32s(black_box(0.999));
        let mut sums = [simd.splat_f32s(1.0); Self::SUMS];
        for _ in 0..Self::ADDITIONS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, factor);
            }
        }
        let mut total = simd.splat_f32s(0.0);
        for sum in sums {
            total = simd.add_f32s(total, sum);
        }
        simd.reduce_sum_f32s(total)
    }
}

/// Operations of the matrix products of one step: forward, and backward by the weights and by the inputs of each layer, of
/// which the first layer's are not asked for. Those that are left out, since they would multiply with zero, count.
fn operations(sizes: &[usize], rows: usize) -> f64 {
    let layers: usize = sizes
        .array_windows()
        .map(|[inputs, outputs]| 3 * inputs * outputs)
        .sum();
    2.0 * rows as f64 * (layers - sizes[0] * sizes[1]) as f64
}

/// Seconds of one call.
fn best(mut call: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (start, mut calls) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < SECONDS {
            call();
            calls += 1;
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(calls));
    }
    best
}

/// A network and a batch that it learns.
struct Training {
    mlp: Mlp,
    adam: Adam,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    pass: Pass,
    output_gradient: Vec<f32>,
    gradient: Vec<f32>,
}

impl Training {
    fn new(sizes: &[usize], activation: Activation, batch: usize) -> Self {
        let mut random = Seed(0).stream("network");
        let mlp = Mlp::new(sizes, activation, &mut random);
        let outputs = batch * sizes[sizes.len() - 1];
        let mut numbers = |count: usize| (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
        Self {
            adam: Adam::new(mlp.parameters().len(), 1e-8),
            inputs: numbers(batch * sizes[0]),
            targets: numbers(outputs),
            pass: Pass::new(&mlp, batch),
            output_gradient: vec![0.0; outputs],
            gradient: vec![0.0; mlp.parameters().len()],
            mlp,
        }
    }

    fn step(&mut self) {
        let count = self.targets.len() as f32;
        let outputs = self.mlp.forward(&self.inputs, &mut self.pass);
        for ((gradient, output), target) in self.output_gradient.iter_mut().zip(outputs).zip(&self.targets) {
            *gradient = 2.0 * (output - target) / count;
        }
        let (gradient, pass) = (&mut self.gradient, &mut self.pass);
        self.mlp.backward(&self.output_gradient, pass, gradient, None);
        self.adam.step(self.mlp.parameters_mut(), &self.gradient, 1.0, 1e-3);
    }

    /// The outputs for one row.
    fn act(&mut self) {
        let row = &self.inputs[..self.mlp.sizes()[0]];
        black_box(self.mlp.forward(row, &mut self.pass));
    }
}

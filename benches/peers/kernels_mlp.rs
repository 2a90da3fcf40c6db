//! Steps of training of small networks: forward, the gradient of the mean squared error, backward and Adam.
//!
//! `cargo build --release -p etude-kernels --example kernels_mlp && target/release/examples/kernels_mlp 2` prints, for two
//! threads, one JSON object a line: first how fast matrices are multiplied where they are large, then the networks.
#![expect(clippy::print_stdout, reason = "the script that starts it reads the answer there")]

use std::error::Error;
use std::time::Instant;

use etude_kernels::{Activation, Adam, Mlp, Pass};
use etude_train::Seed;
use rand::RngExt;
use rayon::prelude::*;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds, of which the best counts, and seconds of each: short, so that some of them have the machine for themselves.
const ROUNDS: usize = 400;
const SECONDS: f64 = 0.005;

/// Sizes, activation, and rows of a batch.
const NETWORKS: [(&[usize], Activation, usize); 5] = [
    (&[4, 256, 256, 2], Activation::Relu, 64),
    (&[4, 256, 256, 2], Activation::Relu, 128),
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
            let step = best(|| training.step());
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

/// Floating-point operations a second of one product of two matrices of 1,024 x 1,024 on each thread, the middle layer of a
/// pass and nearly all of it: what `gemm` reaches where nothing is in its way.
fn peak(threads: usize) -> f64 {
    let size = 1024;
    let mlp = Mlp::new(&[1, size, size, 1], Activation::Relu, &mut Seed(0).stream("network"));
    let inputs = vec![0.5; size];
    let mut passes: Vec<Pass> = (0..threads).map(|_| Pass::new(&mlp, size)).collect();
    let seconds = best(|| {
        passes.par_iter_mut().for_each(|pass| {
            mlp.forward(&inputs, pass);
        });
    });
    threads as f64 * 2.0 * (size as f64).powi(3) / seconds
}

/// Operations of the matrix products of one step: forward, and backward by the weights and by the inputs of each layer, of
/// which the first layer's are not asked for.
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

/// A network and a batch that it learns, in two halves.
struct Training {
    mlp: Mlp,
    adam: Adam,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    halves: [Half; 2],
    acting: Pass,
}

struct Half {
    pass: Pass,
    output_gradient: Vec<f32>,
    gradient: Vec<f32>,
}

impl Training {
    fn new(sizes: &[usize], activation: Activation, batch: usize) -> Self {
        let mut random = Seed(0).stream("network");
        let mlp = Mlp::new(sizes, activation, &mut random);
        let outputs = batch * sizes[sizes.len() - 1];
        let half = || Half {
            pass: Pass::new(&mlp, batch / 2),
            output_gradient: vec![0.0; outputs / 2],
            gradient: vec![0.0; mlp.parameters().len()],
        };
        let mut numbers = |count: usize| (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
        Self {
            adam: Adam::new(mlp.parameters().len(), 1e-8),
            inputs: numbers(batch * sizes[0]),
            targets: numbers(outputs),
            halves: [half(), half()],
            acting: Pass::new(&mlp, 1),
            mlp,
        }
    }

    fn step(&mut self) {
        let (mlp, count) = (&self.mlp, self.targets.len() as f32);
        let differentiate = |half: &mut Half, inputs: &[f32], targets: &[f32]| {
            let outputs = mlp.forward(inputs, &mut half.pass);
            for ((gradient, output), target) in half.output_gradient.iter_mut().zip(outputs).zip(targets) {
                *gradient = 2.0 * (output - target) / count;
            }
            mlp.backward(inputs, &half.output_gradient, &mut half.pass, &mut half.gradient, None);
        };
        let [first, second] = &mut self.halves;
        let inputs = self.inputs.split_at(self.inputs.len() / 2);
        let targets = self.targets.split_at(self.targets.len() / 2);
        rayon::join(
            || differentiate(first, inputs.0, targets.0),
            || differentiate(second, inputs.1, targets.1),
        );
        let gradients = [&*first.gradient, &*second.gradient];
        self.adam.step(self.mlp.parameters_mut(), &gradients, 1.0, 1e-3);
    }

    /// The outputs for one row.
    fn act(&mut self) {
        let row = &self.inputs[..self.mlp.sizes()[0]];
        std::hint::black_box(self.mlp.forward(row, &mut self.acting));
    }
}

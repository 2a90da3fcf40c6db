//! Generation: how many tokens a second are read and written.
//!
//! `cargo build --release -p etude-lm --example lm_generate && target/release/examples/lm_generate MODEL 2` prints, for two threads,
//! one JSON object. `lm_generate.py` starts it.
#![expect(clippy::print_stdout, reason = "the script that starts it reads the answer there")]

use std::error::Error;
use std::time::Instant;

use etude_kernels::Precision;
use etude_kernels::perceptron::with_helper;
use etude_lm::Model;
use etude_lm::engine::{Engine, EngineOptions, Event, Request};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROMPT: usize = 512;
const DECODE: usize = 128;
const BATCH: usize = 8;
const ROUNDS: u64 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("expected a model")?;
    let threads: usize = arguments.next().ok_or("expected how many threads")?.parse()?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let model = Model::open(&path, Precision::F32)?;
    let measured: Result<_, Box<dyn Error + Send + Sync>> = with_helper(|| {
        let rate = |prompt: usize, count: usize, batch: usize| -> Result<f64, etude_lm::LmError> {
            let mut best = 0.0_f64;
            for round in 0..ROUNDS {
                best = best.max(measure(&model, prompt, count, batch, round)?);
            }
            Ok(best)
        };
        Ok(json!({ "prefill": rate(PROMPT, 1, 1)?, "decode": rate(8, DECODE, 1)?, "batch": rate(8, DECODE, BATCH)? }))
    });
    println!("{}", measured.map_err(|error| error.to_string())?);
    Ok(())
}

/// Tokens a second: of the prompt where one token is generated, and of the answers after their first tokens otherwise.
fn measure(model: &Model, prompt: usize, count: usize, batch: usize, seed: u64) -> Result<f64, etude_lm::LmError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut engine = Engine::new(
        &model.decoder,
        EngineOptions {
            max_batch: batch,
            ..EngineOptions::default()
        },
    );
    for _ in 0..batch {
        let tokens = (0..prompt).map(|_| random.random_range(1000..40_000)).collect();
        engine.submit(Request::new(tokens, count))?;
    }
    let start = Instant::now();
    let mut first = None;
    let mut tokens = 0;
    while !engine.is_idle() {
        for event in engine.step()? {
            tokens += usize::from(matches!(event, Event::Token { .. }));
        }
        if tokens >= batch && first.is_none() {
            first = Some((Instant::now(), tokens));
        }
    }
    let (first, before) = first.unwrap_or((start, 0));
    Ok(if count == 1 {
        (prompt * batch) as f64 / (first - start).as_secs_f64()
    } else {
        (tokens - before) as f64 / first.elapsed().as_secs_f64()
    })
}

//! Steps of training of a language model: forward, the cross-entropy of the next tokens, backward and AdamW.
//!
//! `cargo build --release -p etude-lm --example lm_train && target/release/examples/lm_train f32 --threads 2 --steps 4 < sizes.json`
//! prints one JSON object. `lm_train.py` starts it, with the fields of a config.json on standard input.
#![expect(clippy::print_stdout, reason = "the script that starts it reads the answer there")]

use std::error::Error;
use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::Device;
use etude_kernels::Precision;
use etude_kernels::adam_w::AdamW;
use etude_kernels::burn::ModuleAdamW;
use etude_lm::LmError;
use etude_lm::config::DecoderConfig;
use etude_lm::decoder::Decoder;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEQUENCES: usize = 4;
const LENGTH: usize = 256;

/// As the command has it (`keep_freed_memory` in crates/etude/src/main.rs).
fn keep_freed_memory() {
    // SAFETY: it sets a number, before there is another thread.
    #[expect(unsafe_code, reason = "settings of the allocator, which is written in C")]
    unsafe {
        libmimalloc_sys::mi_option_set(15, 60_000);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    keep_freed_memory();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [precision, _, threads, _, steps] = &arguments[..] else {
        return Err("expected a precision, --threads N, --steps N".into());
    };
    let precision = if precision == "bf16" {
        Precision::Bf16
    } else {
        Precision::F32
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    let steps = steps.parse()?;
    let mut fields: serde_json::Value = serde_json::from_reader(std::io::stdin())?;
    fields["model_type"] = json!("llama");
    fields["hidden_act"] = json!("silu");
    let config = DecoderConfig::from_json(&fields)?;
    // On one of the threads that share the work: so none of them waits for a thread that does nothing.
    let (seconds, loss) = pool.install(|| train(config, precision, steps))?;
    println!(
        "{}",
        json!({ "seconds": seconds, "memory": peak_memory()?, "loss": loss })
    );
    Ok(())
}

/// The seconds that the fastest of `steps` steps takes, after two that are not counted, and the loss of the first.
fn train(config: DecoderConfig, precision: Precision, steps: usize) -> Result<(f64, f32), LmError> {
    let vocabulary = config.vocabulary as u32;
    let device = Device::flex().autodiff();
    let mut decoder = Decoder::random(config, 0, &device)?.with_precision(precision);
    let mut adam = ModuleAdamW::new(AdamW::default()).with_decay(|_, _| true);
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let offsets: Vec<usize> = (0..=SEQUENCES).map(|sequence| sequence * LENGTH).collect();
    // The last token of a sequence has none after it.
    let weights: Vec<f32> = (0..SEQUENCES * LENGTH)
        .map(|place| {
            if place % LENGTH == LENGTH - 1 {
                0.0
            } else {
                1.0 / (SEQUENCES * (LENGTH - 1)) as f32
            }
        })
        .collect();
    let (mut best, mut first) = (f64::INFINITY, f32::NAN);
    for step in 0..steps + 2 {
        let tokens: Vec<u32> = (0..SEQUENCES * LENGTH)
            .map(|_| random.random_range(0..vocabulary))
            .collect();
        let targets: Vec<u32> = tokens[1..].iter().copied().chain([0]).collect();
        let start = Instant::now();
        let loss = decoder.loss(decoder.hidden(&tokens, &offsets), &targets, &weights);
        let gradients = GradientsParams::from_grads(loss.backward(), &decoder);
        (decoder, _) = adam.step(decoder, gradients, 1e-4, None);
        if step == 0 {
            first = loss.into_scalar::<f32>();
        }
        if step >= 2 {
            best = best.min(start.elapsed().as_secs_f64());
        }
    }
    Ok((best, first))
}

/// The most bytes of memory that the process has held.
fn peak_memory() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

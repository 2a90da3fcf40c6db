//! Exact planning at scale, on a slippery grid world, stored or not. Four questions, and one Markdown table for each:
//!
//! - `stream`: how long does a Jacobi sweep take beside streaming the model's arrays once through memory?
//! - `memory`: how much memory does a solve take beside those arrays?
//! - `matrix-free`: what is gained where the transitions are not stored?
//! - `ten-million`: does a grid of ten million states solve on this machine?
//!
//! `cargo bench -p etude-mdp --bench mdp_scale -- --side 1000 --large-side 3163 --only stream,memory`
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its tables on standard output and says what it does on standard error"
)]

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::ops::BitXor;
use std::process::{Command, Stdio};
use std::time::Instant;

use etude_mdp::optimal::{Method, SolveOptions, solve};
use etude_mdp::{GridRewards, GridWorld, GridWorldSpec, Mdp, MdpError, Model, silent};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

const QUESTIONS: [&str; 4] = ["stream", "memory", "matrix-free", "ten-million"];
const METHODS: [Method; 2] = [Method::ValueIteration, Method::Auto];
const THREADS: usize = 2;
const DISCOUNT: f64 = 0.99;
const TOLERANCE: f64 = 1e-6;
const MIB: f64 = 1_048_576.0;
const STORED: &str = "stored";
const MATRIX_FREE: &str = "matrix-free";
/// The columns of [`Measurement::costs`].
const COSTS: &str = "method | seconds | iterations | bound | peak, MiB";

/// The best counts: of STREAMS passes, of RUNS runs of SWEEPS sweeps, of RUNS solves that take less than FEW_SECONDS.
const STREAMS: usize = 10;
const RUNS: usize = 3;
const SWEEPS: usize = 64;
const FEW_SECONDS: f64 = 2.0;
/// Elements that one task streams.
const CHUNK: usize = 1 << 16;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build_global()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [first, form, method, side] if first == "measure" => {
            let measurement = Measurement::take(form, method.parse()?, side.parse()?)?;
            println!("{}", serde_json::to_string(&measurement)?);
            Ok(())
        }
        _ => answer(&arguments),
    }
}

/// `cargo bench` passes `--bench`; without it, as in `cargo test --all-targets`, this is a trial on small grids.
fn answer(arguments: &[String]) -> Outcome<()> {
    let mut options: Vec<&str> = arguments.iter().map(String::as_str).collect();
    options.retain(|&option| option != "--bench");
    let trial = options.len() == arguments.len();
    let (mut side, mut large_side): (usize, usize) = if trial { (50, 100) } else { (1000, 3163) };
    let mut asked = QUESTIONS.to_vec();
    for option in options.chunks(2) {
        match *option {
            ["--side", value] => side = value.parse()?,
            ["--large-side", value] => large_side = value.parse()?,
            ["--only", value] => asked = value.split(',').collect(),
            _ => return Err(format!("{option:?}: expected --side N, --large-side N or --only {QUESTIONS:?}").into()),
        }
    }
    eprintln!("{THREADS} threads, gamma {DISCOUNT}, to within {TOLERANCE:e}");
    for question in asked {
        match question {
            "stream" => stream(side)?,
            "memory" => memory(side)?,
            "matrix-free" => matrix_free(side)?,
            "ten-million" => large(large_side)?,
            _ => return Err(format!("--only {question}: expected some of {QUESTIONS:?}").into()),
        }
    }
    Ok(())
}

/// The grid world of `benches/peers`, with forbidden cells of its own: each cell is one with probability a fifth.
fn grid_world(side: usize) -> Result<GridWorld, MdpError> {
    let [row, column] = [3 * side / 5, 2 * side / 5];
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut map = vec![String::with_capacity(side); side];
    for line in &mut map {
        line.extend((0..side).map(|_| if random.random_bool(0.2) { 'x' } else { '.' }));
    }
    map[row].replace_range(column..=column, "T");
    let rewards = GridRewards {
        forbidden: -10.0,
        ..GridRewards::default()
    };
    GridWorld::new(&GridWorldSpec {
        map,
        rewards,
        slip: 0.2,
        ..GridWorldSpec::default()
    })
}

fn stream(side: usize) -> Outcome<()> {
    eprintln!("stream: the arrays of the stored model, then sweeps of value iteration, {side} x {side} cells");
    let model = Mdp::store(&grid_world(side)?)?;
    let (streamed, sweep) = (seconds_to_stream(&model), seconds_of_a_sweep(&model)?);
    let (states, nonzeros, bytes) = (model.states(), model.transitions(), model.bytes() as f64);
    let (speed, ratio) = (1e-9 * bytes / streamed, sweep / streamed);
    let (arrays, streamed, sweep) = (bytes / MIB, 1e3 * streamed, 1e3 * sweep);
    let columns = "states | nonzeros | arrays, MiB | streamed, ms | GB/s | sweep, ms | sweep / streamed | target";
    let row = format!(
        "{states} | {nonzeros} | {arrays:.1} | {streamed:.2} | {speed:.1} | {sweep:.2} | {ratio:.2} | at most 2"
    );
    print_table("A sweep, and the arrays streamed once", columns, &[row]);
    Ok(())
}

fn memory(side: usize) -> Outcome<()> {
    let row = |solve: &Measurement| {
        let (arrays, costs) = (solve.arrays, solve.costs());
        let ratio = solve.peak.map_or(f64::NAN, |peak| peak / arrays);
        format!("{costs} | {arrays:.1} | {ratio:.2} | at most 1.3")
    };
    let rows: Vec<String> = Measurement::by_both(STORED, side)?.iter().map(row).collect();
    let columns = format!("{COSTS} | arrays, MiB | peak / arrays | target");
    print_table("Peak memory, with the model stored", &columns, &rows);
    Ok(())
}

fn matrix_free(side: usize) -> Outcome<()> {
    let stored = Measurement::by_both(STORED, side)?;
    let implicit = Measurement::by_both(MATRIX_FREE, side)?;
    let row = |(before, after): (&Measurement, &Measurement)| {
        let target = if before.method == "auto" { "—" } else { "at least 5" };
        let [sweep_before, sweep_after] = [before, after].map(|solve| 1e3 * solve.seconds / solve.sweeps as f64);
        let versus = |before: f64, after: f64| format!("{before:.3} | {after:.3} | {:.1}", before / after);
        let (sweeps, solves) = (versus(sweep_before, sweep_after), versus(before.seconds, after.seconds));
        format!("{} | {sweeps} | {solves} | {target}", before.method)
    };
    let rows: Vec<String> = stored.iter().zip(&implicit).map(row).collect();
    let columns =
        "method | stored, ms a sweep | matrix-free, ms a sweep | ratio | stored, s | matrix-free, s | ratio | target";
    print_table("The same problem without storing its transitions", columns, &rows);
    Ok(())
}

fn large(side: usize) -> Outcome<()> {
    let solve = Measurement::in_own_process(MATRIX_FREE, Method::Auto, side)?;
    let row = format!("{} | {}", solve.costs(), side * side);
    print_table("A large grid, matrix-free", &format!("{COSTS} | states"), &[row]);
    Ok(())
}

/// Seconds to read once what is as long and of the same types as the arrays of `model`. It is filled with ones: zeros
/// that nobody has written are one and the same page, which a cache holds.
fn seconds_to_stream(model: &Mdp) -> f64 {
    let (states, rows, transitions) = (model.states(), model.rows(), model.transitions());
    let indices = [states + 1, rows + 1, transitions].map(|length| vec![1_u32; length]);
    let numbers = [rows, transitions].map(|length| vec![1.0_f64; length]);
    let stream = |_| {
        let started = Instant::now();
        for array in &indices {
            black_box(fold(array, |&index| index));
        }
        for array in &numbers {
            black_box(fold(array, |&number| number.to_bits()));
        }
        started.elapsed().as_secs_f64()
    };
    (0..STREAMS).map(stream).fold(f64::INFINITY, f64::min)
}

/// All bits of an array folded into one word. Unlike a floating-point sum this may be done in any order, and so with
/// vector instructions that wait for nothing but memory.
fn fold<T: Sync, B: BitXor<Output = B> + Default + Send>(array: &[T], bits: impl Fn(&T) -> B + Sync) -> B {
    let fold_chunk = |chunk: &[T]| chunk.iter().map(&bits).fold(B::default(), B::bitxor);
    array.par_chunks(CHUNK).map(fold_chunk).reduce(B::default, B::bitxor)
}

/// Seconds of one Jacobi sweep by all threads: the average over the sweeps of a run, in the best run. The first sweep,
/// which also takes its pages of memory from the system, does not count.
fn seconds_of_a_sweep(model: &Mdp) -> Outcome<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let mut ends = Vec::with_capacity(SWEEPS + 1);
        let mut on_iteration = |iteration| {
            ends.push(Instant::now());
            silent(iteration)
        };
        let options = options(Method::ValueIteration, SWEEPS + 1);
        let Err(MdpError::NotConverged { .. }) = solve(model, DISCOUNT, &options, &mut on_iteration) else {
            return Err(format!("no run of {SWEEPS} sweeps on this grid; give a greater --side").into());
        };
        best = best.min((ends[SWEEPS] - ends[0]).as_secs_f64() / SWEEPS as f64);
    }
    Ok(best)
}

fn options(method: Method, max_iterations: usize) -> SolveOptions {
    SolveOptions {
        method,
        tolerance: TOLERANCE,
        max_iterations,
    }
}

/// What one solve took, in a process of its own.
#[derive(Serialize, Deserialize)]
struct Measurement {
    method: String,
    /// MiB of the model's arrays; 0 where it is not stored.
    arrays: f64,
    /// The most MiB that the whole process held at a time during the first solve, where that can be measured.
    peak: Option<f64>,
    seconds: f64,
    iterations: usize,
    sweeps: usize,
    bound: f64,
}

impl Measurement {
    fn by_both(form: &str, side: usize) -> Outcome<Vec<Self>> {
        let solve = |method| Self::in_own_process(form, method, side);
        METHODS.into_iter().map(solve).collect()
    }

    fn in_own_process(form: &str, method: Method, side: usize) -> Outcome<Self> {
        eprintln!("solve: {side} x {side} cells, {form}, by {method}");
        let side = side.to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["measure", form, method.name(), side.as_str()]);
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("the process that solves ended with {}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn take(form: &str, method: Method, side: usize) -> Outcome<Self> {
        let grid = grid_world(side)?;
        if form == MATRIX_FREE {
            return Self::of(&grid, 0.0, method);
        }
        let model = Mdp::store(&grid)?;
        drop(grid);
        Self::of(&model, model.bytes() as f64 / MIB, method)
    }

    fn of(model: &impl Model, arrays: f64, method: Method) -> Outcome<Self> {
        let options = options(method, usize::MAX);
        let watched = fs::write("/proc/self/clear_refs", "5").is_ok();
        let solution = solve(model, DISCOUNT, &options, &mut silent)?;
        let mut measurement = Self {
            method: method.to_string(),
            arrays,
            peak: peak_memory().filter(|_| watched),
            seconds: solution.seconds,
            iterations: solution.iterations,
            sweeps: solution.sweeps,
            bound: solution.bound,
        };
        let runs = if measurement.seconds < FEW_SECONDS { RUNS } else { 1 };
        for _ in 1..runs {
            let seconds = solve(model, DISCOUNT, &options, &mut silent)?.seconds;
            measurement.seconds = measurement.seconds.min(seconds);
        }
        Ok(measurement)
    }

    fn costs(&self) -> String {
        let peak = self.peak.map_or("not measured".to_owned(), |peak| format!("{peak:.1}"));
        let (method, seconds, iterations, bound) = (&self.method, self.seconds, self.iterations, self.bound);
        format!("{method} | {seconds:.3} | {iterations} | {bound:.1e} | {peak}")
    }
}

/// The most MiB that were resident since `clear_refs` was written to, where the system keeps such a record: Linux.
fn peak_memory() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

fn print_table(title: &str, columns: &str, rows: &[String]) {
    let rule = "---|".repeat(columns.split('|').count());
    let rows = rows.join(" |\n| ");
    println!("\n### {title}\n\n| {columns} |\n|{rule}\n| {rows} |");
}

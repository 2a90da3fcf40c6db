//! `etude doctor`: what this machine offers, and what is missing.

use std::collections::BTreeSet;
use std::env::{self, consts};
use std::fs;
use std::path::PathBuf;
use std::thread;

use serde::Serialize;

use crate::output::Output;

/// What the doctor found; the fields are the keys of `etude doctor --json`.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    /// `release`, or `debug`, which is many times slower.
    build: &'static str,
    system: String,
    architecture: &'static str,
    devices: Vec<&'static str>,
    cores: Cores,
    simd: &'static str,
    /// Bytes of physical memory, where the system tells.
    memory: Option<u64>,
    allocator: &'static str,
    advice: Vec<Advice>,
}

#[derive(Debug, Serialize)]
struct Cores {
    /// Where the system tells.
    physical: Option<usize>,
    logical: usize,
    /// The threads that a run uses.
    threads: usize,
}

/// Something that is not there, whether that matters, and what to do.
#[derive(Debug, Serialize)]
struct Advice {
    about: &'static str,
    finding: String,
    action: &'static str,
}

/// Prints what the doctor found.
pub(crate) fn run(output: &Output) {
    let findings = examine();
    output.line(&findings.to_text());
    output.result_json(&findings);
}

fn examine() -> Findings {
    let logical = thread::available_parallelism().map_or(1, usize::from);
    Findings {
        version: env!("CARGO_PKG_VERSION"),
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
        system: system(),
        architecture: consts::ARCH,
        devices: vec!["cpu"],
        cores: Cores {
            physical: physical_cores(),
            logical,
            threads: rayon::current_num_threads(),
        },
        simd: simd(),
        memory: memory(),
        allocator: "mimalloc",
        advice: advice(),
    }
}

/// The name of the operating system, as it calls itself.
fn system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| consts::OS.to_owned(), |name| name.trim_matches('"').to_owned())
}

/// Hyper-threads of one core share a line of siblings.
fn physical_cores() -> Option<usize> {
    let processors = fs::read_dir("/sys/devices/system/cpu").ok()?.flatten();
    let siblings =
        processors.filter_map(|cpu| fs::read_to_string(cpu.path().join("topology/thread_siblings_list")).ok());
    Some(siblings.collect::<BTreeSet<_>>().len()).filter(|&cores| cores > 0)
}

/// The best vector instructions of this processor among those that make a difference here.
fn simd() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            "AVX-512F"
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            "AVX2 and FMA"
        } else if is_x86_feature_detected!("sse4.2") {
            "SSE4.2"
        } else {
            "SSE2"
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        if std::arch::is_aarch64_feature_detected!("neon") {
            "NEON"
        } else {
            "none"
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "unknown"
    }
}

/// The bytes of memory that the machine has, where the operating system tells.
pub(crate) fn memory() -> Option<u64> {
    let table = fs::read_to_string("/proc/meminfo").ok()?;
    let total = table.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn advice() -> Vec<Advice> {
    let mut advice = Vec::new();
    if cfg!(debug_assertions) {
        advice.push(Advice {
            about: "build",
            finding: "this is a debug build, many times slower than a release build".into(),
            action: "build it with `cargo build --release`",
        });
    }
    advice.push(Advice {
        about: "GPU",
        finding: "no GPU device is compiled in".into(),
        action: "nothing to do: every system that works today runs on the CPU",
    });
    advice.push(Advice {
        about: "MPI",
        finding: "training on several machines is not compiled in".into(),
        action: "nothing to do: every system that works today runs on one machine",
    });
    let (finding, action) = match chromium() {
        Some(path) => (
            format!("found at {}", path.display()),
            "nothing to do: the test of the reports uses it",
        ),
        None => (
            "not found".into(),
            "nothing to do, unless you work on the reports: their test in a browser is skipped",
        ),
    };
    advice.push(Advice {
        about: "Chromium",
        finding,
        action,
    });
    advice
}

fn chromium() -> Option<PathBuf> {
    const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

impl Findings {
    fn to_text(&self) -> String {
        const UNKNOWN: &str = "unknown";
        let physical = self.cores.physical.map_or(UNKNOWN.into(), |cores| cores.to_string());
        let memory = self.memory.map_or(UNKNOWN.into(), |bytes| {
            format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
        });
        let mut lines = vec![format!("étude {} ({} build)", self.version, self.build), String::new()];
        let mut row = |label: &str, value: &str| lines.push(format!("  {label:<11}{value}"));
        row("system", &format!("{}, {}", self.system, self.architecture));
        row("devices", &self.devices.join(", "));
        row("cores", &format!("{physical} physical, {} logical", self.cores.logical));
        row("threads", &self.cores.threads.to_string());
        row("SIMD", self.simd);
        row("memory", &memory);
        row("allocator", self.allocator);
        lines.push(String::new());
        lines.push("Missing or optional".into());
        for advice in &self.advice {
            lines.push(format!("  {:<11}{}", advice.about, advice.finding));
            lines.push(format!("  {:<11}{}", "", advice.action));
        }
        lines.join("\n")
    }
}

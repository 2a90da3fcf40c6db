//! Peak memory: a model takes its arrays, and making one takes little more. Linux tells the peak of a process.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use etude_mdp::{GridWorld, GridWorldSpec, Mdp, MdpBuilder, Model, Next, TERMINAL, read};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// One test for all, since the peak is that of the process.
#[test]
fn making_a_model_takes_little_more_than_its_arrays() {
    if !start_peak_anew() {
        return; // A sandbox forbids it.
    }
    let grid = GridWorld::new(&GridWorldSpec {
        rows: 600,
        columns: 600,
        slip: 0.2,
        targets: vec![[600, 600]],
        ..GridWorldSpec::default()
    })
    .unwrap();
    let stored = at_most(1.05, || Mdp::store(&grid).unwrap());

    let archives = [transitions(&stored), rewards(&stored)];
    let read = at_most(1.05, || {
        let [transitions, rewards] = &archives;
        let transitions = (Path::new("transitions.npz"), Cursor::new(transitions));
        read::npz::read_from(transitions, (Path::new("rewards.npz"), Cursor::new(rewards))).unwrap()
    });
    assert_eq!(read, stored);
    drop((archives, read));

    // The builder keeps the reward of each transition, lest those of a row differ, and where each row begins.
    let built = at_most(1.9, || {
        let mut builder = MdpBuilder::new(stored.states());
        for (state, action) in pairs(&stored) {
            let reward = stored.reward(state, action as usize);
            stored.successors(state, action as usize, |next, probability| {
                let next = if next == TERMINAL {
                    Next::End
                } else {
                    Next::State(next as usize)
                };
                builder.transition(state, action, next, probability, reward);
            });
        }
        builder.build().unwrap()
    });
    assert_eq!(built.transitions(), stored.transitions());
}

/// Makes a model and checks that meanwhile memory grew by at most so many times the bytes of its arrays.
fn at_most(times: f64, make: impl FnOnce() -> Mdp) -> Mdp {
    assert!(start_peak_anew());
    let before = kibibytes("VmRSS:");
    let model = make();
    let grown = (kibibytes("VmHWM:") - before) * 1024.0;
    let bytes = model.bytes() as f64;
    assert!(
        grown <= times * bytes + MEBIBYTE,
        "{:.1} MiB for a model of {:.1} MiB: {:.2} times",
        grown / MEBIBYTE,
        bytes / MEBIBYTE,
        grown / bytes
    );
    model
}

/// Lets `VmHWM` start from where memory stands.
fn start_peak_anew() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn kibibytes(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn pairs(model: &Mdp) -> impl Iterator<Item = (usize, u32)> {
    (0..model.states()).flat_map(|state| (0..model.actions(state) as u32).map(move |action| (state, action)))
}

fn transitions(model: &Mdp) -> Vec<u8> {
    let (mut starts, mut indices, mut data) = (vec![0_u32], Vec::new(), Vec::new());
    for (state, action) in pairs(model) {
        model.successors(state, action as usize, |next, probability| {
            indices.extend(next.to_le_bytes());
            data.extend(probability.to_le_bytes());
        });
        starts.push((indices.len() / 4) as u32);
    }
    let shape = [model.rows() as u32, model.states() as u32].map(u32::to_le_bytes);
    archive(&[
        ("shape", "<i4", 2, shape.as_flattened()),
        (
            "indptr",
            "<i4",
            starts.len(),
            starts
                .into_iter()
                .map(u32::to_le_bytes)
                .collect::<Vec<_>>()
                .as_flattened(),
        ),
        ("indices", "<i4", indices.len() / 4, &indices),
        ("data", "<f8", data.len() / 8, &data),
    ])
}

fn rewards(model: &Mdp) -> Vec<u8> {
    let rewards: Vec<_> = pairs(model)
        .map(|(state, action)| model.reward(state, action as usize).to_le_bytes())
        .collect();
    archive(&[("rewards", "<f8", rewards.len(), rewards.as_flattened())])
}

/// Arrays by name, with the type and number of their elements, as NumPy saves them.
fn archive(arrays: &[(&str, &str, usize, &[u8])]) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, descr, count, elements) in arrays {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({count},), }}\n");
        zip.start_file(format!("{name}.npy"), stored).unwrap();
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(header.as_bytes()).unwrap();
        zip.write_all(elements).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

//! The arrays of a pair of `.npz` archives, put into archives here, so that no checksum keeps the fuzzer out. Each is
//! preceded by its length in two bytes: the four of the transitions, and one or four of the rewards.

#![no_main]

use std::io::{Cursor, Write};
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const CSR: [&str; 4] = ["indptr", "indices", "data", "shape"];

fuzz_target!(|bytes: &[u8]| {
    let mut arrays = arrays(bytes);
    let rewards = arrays.split_off(arrays.len().min(4));
    let rewards = if rewards.len() == 1 {
        archive(&["rewards"], &rewards)
    } else {
        archive(&CSR, &rewards)
    };
    let transitions = (Path::new("transitions.npz"), archive(&CSR, &arrays));
    if let Ok(mdp) = etude_mdp::read::npz::read_from(transitions, (Path::new("rewards.npz"), rewards)) {
        etude_fuzz::check(&mdp);
    }
});

fn arrays(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut arrays = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = u16::from_le_bytes(*length) as usize;
        let array;
        (array, bytes) = rest.split_at(length.min(rest.len()));
        arrays.push(array);
    }
    arrays
}

fn archive(names: &[&str], arrays: &[&[u8]]) -> Cursor<Vec<u8>> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in names.iter().zip(arrays) {
        zip.start_file(format!("{name}.npy"), stored).expect("names differ");
        zip.write_all(array).expect("memory does not fail");
    }
    zip.finish().expect("memory does not fail")
}

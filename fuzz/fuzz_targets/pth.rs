//! Files of PyTorch. The first byte says how the rest is taken: as the file it is, or as the pickle in an archive with a storage
//! `0` of 16 bytes, so that no checksum keeps the fuzzer out.

#![no_main]

use std::io::{Cursor, Write};
use std::path::Path;

use etude_hub::PthCheckpoint;
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, rest)) = bytes.split_first() else {
        return;
    };
    let file = if kind & 1 == 0 { rest.to_vec() } else { archive(rest) };
    let size = file.len();
    if let Ok(checkpoint) = PthCheckpoint::from_bytes(Path::new("model.pth"), file) {
        etude_fuzz::check_checkpoint(&checkpoint, size);
    }
});

fn archive(pickle: &[u8]) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("a/data.pkl", pickle), ("a/data/0", &[0; 16])] {
        zip.start_file(name, stored).expect("names differ");
        zip.write_all(bytes).expect("memory does not fail");
    }
    zip.finish().expect("memory does not fail").into_inner()
}

//! A pair of `.npz` archives as they lie on the disk: the length of the first in four bytes, and then both.

#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((length, archives)) = bytes.split_first_chunk() else {
        return;
    };
    let length = u32::from_le_bytes(*length) as usize;
    let (transitions, rewards) = archives.split_at(length.min(archives.len()));
    let transitions = (Path::new("transitions.npz"), Cursor::new(transitions));
    let rewards = (Path::new("rewards.npz"), Cursor::new(rewards));
    if let Ok(mdp) = etude_mdp::read::npz::read_from(transitions, rewards) {
        etude_fuzz::check(&mdp);
    }
});

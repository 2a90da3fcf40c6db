//! Gymnasium's `P` as JSON.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mdp) = etude_mdp::read::gymnasium::parse(Path::new("model.json"), bytes) {
        etude_fuzz::check(&mdp);
    }
});

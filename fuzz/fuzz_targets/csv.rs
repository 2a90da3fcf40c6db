//! Models as CSV.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mdp) = etude_mdp::read::csv::parse(Path::new("model.csv"), bytes) {
        etude_fuzz::check(&mdp);
    }
});

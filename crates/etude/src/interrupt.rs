//! Ctrl-C: once to stop in good order, twice to stop at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{CommandError, Context as _};
use crate::output::to_stderr;

/// What a shell reports for a process that SIGINT ended: 128 + 2.
const STOPPED_AT_ONCE: i32 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes the first Ctrl-C (or termination signal) set a flag for [`interrupted`], and the second exit at once with code 130.
///
/// For commands with a long loop that asks [`interrupted`]; without it, the first Ctrl-C ends the process as usual.
///
/// # Errors
/// The operating system refuses the handler, or there is one already.
pub fn install() -> Result<(), CommandError> {
    listen("\nstopping in good order; press Ctrl-C again to stop at once\n")
}

/// As [`install`], for commands in which Ctrl-C ends one part of the work and not all of it: they [`clear`] the flag and go on. A
/// second Ctrl-C before that exits at once.
///
/// # Errors
/// As [`install`].
pub fn catch() -> Result<(), CommandError> {
    listen("")
}

fn listen(note: &'static str) -> Result<(), CommandError> {
    ctrlc::set_handler(move || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(STOPPED_AT_ONCE);
        }
        to_stderr(note);
    })
    .failed_run(|| "cannot listen for Ctrl-C".into())
}

/// Takes the request to stop as done.
pub fn clear() {
    INTERRUPTED.store(false, Ordering::Relaxed);
}

/// Whether the user has asked to stop. Long loops ask once an iteration; it costs one relaxed load.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

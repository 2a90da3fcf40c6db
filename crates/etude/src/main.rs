//! The `etude` command.

use std::process::ExitCode;

/// Large matrix products run nearly twice as fast as with the system allocator (340 against 190 GFLOP/s on two cores),
/// which hands big blocks back to the operating system and fetches them again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_freed_memory();
    etude::run(std::env::args_os())
}

/// A step of training allocates and frees gigabytes, and the next step the same again. The allocator gives what has been free for a second back
/// to the system, which clears it before it hands it out anew: a fifth of a step's time. So it waits for a minute.
fn keep_freed_memory() {
    /// `mi_option_purge_delay`, in milliseconds, which the bindings have no name for.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: it sets a number, before there is another thread.
    #[expect(unsafe_code, reason = "settings of the allocator, which is written in C")]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, 60_000);
    }
}

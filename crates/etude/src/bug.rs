//! What a user sees when étude itself is wrong.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use etude_align::data::PARQUET_THREAD;

use crate::error::CommandError;
use crate::output;

/// Runs `command` and returns its exit code; a panic in it becomes one readable report and the code of a failed run.
///
/// The stack is unwound first, so that temporary files are removed.
pub(crate) fn guard(command: impl FnOnce() -> u8) -> u8 {
    panic::set_hook(Box::new(|panic| {
        // Apache's reader of Parquet panics on damaged files; whoever asked for one is told so by an error.
        if std::thread::current().name() != Some(PARQUET_THREAD) {
            output::report(&report(panic));
        }
    }));
    panic::catch_unwind(AssertUnwindSafe(command)).unwrap_or(1)
}

fn report(panic: &PanicHookInfo<'_>) -> CommandError {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic
        .location()
        .map_or_else(String::new, |place| format!(" (at {place})"));
    CommandError::failed_run("this is a bug in étude, not in your input")
        .because(format!("{message}{place}"))
        .hint("please report it with the command you ran and what `etude doctor` prints")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_panic_becomes_one_report_and_a_failed_run() {
        assert_eq!(guard(|| 0), 0);
        assert_eq!(guard(|| panic!("the sum is {}", 1.5)), 1);

        let seen = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&seen);
        panic::set_hook(Box::new(move |panic| *sink.lock().unwrap() = report(panic).to_string()));
        let _ = panic::catch_unwind(|| panic!("the sum is {}", 1.5));
        let _ = panic::take_hook();
        let text = seen.lock().unwrap().clone();
        assert!(text.starts_with("error: this is a bug in étude"), "{text}");
        assert!(
            text.contains("because: the sum is 1.5 (at crates/etude/src/bug.rs:"),
            "{text}"
        );
    }
}

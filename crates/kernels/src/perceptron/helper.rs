//! A second thread that stays awake.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::Yield;

/// Runs `task` on a thread of the current Rayon pool, while another one, if it has nothing else to do, waits for what `task`
/// shares with it, awake all the time.
///
/// A thread of the pool falls asleep soon after it has run out of work, and has to be woken up. Tasks that share matrix products
/// of some ten microseconds one after another, with pauses between them, have done them alone by then.
pub fn with_helper<R: Send>(task: impl FnOnce() -> R + Send) -> R {
    /// Sets the flag even where the task panics.
    struct Done<'a>(&'a AtomicBool);

    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    let done = AtomicBool::new(false);
    let main = || {
        let _done = Done(&done);
        task()
    };
    let help = || {
        while !done.load(Ordering::Acquire) {
            if rayon::yield_now() != Some(Yield::Executed) {
                spin_loop();
            }
        }
    };
    rayon::join(main, help).0
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn the_result_comes_back_and_a_panic_too() {
        assert_eq!(with_helper(|| rayon::join(|| 1, || 2)), (1, 2));
        assert!(catch_unwind(|| with_helper(|| panic!("in the task"))).is_err());
    }

    #[test]
    fn one_thread_needs_no_helper() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| with_helper(|| 3)), 3);
    }
}

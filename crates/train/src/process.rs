//! Processes that work for this one.

use std::io::{self, Write};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Waits for a process that has been told to end, kills it where it does not within `patience`, and sees that nothing is left of it.
///
/// # Errors
/// What the operating system says.
pub fn end(process: &mut Child, patience: Duration) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(1));
    }
    process.kill()?;
    process.wait()
}

/// How much is kept, in bytes.
const KEPT: usize = 1500;

/// The end of all that is written to it, to be told once the writer is gone. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    /// Whole lines, if there is more than one.
    pub fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let text = match text.split_once('\n') {
            Some((_, whole)) if kept.len() == KEPT && !whole.trim().is_empty() => whole,
            _ => &text,
        };
        text.trim().to_owned()
    }
}

impl Write for LastWords {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let excess = kept.len().saturating_sub(KEPT);
        kept.drain(..excess);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_was_said_is_kept() {
        let mut words = LastWords::default();
        assert_eq!(words.text(), "");
        words.write_all(b"one line\n").unwrap();
        assert_eq!(words.text(), "one line");
        for number in 0..1000 {
            writeln!(words, "line {number}").unwrap();
        }
        let text = words.text();
        assert!(
            text.starts_with("line ") && text.ends_with("line 998\nline 999"),
            "{text}"
        );
        assert!(text.len() > KEPT - 20 && text.len() < KEPT, "{}", text.len());
        words.write_all(&[b'.'; 2 * KEPT]).unwrap();
        assert_eq!(words.text(), ".".repeat(KEPT));
    }
}

//! How a learner says what it is doing, without knowing who listens.

use crate::TrainError;

/// A picture to be shown: a curve, a value map, a detection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// An encoded PNG file.
    Png {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// The whole file, signature included.
        bytes: Vec<u8>,
    },
    /// The text of a complete `<svg>` element.
    Svg(String),
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done, such as "value iteration". A new name begins a new task.
    pub task: &'a str,
    /// How much is done, in the task's own unit: sweeps, steps, episodes.
    pub done: u64,
    /// How much there is to do, in the same unit, where that is known.
    pub total: Option<u64>,
    /// A few words on the present state, such as "residual 3.1e-7"; may be empty.
    pub note: &'a str,
}

/// Receives what a learner reports while it runs.
///
/// A learner takes `&mut dyn Observer` and calls it freely, so every method must be cheap, and none of the
/// reporting ones can fail: an observer that writes keeps its first error and returns it from [`finish`](Self::finish).
/// Every method does nothing by default; an observer implements those it cares about, and `()` cares about none.
///
/// `name` says what is measured, with slashes to group related names (`loss/actor`, `loss/critic`). `step` is the
/// learner's own clock, and does not decrease within one name.
pub trait Observer {
    /// One number. It may be NaN or infinite: a diverging run has to be seen.
    fn scalar(&mut self, name: &str, step: u64, value: f64) {
        let _ = (name, step, value);
    }

    /// The distribution of many numbers, in any order.
    fn histogram(&mut self, name: &str, step: u64, values: &[f64]) {
        let _ = (name, step, values);
    }

    /// A picture.
    fn picture(&mut self, name: &str, step: u64, picture: &Picture) {
        let _ = (name, step, picture);
    }

    /// A piece of prose, such as a sample from a language model.
    fn text(&mut self, name: &str, step: u64, text: &str) {
        let _ = (name, step, text);
    }

    /// How far the present task has come.
    fn progress(&mut self, progress: &Progress<'_>) {
        let _ = progress;
    }

    /// Ends the run: everything reported so far is where it belongs when this returns.
    ///
    /// # Errors
    ///
    /// The first error met in writing, now or in any earlier call.
    fn finish(&mut self) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Nobody is listening.
impl Observer for () {}

/// Lets an observer be lent, so that its owner can read it after the run.
impl<O: Observer + ?Sized> Observer for &mut O {
    fn scalar(&mut self, name: &str, step: u64, value: f64) {
        (**self).scalar(name, step, value);
    }

    fn histogram(&mut self, name: &str, step: u64, values: &[f64]) {
        (**self).histogram(name, step, values);
    }

    fn picture(&mut self, name: &str, step: u64, picture: &Picture) {
        (**self).picture(name, step, picture);
    }

    fn text(&mut self, name: &str, step: u64, text: &str) {
        (**self).text(name, step, text);
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        (**self).progress(progress);
    }

    fn finish(&mut self) -> Result<(), TrainError> {
        (**self).finish()
    }
}

/// Passes everything on to several observers, in the order in which they were given.
pub struct Observers<'a>(Vec<Box<dyn Observer + 'a>>);

impl<'a> Observers<'a> {
    /// Joins `observers`; box a `&mut` observer to read it again once the `Observers` are dropped.
    pub fn new(observers: Vec<Box<dyn Observer + 'a>>) -> Self {
        Self(observers)
    }
}

impl Observer for Observers<'_> {
    fn scalar(&mut self, name: &str, step: u64, value: f64) {
        for observer in &mut self.0 {
            observer.scalar(name, step, value);
        }
    }

    fn histogram(&mut self, name: &str, step: u64, values: &[f64]) {
        for observer in &mut self.0 {
            observer.histogram(name, step, values);
        }
    }

    fn picture(&mut self, name: &str, step: u64, picture: &Picture) {
        for observer in &mut self.0 {
            observer.picture(name, step, picture);
        }
    }

    fn text(&mut self, name: &str, step: u64, text: &str) {
        for observer in &mut self.0 {
            observer.text(name, step, text);
        }
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        for observer in &mut self.0 {
            observer.progress(progress);
        }
    }

    /// Finishes every observer, even after one has failed, and returns the first error.
    fn finish(&mut self) -> Result<(), TrainError> {
        let mut outcome = Ok(());
        for observer in &mut self.0 {
            outcome = outcome.and(observer.finish());
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Writes down each call, and fails to finish if told to.
    #[derive(Default)]
    struct Recorder {
        calls: Vec<String>,
        fails: bool,
    }

    impl Observer for Recorder {
        fn scalar(&mut self, name: &str, step: u64, value: f64) {
            self.calls.push(format!("scalar {name} {step} {value}"));
        }
        fn histogram(&mut self, name: &str, step: u64, values: &[f64]) {
            self.calls.push(format!("histogram {name} {step} {values:?}"));
        }
        fn picture(&mut self, name: &str, step: u64, picture: &Picture) {
            self.calls.push(format!("picture {name} {step} {picture:?}"));
        }
        fn text(&mut self, name: &str, step: u64, text: &str) {
            self.calls.push(format!("text {name} {step} {text}"));
        }
        fn progress(&mut self, progress: &Progress<'_>) {
            self.calls.push(format!("progress {} {}", progress.task, progress.done));
        }
        fn finish(&mut self) -> Result<(), TrainError> {
            self.calls.push("finish".to_owned());
            if self.fails {
                let path = PathBuf::from("first");
                return Err(TrainError::RunExists { path });
            }
            Ok(())
        }
    }

    #[test]
    fn every_call_reaches_every_observer_and_the_first_error_is_returned() {
        let mut failing = Recorder {
            fails: true,
            ..Recorder::default()
        };
        let mut working = Recorder::default();
        let mut observers = Observers::new(vec![Box::new(()), Box::new(&mut failing), Box::new(&mut working)]);
        observers.scalar("a", 1, 0.5);
        observers.histogram("b", 2, &[1.0, 2.0]);
        observers.picture("c", 3, &Picture::Svg("<svg/>".to_owned()));
        observers.text("d", 4, "hello");
        observers.progress(&Progress {
            task: "e",
            done: 5,
            total: None,
            note: "",
        });
        let outcome = observers.finish();
        drop(observers);

        assert!(matches!(outcome, Err(TrainError::RunExists { path }) if path.ends_with("first")));
        assert_eq!(working.calls.len(), 6);
        assert_eq!(failing.calls, working.calls);
        assert_eq!(working.calls[1], "histogram b 2 [1.0, 2.0]");
    }
}

//! Progress bars on standard error, for people who watch a terminal.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::output::Output;

/// A progress bar that leaves no trace once it is finished or dropped.
///
/// Nothing is drawn where standard error is no terminal, or under `--quiet` or `--json`.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar with a `label` that counts to `total`.
    pub fn bar(output: &Output, label: impl Into<Cow<'static, str>>, total: u64) -> Self {
        let style = ProgressStyle::with_template("{prefix} {bar:32} {pos}/{len}  {elapsed}  {wide_msg}");
        Self::new(
            output,
            Some(total),
            style.unwrap_or_else(|_| ProgressStyle::default_bar()),
            label,
        )
    }

    /// A sign of life beside a `label`, for work that cannot tell how far it has come.
    pub fn spinner(output: &Output, label: impl Into<Cow<'static, str>>) -> Self {
        let style = ProgressStyle::with_template("{spinner} {prefix}  {elapsed}");
        let spinner = Self::new(
            output,
            None,
            style.unwrap_or_else(|_| ProgressStyle::default_spinner()),
            label,
        );
        spinner.0.enable_steady_tick(Duration::from_millis(100));
        spinner
    }

    fn new(output: &Output, total: Option<u64>, style: ProgressStyle, label: impl Into<Cow<'static, str>>) -> Self {
        let target = if output.draws_progress() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(total, target);
        Self(
            bar.with_style(style)
                .with_prefix(label)
                .with_finish(ProgressFinish::AndClear),
        )
    }

    /// Moves the bar to `done` and shows `message` behind it.
    pub fn set(&self, done: u64, message: impl Into<Cow<'static, str>>) {
        self.0.set_message(message);
        self.0.set_position(done);
    }

    /// Takes the bar away.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}

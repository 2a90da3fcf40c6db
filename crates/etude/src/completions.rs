//! `etude completions`: scripts by which a shell completes the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::output::Output;

/// Prints the completions of the command `C` for `shell`.
pub(crate) fn run<C: CommandFactory>(shell: Shell, output: &Output) {
    // Written to memory first: clap panics where the reader of its output goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut C::command(), "etude", &mut script);
    output.raw(&script);
}

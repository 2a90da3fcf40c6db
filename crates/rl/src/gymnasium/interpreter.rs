//! Which Python the environments run in.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python interpreter, and the environment variables that it is started with beside those of this process.
#[derive(Debug, Clone)]
pub struct Interpreter {
    program: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

impl Interpreter {
    /// This one: a path, or a name to be looked for in `PATH`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let (program, variables) = (program.into(), Vec::new());
        Self { program, variables }
    }

    /// The one that `ETUDE_PYTHON` names, else that of the virtual environment which is active, else `python3`.
    pub fn find() -> Self {
        Self::new(choose(env::var_os("ETUDE_PYTHON"), env::var_os("VIRTUAL_ENV")))
    }

    /// Sets an environment variable for it.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The path or the name.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Python with these arguments, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.args(arguments).envs(variables);
        command
    }
}

fn choose(named: Option<OsString>, virtual_environment: Option<OsString>) -> PathBuf {
    let set = |variable: &OsString| !variable.is_empty();
    let in_environment = |folder: OsString| Path::new(&folder).join("bin/python");
    named
        .filter(set)
        .map(PathBuf::from)
        .or_else(|| virtual_environment.filter(set).map(in_environment))
        .unwrap_or_else(|| PathBuf::from("python3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_interpreter_comes_first_and_the_virtual_environment_second() {
        let choose = |named: &str, environment: &str| choose(Some(named.into()), Some(environment.into()));
        assert_eq!(choose("/opt/python", "/venv"), Path::new("/opt/python"));
        assert_eq!(choose("", "/venv"), Path::new("/venv/bin/python"));
        assert_eq!(choose("", ""), Path::new("python3"));
        assert_eq!(super::choose(None, None), Path::new("python3"));
    }
}

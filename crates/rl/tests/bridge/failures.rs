//! What goes wrong, and what is said of it.

use etude_rl::{Interpreter, VectorEnv};

use super::{begun, fixtures, python, refusal};

#[test]
fn an_environment_that_fails_is_an_error() {
    let Some(python) = python() else { return };
    for (id, status, said) in [
        ("Raises", "exit status: 1", "ValueError: the wheel came off"),
        ("Dies", "exit status: 3", "no way out"),
        ("Killed", "signal: 9 (SIGKILL)", "printed while the module is imported"),
        ("WrongShape", "exit status: 1", "ValueError: "),
    ] {
        let (mut envs, mut batch) = begun(&python, &format!("bridge_envs:{id}-v0"));
        let error = envs.step(&[0.0], &mut batch).unwrap_err().to_string();
        let lead = format!("the Python process of `bridge_envs:{id}-v0` has ended ({status}); it said at last:\n");
        assert!(error.starts_with(&lead) && error.contains(said), "{error}");
        // It stays dead.
        assert_eq!(envs.step(&[0.0], &mut batch).unwrap_err().to_string(), error);
        assert_eq!(envs.reset(None, &mut batch).unwrap_err().to_string(), error);
    }
}

#[test]
fn a_choice_that_there_is_not_is_an_error() {
    let Some(python) = python() else { return };
    let (mut envs, mut batch) = begun(&python, "bridge_envs:Beyond-v0");
    let error = envs.step(&[0.0], &mut batch).unwrap_err().to_string();
    assert!(
        error.contains("the observation [3.0]") && error.contains("one of 3"),
        "{error}"
    );
}

#[test]
fn an_environment_that_there_is_not_is_an_error() {
    let Some(python) = python() else { return };
    let refusal = |id| refusal(&python, id);
    assert_eq!(
        refusal("CardPole-v1"),
        "Gymnasium cannot make `CardPole-v1`: Environment `CardPole` doesn't exist. Did you mean: `CartPole`?"
    );
    let module = refusal("no_such_module:Thing-v0");
    assert!(module.contains("No module named 'no_such_module'"), "{module}");
    assert_eq!(
        refusal("bridge_envs:LacksPackage-v0"),
        "Gymnasium cannot make `bridge_envs:LacksPackage-v0`: Physics is missing, run `pip install \"physics\"`"
    );
}

#[test]
fn without_gymnasium_it_is_said_how_to_install_it() {
    let Some(python) = python() else { return };
    let bare = fixtures().join("python_without_packages");
    let program = bare.display().to_string();
    let refused = refusal(
        &Interpreter::new(bare).variable("PYTHON", python.program()),
        "CartPole-v1",
    );
    assert_eq!(
        refused,
        format!(
            "`{program}` has no Gymnasium (No module named 'gymnasium'): `{program} -m pip install gymnasium` \
             installs it, or ETUDE_PYTHON may name another interpreter"
        )
    );
    let old = python.variable("PYTHONPATH", fixtures().join("old"));
    let program = old.program().display().to_string();
    assert_eq!(
        refusal(&old, "CartPole-v1"),
        format!(
            "`{program}` has Gymnasium 1.0.0; expected 1.1 or later, which \
             `{program} -m pip install --upgrade gymnasium` installs"
        )
    );
}

/// These need no Python.
#[test]
fn what_is_no_python_is_refused() {
    let refusal = |program| refusal(&Interpreter::new(program), "CartPole-v1");
    let missing = refusal("/no/such/python");
    assert!(
        missing.starts_with("cannot start Python as `/no/such/python`"),
        "{missing}"
    );
    let silent = refusal("true");
    assert_eq!(
        silent,
        "the Python process of `CartPole-v1` has ended (exit status: 0); it said nothing"
    );
    let chatty = refusal("echo");
    assert!(
        chatty.contains("answered \"-c ") && chatty.ends_with("expected a greeting"),
        "{chatty}"
    );
}

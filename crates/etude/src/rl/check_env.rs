//! `etude rl check-env`: an environment looked over.

use etude_rl::{Autoreset, Verdict, check_env, make_envs};
use serde::Serialize;

use super::failed;
use crate::error::CommandError;
use crate::output::Output;

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    environment: &'a str,
    sound: bool,
    checks: Vec<Checked>,
}

#[derive(Serialize)]
struct Checked {
    rule: &'static str,
    /// `holds`, `doubtful` or `fails`.
    verdict: &'static str,
    /// Where it does not hold: what was found.
    finding: Option<String>,
}

pub(super) fn run(name: &str, output: &Output) -> Result<(), CommandError> {
    let mut envs = make_envs(name, 1, Autoreset::Disabled).map_err(|error| failed(&error, name))?;
    let checks: Vec<Checked> = check_env(&mut *envs)
        .map_err(|error| failed(&error, name))?
        .into_iter()
        .map(|check| {
            let (verdict, finding) = match check.verdict {
                Verdict::Holds => ("holds", None),
                Verdict::Doubtful(finding) => ("doubtful", Some(finding)),
                Verdict::Fails(finding) => ("fails", Some(finding)),
            };
            let rule = check.rule;
            Checked { rule, verdict, finding }
        })
        .collect();
    let failed = checks.iter().filter(|check| check.verdict == "fails").count();
    for check in &checks {
        let sign = match check.verdict {
            "holds" => "✓",
            "doubtful" => "?",
            _ => "✗",
        };
        output.line(&format!("{sign} {}", check.rule));
        if let Some(finding) = &check.finding {
            output.line(&format!("  {finding}"));
        }
    }
    output.result_json(&Json {
        environment: name,
        sound: failed == 0,
        checks,
    });
    if failed > 0 {
        return Err(CommandError::failed_run(format!(
            "{name} breaks {failed} of these rules"
        )));
    }
    Ok(())
}

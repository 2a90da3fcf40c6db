//! `etude rl reproduce zhao`, whole: every figure passes, and the page says so.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_figure_of_the_book_passes() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("zhao");
    let output = Command::new(env!("CARGO_BIN_EXE_etude"))
        .args(["rl", "reproduce", "zhao", "--json", "--out"])
        .arg(&run)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["passes"], true);
    let checks = json["checks"].as_array().unwrap();
    for figure in [
        "7.2", "7.3", "7.4", "8.5", "8.6", "8.7", "8.8", "8.9", "8.10", "8.11", "8.12",
    ] {
        assert!(checks.iter().any(|check| check["figure"] == figure), "{figure}");
    }
    assert!(checks.iter().all(|check| check["passes"] == true));
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("Figures 8.11 and 8.12") && !page.contains("FAIL"));
}

//! The documents at the root of the repository speak of files, functions and commands that exist.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, iter};

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "PAPERS.md",
    "CONTRIBUTING.md",
    "BENCHMARKS.md",
    "CHANGELOG.md",
];

/// Folders of the repository: a word that begins with one of them is a path.
const FOLDERS: [&str; 7] = [".ci/", "benches/", "crates/", "docs/", "fuzz/", "recipes/", "scripts/"];

/// What stands before the name of an item in its definition.
const DEFINITIONS: [&str; 5] = ["fn ", "struct ", "enum ", "trait ", "const "];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// The words of a document that name a path of the repository, with `::` and the names of items after it.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric() && !"_-./:".contains(character))
        .map(|word| word.trim_end_matches(['.', ':']))
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
}

#[test]
fn every_path_and_function_exists() {
    for document in DOCUMENTS {
        let text = text(document);
        for path in paths(&text) {
            let mut items = path.split("::");
            let file = root().join(items.next().unwrap_or_default());
            assert!(file.exists(), "{document} names {path}, and there is no such file");
            let source = items
                .clone()
                .next()
                .map(|_| fs::read_to_string(&file).unwrap())
                .unwrap_or_default();
            for item in items {
                assert!(
                    defines(&source, item),
                    "{document} names {path}, and the file defines no `{item}`"
                );
            }
        }
    }
}

fn defines(source: &str, item: &str) -> bool {
    let code = source
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"));
    let mut defined = code.flat_map(|line| DEFINITIONS.iter().filter_map(move |word| line.split_once(word)));
    defined.any(|(_, rest)| {
        rest.strip_prefix(item)
            .is_some_and(|rest| rest.starts_with(['(', '<', ' ', ':', ';']))
    })
}

/// A row of a table that names no function would say that an equation is implemented, and not where.
#[test]
fn every_row_of_the_papers_names_a_function() {
    let text = text("PAPERS.md");
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("|---");
    // The first line of a table is its heading.
    let rows: Vec<&str> = iter::once("")
        .chain(text.lines())
        .zip(text.lines())
        .filter(|(before, line)| is_row(line) && before.starts_with('|'))
        .map(|(_, line)| line)
        .collect();
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows {
        assert!(paths(row).any(|path| path.contains(".rs::")), "PAPERS.md: {row}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in DOCUMENTS {
        let text = text(document);
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { document } else { file };
            assert!(
                root().join(file).exists(),
                "{document} links to {target}, and there is no such file"
            );
            let there = anchor.is_empty() || headings(Path::new(file)).iter().any(|heading| heading == anchor);
            assert!(there, "{document} links to {target}, and there is no such heading");
        }
    }
}

/// The anchors that a document's headings get.
fn headings(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let titles = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    let anchor = |title: &str| {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars()
            .filter(|&character| character.is_alphanumeric() || "-_".contains(character))
            .collect()
    };
    titles.map(anchor).collect()
}

/// Every `etude ...` in a listing is a command that the command itself knows, with the flags that it has.
#[test]
fn every_command_is_understood() {
    let mut checked = 0;
    for document in DOCUMENTS {
        for line in text(document).lines() {
            let Some(arguments) = line
                .strip_prefix("etude ")
                .and_then(|rest| rest.split(['#', '|', '>']).next())
            else {
                continue;
            };
            let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
            // With `--help` at the end, names are checked and nothing runs; a flag that does not exist is refused.
            arguments.push("--help");
            let output = Command::new(env!("CARGO_BIN_EXE_etude"))
                .args(&arguments)
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{document}: {line}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            checked += 1;
        }
    }
    assert!(checked > 5, "{checked}");
}

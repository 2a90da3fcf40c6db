//! The documents at the root of the repository speak of files, functions and commands that exist.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "PAPERS.md",
    "CONTRIBUTING.md",
    "BENCHMARKS.md",
    "CHANGELOG.md",
];

/// Folders of the repository: a word that begins with one of them is a path.
const FOLDERS: [&str; 8] = [
    ".ci/", "benches/", "crates/", "docs/", "fuzz/", "python/", "recipes/", "scripts/",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

#[test]
fn every_path_and_item_exists() {
    for document in DOCUMENTS {
        let text = text(document);
        assert!(
            !text.contains("::{") && !text.contains("::*"),
            "{document}: items named as a group are not checked; name each with its path"
        );
        for path in paths(&text) {
            let (file, items) = path.split_once("::").unwrap_or((path, ""));
            assert!(
                root().join(file).exists(),
                "{document} names {path}, and there is no such file"
            );
            if !items.is_empty() {
                assert!(
                    defines(&source(file), items),
                    "{document} names {path}, and the file does not define `{items}`"
                );
            }
        }
    }
}

/// The rows of `PAPERS.md` say where an equation is implemented and what proves it.
#[test]
fn every_row_of_the_papers_names_a_function_and_a_test() {
    let text = text("PAPERS.md");
    let mut count = 0;
    for table in tables(&text) {
        assert_eq!(cells(table[0]), ["equation", "source", "function", "test"]);
        for row in &table[2..] {
            let cells = cells(row);
            let (functions, tests): (Vec<&str>, Vec<&str>) = (paths(&cells[2]).collect(), paths(&cells[3]).collect());
            let in_source = |path: &&str| path.contains("/src/") && path.contains(".rs::");
            assert!(functions.iter().any(in_source), "PAPERS.md: no function in {row}");
            assert!(!tests.is_empty(), "PAPERS.md: no test in {row}");
            for test in tests {
                let (file, items) = test.split_once("::").unwrap_or((test, ""));
                let name = items.rsplit("::").next().unwrap_or_default();
                assert!(is_test(&source(file), name), "PAPERS.md: {test} is not a test");
            }
            count += 1;
        }
    }
    assert!(count >= 30, "{count}");
}

/// A pipe that belongs to a formula must be written `\|`, or it divides a cell in two and what follows is not seen.
#[test]
fn every_row_has_the_cells_of_its_heading() {
    for document in DOCUMENTS {
        for table in tables(&text(document)) {
            let is_rule = |cell: &String| !cell.is_empty() && cell.chars().all(|mark| "-:".contains(mark));
            assert!(
                table.len() > 2 && cells(table[1]).iter().all(is_rule),
                "{document}: {}",
                table[0]
            );
            for row in &table {
                assert_eq!(cells(row).len(), cells(table[0]).len(), "{document}: {row}");
            }
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in DOCUMENTS {
        let text = text(document);
        let prose: Vec<&str> = prose(&text).collect();
        let prose = prose.join(" ");
        let targets = prose
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
    let titles = prose(&text).filter_map(|line| {
        line.trim_start_matches('#')
            .strip_prefix(' ')
            .filter(|_| line.starts_with('#'))
    });
    let anchor = |title: &str| {
        let kept = title.trim().to_lowercase().replace(' ', "-");
        kept.chars()
            .filter(|&character| character.is_alphanumeric() || "-_".contains(character))
            .collect()
    };
    titles.map(anchor).collect()
}

/// Every `etude ...`, in a listing or in the text, is a command that the command itself knows, with the flags that it
/// has. Where a recipe of the repository is given, the command really runs.
#[test]
fn every_command_is_understood() {
    let (mut checked, mut run) = (0, 0);
    for document in DOCUMENTS {
        for command in commands(&text(document)) {
            let Some(line) = ["etude ", "cargo run --release -- "]
                .iter()
                .find_map(|program| command.strip_prefix(program))
            else {
                continue;
            };
            let mut arguments = arguments(line);
            let given = |arguments: &[String], start: &str| arguments.iter().any(|word| word.starts_with(start));
            if given(&arguments, "recipes/") && !given(&arguments, "--out") {
                // With `--json` and without `--out` nothing is written.
                if !given(&arguments, "--json") {
                    arguments.push("--json".into());
                }
                run += 1;
            } else {
                // Names and flags are checked and nothing runs.
                arguments.push("--help".into());
            }
            let output = Command::new(env!("CARGO_BIN_EXE_etude"))
                .args(&arguments)
                .current_dir(root())
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{document}: {command}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            checked += 1;
        }
    }
    assert!(checked >= 15 && run >= 5, "{checked} checked, {run} of them run");
}

/// Packages, tests and examples that a `cargo` command asks for.
#[test]
fn every_target_of_cargo_exists() {
    let crates: Vec<PathBuf> = ["crates", "examples"]
        .into_iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    let is_there = |option: &str, name: &str| {
        crates.iter().any(|folder| match option {
            "--example" if folder.join(format!("examples/{name}.rs")).exists() => true,
            // The manifest names its package and the examples that lie elsewhere.
            "-p" | "--example" => fs::read_to_string(folder.join("Cargo.toml"))
                .is_ok_and(|manifest| manifest.lines().any(|line| line == format!("name = \"{name}\""))),
            "--test" => [format!("tests/{name}.rs"), format!("tests/{name}/main.rs")]
                .iter()
                .any(|file| folder.join(file).exists()),
            _ => true,
        })
    };
    for document in DOCUMENTS {
        for command in commands(&text(document)) {
            if command.starts_with("cargo ") {
                for pair in arguments(&command).windows(2) {
                    assert!(is_there(&pair[0], &pair[1]), "{document}: {command}");
                }
            }
        }
    }
}

/// The words of a document that name a path of the repository, with `::` and the names of items after it.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric() && !"_-./:".contains(character))
        .map(|word| word.trim_end_matches(['.', ':']))
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
}

/// The lines of a document, each with the language of the listing that it stands in.
fn lines(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let mut listing = None;
    text.lines().filter_map(move |line| {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            listing = if listing.is_some() { None } else { Some(language) };
            return None;
        }
        Some((listing, line))
    })
}

/// The lines outside of listings.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    lines(text)
        .filter(|(listing, _)| listing.is_none())
        .map(|(_, line)| line)
}

/// The tables of a document, line by line.
fn tables(text: &str) -> Vec<Vec<&str>> {
    let prose: Vec<&str> = prose(text).collect();
    let same = |a: &&str, b: &&str| a.starts_with('|') == b.starts_with('|');
    prose
        .chunk_by(same)
        .filter(|lines| lines[0].starts_with('|'))
        .map(<[&str]>::to_vec)
        .collect()
}

/// The cells of a line of a table.
fn cells(line: &str) -> Vec<String> {
    const PIPE: char = '\u{1}';
    let line = line.replace("\\|", &PIPE.to_string());
    let line = line.trim().trim_start_matches('|');
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').map(|cell| cell.trim().replace(PIPE, "|")).collect()
}

/// The lines of a document's shell listings, and the code within its text; not what a table marks as planned.
fn commands(text: &str) -> Vec<String> {
    let listed: Vec<&str> = lines(text)
        .filter(|(listing, _)| *listing == Some("sh"))
        .map(|(_, line)| line)
        .collect();
    let prose: Vec<&str> = prose(text).filter(|line| !line.ends_with("| planned |")).collect();
    let (listed, prose) = (listed.join("\n").replace("\\\n", " "), prose.join(" "));
    let code: Vec<&str> = prose.split('`').collect();
    assert!(code.len() % 2 == 1, "a code span that does not end");
    let code = code.iter().skip(1).step_by(2);
    listed.lines().chain(code.copied()).map(String::from).collect()
}

/// The words of a command line, as a shell would cut it, up to a comment, a pipe or a redirection.
fn arguments(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            arguments.push(part.to_owned());
            continue;
        }
        for word in part.split_whitespace() {
            if word.starts_with(['#', '|', '>', '&']) {
                return arguments;
            }
            arguments.push(word.to_owned());
        }
    }
    arguments
}

fn source(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Whether a source file defines `items`, each within the one before: a function, a type and its method, an enum and
/// its variant. A method cannot be named without its type; a test can without its module.
///
/// It goes by the layout that rustfmt gives: what belongs to a block is indented deeper than its first line.
fn defines(source: &str, items: &str) -> bool {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let lines: Vec<&str> = source.lines().filter(is_code).collect();
    let items: Vec<&str> = items.split("::").collect();
    defined_in(&lines, &items, false)
}

/// `members`: whether the lines are the fields of a struct or the variants of an enum.
fn defined_in(lines: &[&str], items: &[&str], members: bool) -> bool {
    let [item, inner @ ..] = items else { return true };
    let indent = lines.first().map_or(0, |line| indent(line));
    lines
        .chunk_by(|_, next| self::indent(next) > indent || continues(next))
        .any(|block| {
            let head = private(block[0]);
            let body: Vec<&str> = block
                .iter()
                .copied()
                .filter(|line| self::indent(line) > indent)
                .collect();
            let defines = definition(head) == Some(*item);
            if inner.is_empty() && (defines || members && name(head) == *item) {
                return true;
            }
            if !inner.is_empty() && (defines || implementation(head) == Some(*item)) {
                let members = head.starts_with("struct ") || head.starts_with("enum ");
                return defined_in(&body, inner, members);
            }
            let transparent = head.starts_with("mod ") || head.ends_with("! {");
            transparent && defined_in(&body, items, false)
        })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether a line goes on with the block that stands before it.
fn continues(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(['}', ')', ']', '>', '{']) || line == "where"
}

/// A line without its visibility.
fn private(line: &str) -> &str {
    let line = line.trim_start();
    let mut public = ["pub ", "pub(crate) ", "pub(super) "].iter();
    public.find_map(|public| line.strip_prefix(public)).unwrap_or(line)
}

/// The name that a line defines.
fn definition(line: &str) -> Option<&str> {
    const KEYWORDS: [&str; 10] = [
        "const fn ",
        "fn ",
        "struct ",
        "enum ",
        "trait ",
        "const ",
        "static ",
        "type ",
        "mod ",
        "macro_rules! ",
    ];
    KEYWORDS.iter().find_map(|keyword| line.strip_prefix(keyword)).map(name)
}

/// The type that an `impl` is for.
fn implementation(line: &str) -> Option<&str> {
    let mut rest = line.strip_prefix("impl").filter(|rest| rest.starts_with([' ', '<']))?;
    if rest.starts_with('<') {
        let mut depth = 0;
        let end = rest.find(|character| {
            depth += i32::from(character == '<') - i32::from(character == '>');
            depth == 0
        })?;
        rest = &rest[end + 1..];
    }
    let target = rest.split_once(" for ").map_or(rest, |(_, target)| target);
    Some(name(target.trim_start()))
}

/// The identifier that a text begins with.
fn name(text: &str) -> &str {
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Whether a source file has a test of this name.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let is_above = |line: &&&str| line.starts_with("#[") || line.starts_with("//");
    lines.iter().enumerate().any(|(index, line)| {
        definition(line) == Some(name)
            && lines[..index]
                .iter()
                .rev()
                .take_while(is_above)
                .any(|line| *line == "#[test]")
    })
}

#[test]
fn definitions_are_told_apart() {
    let source = r"
//! fn commented() {}
pub(crate) const fn free(x: u8) -> u8 {
    fn hidden() {}
    x
}

/// A type.
pub enum Shape<'a> {
    #[default]
    Round,
    Square { side: f64 },
}

impl<'a, T: Into<u8>> From<T> for Shape<'a>
where
    T: Copy,
{
    fn from(value: T) -> Self {
        Self::Oval
    }
}

pub trait Area: Sync {
    fn area(&self) -> f64;
}

struct Point {
    pub(crate) x: f64,
}

#[cfg(test)]
mod tests {
    #[test]
    // Of the type above.
    fn it_holds() {}

    proptest! {
        #[test]
        fn it_always_holds(x: u8) {}
    }

    fn helper() {}
}
";
    for there in [
        "free",
        "Shape",
        "Shape::Round",
        "Shape::Square",
        "Shape::from",
        "Area::area",
        "Point::x",
        "tests::it_holds",
        "it_holds",
        "it_always_holds",
    ] {
        assert!(defines(source, there), "{there}");
    }
    for absent in [
        "commented",
        "hidden",
        "fre",
        "Round",
        "from",
        "area",
        "x",
        "Shape::Oval",
        "Shape::area",
        "Area::from",
        "Shap",
        "Self",
        "",
    ] {
        assert!(!defines(source, absent), "{absent}");
    }
    let tests = ["it_holds", "it_always_holds", "helper", "free"].map(|name| is_test(source, name));
    assert_eq!(tests, [true, true, false, false]);
}

#[test]
fn command_lines_are_cut_as_a_shell_would() {
    let text = r#"
Say `etude doctor`.

```sh
etude tour --only a \
    --set 'b=["c", "d"]' # e
```

```text
etude f
```
"#;
    let commands = commands(text);
    assert_eq!(commands.len(), 2);
    assert_eq!(
        arguments(&commands[0]),
        ["etude", "tour", "--only", "a", "--set", r#"b=["c", "d"]"#]
    );
    assert_eq!(commands[1], "etude doctor");
}

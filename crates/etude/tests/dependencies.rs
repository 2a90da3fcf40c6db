//! Every dependency has a licence that `deny.toml` allows, comes from crates.io, and comes once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::{fs, iter};

use serde::Deserialize;

/// What `deny.toml` says, of which `cargo deny` reads more.
#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

/// Further licences that one crate may have.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// A version of a dependency that may stand beside the main one.
#[derive(Deserialize)]
struct Skip {
    /// `name@version`, where the version may be cut short.
    #[serde(rename = "crate")]
    version: String,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    /// Absent for the crates of the workspace.
    source: Option<String>,
}

fn read<T: serde::de::DeserializeOwned>(file: &str) -> T {
    let text = fs::read_to_string(root().join(file)).unwrap();
    toml::from_str(&text).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_licence_is_allowed() {
    let Policy { licenses, .. } = read("deny.toml");
    let packages = packages();
    let refused: Vec<&Package> = packages
        .iter()
        .filter(|package| {
            let exceptions = licenses
                .exceptions
                .iter()
                .filter(|exception| exception.name == package.name);
            let list: Vec<String> = exceptions
                .flat_map(|exception| &exception.allow)
                .chain(&licenses.allow)
                .cloned()
                .collect();
            !allows(&list, &package.licence)
        })
        .collect();
    assert!(packages.len() > 100 && refused.is_empty(), "{refused:#?}");
}

#[test]
fn every_dependency_comes_once_and_from_the_registry() {
    let Lock { package: locked } = read("Cargo.lock");
    for Locked { name, version, source } in &locked {
        assert!(
            source
                .as_ref()
                .is_none_or(|source| source.starts_with("registry+https://github.com/rust-lang/crates.io-index")),
            "{name} {version} comes from {source:?}; expected crates.io"
        );
    }
    let Policy { bans, .. } = read("deny.toml");
    let mut unused: Vec<&str> = bans.skip.iter().map(|skip| &*skip.version).collect();
    let packages = packages();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Package { name, version, .. } in &packages {
        let before = unused.len();
        let found = format!("{name}@{version}.");
        unused.retain(|skip| !found.starts_with(&format!("{skip}.")));
        if unused.len() == before {
            versions.entry(name).or_default().push(version);
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(
        versions.is_empty(),
        "more than one version, and deny.toml does not say why: {versions:?}"
    );
    assert!(unused.is_empty(), "no longer needed in deny.toml: {unused:?}");
}

/// A package that something of ours is built with.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
}

/// What is built with on every platform, by any feature of ours; where not all have been downloaded, on this platform. Cargo.lock holds more: parts of
/// dependencies that no feature of ours asks for.
fn packages() -> BTreeSet<Package> {
    let arguments = [
        "tree",
        "--workspace",
        "--all-features",
        "--edges=normal,build,dev",
        "--prefix=none",
        "--locked",
        "--offline",
    ];
    let tree = |more: &[&str]| {
        Command::new(env!("CARGO"))
            .current_dir(root())
            .args(arguments)
            .args(["--format", "{p}|{l}"])
            .args(more)
            .output()
            .unwrap()
    };
    let mut output = tree(&["--target=all"]);
    if !output.status.success() {
        output = tree(&[]);
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let package = |line: &str| {
        let (package, licence) = line.split_once('|')?;
        let (name, version) = package.split_once(" v")?;
        Some(Package {
            name: name.to_owned(),
            version: version.split(' ').next()?.to_owned(),
            // What has been shown before is marked so.
            licence: licence.trim_end_matches(" (*)").to_owned(),
        })
    };
    text.lines().filter_map(package).collect()
}

/// Whether `terms`, an SPDX expression, can be met with licences of the list alone.
fn allows(list: &[String], terms: &str) -> bool {
    // Before SPDX, a slash stood for OR.
    let terms = terms.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = terms.split_whitespace().peekable();
    let allowed = any(list, &mut words);
    allowed && words.next().is_none()
}

type Words<'a> = iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(list: &[String], words: &mut Words<'_>) -> bool {
    let mut allowed = all(list, words);
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all(list, words);
    }
    allowed
}

fn all(list: &[String], words: &mut Words<'_>) -> bool {
    let mut allowed = one(list, words);
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(list, words);
    }
    allowed
}

fn one(list: &[String], words: &mut Words<'_>) -> bool {
    let mut licence = words.next().unwrap_or_default().to_owned();
    if licence == "(" {
        let allowed = any(list, words);
        return words.next() == Some(")") && allowed;
    }
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
    }
    list.contains(&licence)
}

#[test]
fn licence_expressions_are_understood() {
    let list = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(String::from);
    for (terms, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND Zlib", true),
        ("(MIT OR Zlib) AND GPL-3.0", false),
        ("GPL-3.0 AND MIT OR Zlib", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("(MIT", false),
        ("MIT Zlib", false),
        ("", false),
    ] {
        assert_eq!(allows(&list, terms), expected, "{terms}");
    }
}

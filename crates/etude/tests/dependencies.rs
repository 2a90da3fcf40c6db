//! Every dependency has a licence that `deny.toml` allows, comes from crates.io, and comes once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::{fs, iter};

use serde::Deserialize;
use serde_json::Value;

/// What `deny.toml` says, of which `cargo deny` reads more.
#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
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
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| {
            !package["license"]
                .as_str()
                .is_some_and(|terms| allows(&licenses.allow, terms))
        })
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(packages.len() > 10 && refused.is_empty(), "{refused:#?}");
}

#[test]
fn every_dependency_comes_once_and_from_the_registry() {
    let Lock { package: packages } = read("Cargo.lock");
    let Policy { bans, .. } = read("deny.toml");
    let mut unused: Vec<&str> = bans.skip.iter().map(|skip| &*skip.version).collect();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Locked { name, version, source } in &packages {
        assert!(
            source
                .as_ref()
                .is_none_or(|source| source.starts_with("registry+https://github.com/rust-lang/crates.io-index")),
            "{name} {version} comes from {source:?}; expected crates.io"
        );
        let before = unused.len();
        let locked = format!("{name}@{version}.");
        unused.retain(|skip| !locked.starts_with(&format!("{skip}.")));
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

/// What cargo knows of every dependency on every platform; where not all have been downloaded, on this platform.
fn metadata() -> Value {
    let cargo = |arguments: &[&str]| {
        Command::new(env!("CARGO"))
            .current_dir(root())
            .args(arguments)
            .output()
            .unwrap()
    };
    let version = String::from_utf8(cargo(&["-vV"]).stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let offline = ["metadata", "--format-version=1", "--locked", "--offline"];
    let mut output = cargo(&offline);
    if !output.status.success() {
        output = cargo(&[&offline[..], &["--filter-platform", host]].concat());
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
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

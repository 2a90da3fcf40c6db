//! Where a model is on this machine.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::error::{HubError, fault};
use crate::folder::CONFIG;

/// Finds a model: a file or folder as it is, and otherwise one by its name, such as `org/model`, in the cache where Hugging Face's
/// tools keep what they have downloaded ([`cache_folder`]). Of a model of one GGUF file this is the file, of another the folder.
///
/// With the feature `download`, what is not there is downloaded into the cache, unless `HF_HUB_OFFLINE` is 1.
///
/// # Errors
/// [`HubError::NotFound`], which says what to download and where to put it.
pub fn locate(name: &str) -> Result<PathBuf, HubError> {
    let here = env::current_dir().unwrap_or_default();
    let cache = cache_folder();
    let found = locate_in(name, &cache, &here);
    #[cfg(feature = "download")]
    if let Err(HubError::NotFound {
        name, cache, folder, ..
    }) = &found
        && env::var_os("HF_HUB_OFFLINE").is_none_or(|value| value != "1")
    {
        return match crate::download::download(name, cache) {
            Ok(()) => locate_in(name, cache, &here),
            Err(failed) => Err(HubError::NotFound {
                name: name.clone(),
                cache: cache.clone(),
                state: format!("it cannot be downloaded: {failed}"),
                folder: folder.clone(),
            }),
        };
    }
    found
}

/// The folder in which Hugging Face's tools keep models: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or in `huggingface` in the cache of
/// the user (`XDG_CACHE_HOME`, or `.cache` in the home).
pub fn cache_folder() -> PathBuf {
    cache_of(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn cache_of(variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    if let Some(cache) = variable("HF_HUB_CACHE") {
        return cache;
    }
    let home = variable("HF_HOME").unwrap_or_else(|| {
        let cache = variable("XDG_CACHE_HOME");
        let cache = cache.unwrap_or_else(|| {
            variable("HOME")
                .or_else(|| variable("USERPROFILE"))
                .unwrap_or_default()
                .join(".cache")
        });
        cache.join("huggingface")
    });
    home.join("hub")
}

fn locate_in(name: &str, cache: &Path, here: &Path) -> Result<PathBuf, HubError> {
    let path = here.join(name);
    if !name.is_empty() && path.exists() {
        return Ok(path);
    }
    if !is_model_name(name) {
        let detail = "there is no such file or folder, and it is no name of a model such as `org/model`";
        return Err(fault(name, detail));
    }
    let not_found = |state: String| HubError::NotFound {
        name: name.into(),
        cache: cache.into(),
        state,
        folder: path.clone(),
    };
    let kept = cache.join(format!("models--{}", name.replace('/', "--")));
    let head = kept.join("refs").join("main");
    let Ok(revision) = fs::read_to_string(&head) else {
        return Err(not_found("nothing is there of it".into()));
    };
    let revision = revision.trim();
    if revision.is_empty() || !revision.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(fault(
            head,
            format!(
                "found `{}`; expected a revision, in letters and digits",
                revision.escape_debug()
            ),
        ));
    }
    let snapshot = kept.join("snapshots").join(revision);
    if snapshot.join(CONFIG).exists() {
        return Ok(snapshot);
    }
    let files: Vec<_> = fs::read_dir(&snapshot)
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| file.path())
        .collect();
    let mut quantised: Vec<_> = files
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "gguf"))
        .collect();
    quantised.sort();
    match quantised[..] {
        [] => Err(not_found(format!("{} has no {CONFIG}", snapshot.display()))),
        [file] => Ok(file.clone()),
        _ => {
            let names: Vec<_> = quantised.iter().map(|file| file.display().to_string()).collect();
            Err(fault(
                snapshot,
                format!("there are several GGUF files; give one of them: {}", names.join(", ")),
            ))
        }
    }
}

/// Whether this could be a model's name: one or two parts of letters, digits, `-`, `_` and `.`.
fn is_model_name(name: &str) -> bool {
    let part = |part: &str| {
        let plain = part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        plain && !part.is_empty() && !part.starts_with(['.', '-']) && !part.contains("--") && !part.contains("..")
    };
    name.split('/').count() <= 2 && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVISION: &str = "0123456789abcdef";

    fn put(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, REVISION).unwrap();
    }

    #[test]
    fn the_cache_is_where_the_variables_say() {
        let with = |set: &[(&str, &str)]| {
            cache_of(|name| {
                set.iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| PathBuf::from(value))
            })
        };
        assert_eq!(with(&[("HF_HUB_CACHE", "/a"), ("HF_HOME", "/b")]), Path::new("/a"));
        assert_eq!(with(&[("HF_HOME", "/b"), ("HOME", "/c")]), Path::new("/b/hub"));
        assert_eq!(
            with(&[("XDG_CACHE_HOME", "/d"), ("HOME", "/c")]),
            Path::new("/d/huggingface/hub")
        );
        assert_eq!(with(&[("HOME", "/c")]), Path::new("/c/.cache/huggingface/hub"));
    }

    #[test]
    fn files_and_folders_come_first_and_then_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, here) = (folder.path().join("cache"), folder.path().join("here"));
        let find = |name: &str| locate_in(name, &cache, &here);
        let kept = cache.join("models--org--model");
        let snapshot = kept.join("snapshots").join(REVISION);

        let message = find("org/model").unwrap_err().to_string();
        let expected = format!("put them into the folder {}", here.join("org/model").display());
        assert!(
            message.contains("nothing is there of it") && message.ends_with(&expected),
            "{message}"
        );
        put(&kept.join("refs/main"));
        assert!(
            find("org/model")
                .unwrap_err()
                .to_string()
                .contains("has no config.json")
        );
        put(&snapshot.join("a.gguf"));
        assert_eq!(find("org/model").unwrap(), snapshot.join("a.gguf"));
        put(&snapshot.join("b.gguf"));
        assert!(
            find("org/model")
                .unwrap_err()
                .to_string()
                .contains("there are several GGUF files")
        );
        put(&snapshot.join("config.json"));
        assert_eq!(find("org/model").unwrap(), snapshot);
        put(&here.join("org/model/config.json"));
        assert_eq!(find("org/model").unwrap(), here.join("org/model"));
        put(&here.join("a.gguf"));
        assert_eq!(find("a.gguf").unwrap(), here.join("a.gguf"));

        fs::write(kept.join("refs/main"), "../../etc").unwrap();
        fs::remove_dir_all(here.join("org")).unwrap();
        assert!(
            find("org/model")
                .unwrap_err()
                .to_string()
                .contains("expected a revision")
        );
        for name in ["", "a/b/c", "../a", "a/..", "/none", "a--b", "a b", "-a"] {
            assert!(
                find(name)
                    .unwrap_err()
                    .to_string()
                    .contains("there is no such file or folder"),
                "{name}"
            );
        }
    }
}

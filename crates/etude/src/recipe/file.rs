//! The text of a recipe file.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::CommandError;
use crate::recipe::nearest;

/// No recipe comes near it; a model file given by mistake does.
const LARGEST: u64 = 4 << 20;

/// Reads at most [`LARGEST`] bytes of UTF-8 from `path`.
pub(super) fn read(path: &Path) -> Result<String, CommandError> {
    let refuse = || CommandError::bad_input(format!("cannot read the recipe {}", path.display()));
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            refuse()
                .because("there is no such file")
                .hint(where_to_look(path, &["toml"], "recipe"))
        }
        _ => refuse().caused_by(&error),
    };

    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        let hint = where_to_look(&path.join("recipe.toml"), &["toml"], "recipe");
        return Err(refuse().because("it is a folder; a recipe is a TOML file").hint(hint));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        let error = refuse().because(format!(
            "it is larger than {} MiB, the most that a recipe may be",
            LARGEST >> 20
        ));
        return Err(error.hint("a model belongs in a file of its own, which the recipe names"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|&byte| byte == b'\n').count();
        refuse()
            .because(format!("line {line}: this is not UTF-8 text"))
            .hint("a recipe is a TOML file, saved as UTF-8")
    })
}

/// Names the file beside `path` that the user may have meant: one of a `kind` that is known by its `endings`.
pub(crate) fn where_to_look(path: &Path, endings: &[&str], kind: &str) -> String {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else {
        return format!("the folder {} is not there or cannot be listed", folder.display());
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| {
            let path = entry.path();
            path.extension()
                .is_some_and(|found| endings.iter().any(|ending| found == *ending))
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let wanted = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    match (nearest(&wanted, &names), names.as_slice()) {
        (Some(name), _) => format!("did you mean {}?", folder.join(name).display()),
        (None, []) => format!("there is no {kind} in {}", folder.display()),
        (None, names) => format!("the {kind}s in {} are {}", folder.display(), some_of(names)),
    }
}

/// The first few `names`, in words.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        format!("{shown} and {} more", names.len() - SHOWN)
    } else {
        shown
    }
}

//! Where a folder keeps its templates.

use std::path::Path;
use std::{fs, io};

use serde_json::Value;

use super::{ADDITIONAL_CHAT_TEMPLATES, CHAT_TEMPLATE};
use crate::chat_templates::ChatTemplates;
use crate::error::{HubError, fault};
use crate::file;

/// No template is longer; the longest known have some tens of thousands of bytes.
const MAX_TEMPLATE: u64 = 1 << 22;

impl ChatTemplates {
    /// The templates of `tokenizer_config.json`, in its field `chat_template`: a text, or a list of objects with `name` and
    /// `template`. Errors call the file by `path`.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn from_tokenizer_config(path: &Path, config: &Value) -> Result<Self, HubError> {
        let mut templates = Self::default();
        match config.get("chat_template") {
            None | Some(Value::Null) => {}
            Some(Value::String(template)) => templates.insert(Self::DEFAULT, template),
            Some(Value::Array(list)) => {
                for (number, entry) in list.iter().enumerate() {
                    let text = |field: &str| entry.get(field).and_then(Value::as_str);
                    let (Some(name), Some(template)) = (text("name"), text("template")) else {
                        let detail = format!("`chat_template`, entry {number}: expected texts `name` and `template`");
                        return Err(fault(path, detail));
                    };
                    if templates.get(name).is_some() {
                        return Err(fault(path, format!("`chat_template`: the name `{name}` comes twice")));
                    }
                    templates.insert(name, template);
                }
            }
            Some(_) => {
                let detail = "`chat_template`: expected a text, or a list of objects with `name` and `template`";
                return Err(fault(path, detail));
            }
        }
        Ok(templates)
    }

    /// The templates that a folder has in files of their own.
    pub(super) fn of_files(folder: &Path) -> Result<Self, HubError> {
        let mut templates = Self::default();
        let single = folder.join(CHAT_TEMPLATE);
        if single.exists() {
            templates.insert(Self::DEFAULT, &text(&single)?);
        }
        let further = folder.join(ADDITIONAL_CHAT_TEMPLATES);
        let read = |source| HubError::Read {
            path: further.clone(),
            source,
        };
        let entries = match fs::read_dir(&further) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(templates),
            entries => entries.map_err(read)?,
        };
        for entry in entries {
            let path = entry.map_err(read)?.path();
            if let (Some(name), Some("jinja")) = (path.file_stem(), path.extension().and_then(|e| e.to_str())) {
                templates.insert(&name.to_string_lossy(), &text(&path)?);
            }
        }
        Ok(templates)
    }
}

fn text(path: &Path) -> Result<String, HubError> {
    let bytes = file::read(path, MAX_TEMPLATE)?;
    String::from_utf8(bytes).map_err(|error| fault(path, format!("not UTF-8: {error}")))
}

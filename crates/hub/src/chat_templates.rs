//! The templates that make text of conversations.

use std::collections::BTreeMap;

/// Templates by name, in Jinja. Most models have one, whose name is `default`; others have one for tools besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatTemplates(BTreeMap<String, String>);

impl ChatTemplates {
    /// The name of the template for everything that has no template of its own.
    pub const DEFAULT: &str = "default";

    /// Adds a template, or puts it in the place of the one of the same name.
    pub fn insert(&mut self, name: &str, template: &str) {
        self.0.insert(name.into(), template.into());
    }

    /// The template of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and templates, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, template)| (name.as_str(), template.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

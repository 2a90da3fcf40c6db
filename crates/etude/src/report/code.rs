//! TOML listings with light colours.

use maud::{Markup, Render, html};

/// A TOML listing, such as the recipe that repeats a run.
#[derive(Clone, Debug)]
pub struct Code {
    source: String,
    /// What stands for the listing while it is folded away.
    summary: Option<String>,
}

impl Code {
    /// A listing of TOML text, shown as it is.
    pub fn toml(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            summary: None,
        }
    }

    /// Folds the listing away behind `summary`, until a reader asks for it.
    pub fn folded(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }
}

impl Render for Code {
    fn render(&self) -> Markup {
        let listing = html! {
            pre tabindex="0" { code { @for line in self.source.trim_end().lines() { (coloured(line)) "\n" } } }
        };
        html! {
            @if let Some(summary) = &self.summary {
                details { summary { (summary) } (listing) }
            } @else {
                (listing)
            }
        }
    }
}

/// One line, with its comment, table name and key marked. Colour is a courtesy: a line inside a multi-line string may
/// be marked as if it stood alone, and the text is the same either way.
fn coloured(line: &str) -> Markup {
    let (body, comment) = line.split_at(comment_start(line));
    let table = body.trim_start().starts_with('[');
    html! {
        @if table {
            span.table-name { (body) }
        } @else if let Some((key, value)) = body.split_once('=') {
            span.key { (key) } "=" (value)
        } @else {
            (body)
        }
        @if !comment.is_empty() { span.comment { (comment) } }
    }
}

/// Where the comment of a line starts: the first `#` outside quotes, else the end of the line.
fn comment_start(line: &str) -> usize {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return at,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_line_are_marked() {
        let page = Code::toml("[grid]\nsize = 5 # rows\nname = \"a # b\"\n")
            .render()
            .into_string();
        assert!(page.contains(r#"<span class="table-name">[grid]</span>"#));
        assert!(page.contains(r#"<span class="key">size </span>= 5 <span class="comment"># rows</span>"#));
        assert!(page.contains("&quot;a # b&quot;\n"));
        let folded = Code::toml("a = 1").folded("<recipe>").render().into_string();
        assert!(folded.starts_with("<details><summary>&lt;recipe&gt;</summary><pre"));
    }
}

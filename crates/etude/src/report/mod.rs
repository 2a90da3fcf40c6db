//! The report of a run: one self-contained HTML page with figures, tables, curves, value maps and the recipe.
//!
//! The page needs no network, no script and no font beyond the reader's own; its security policy forbids the browser to
//! load anything at all. It follows the reader's light or dark scheme, fits a telephone and prints. Everything that can
//! stand in a [`Section`] implements [`maud::Render`], so another domain adds its own kind of item without a change
//! here.
//!
//! ```
//! use etude::report::{Plot, Report, Section, Table};
//!
//! let page = Report::new("Grid world, 5 x 5")
//!     .subtitle("The optimal policy by value iteration")
//!     .card("sweeps", "133", "to a guaranteed error of 1e-6")
//!     .section(
//!         Section::new("Convergence")
//!             .text("Every sweep shrinks the error by the discount.")
//!             .item(&Plot::new("Residual", "sweep", "residual").log_y().series("Jacobi", [(1.0, 1.0), (2.0, 0.9)]))
//!             .item(&Table::new(["state", "value"]).row(["0", "5.83"])),
//!     )
//!     .render();
//! assert!(page.starts_with("<!DOCTYPE html>"));
//! ```

mod axis;
mod code;
pub(crate) mod colour;
mod grid;
mod grid_svg;
pub(crate) mod number;
mod picture;
mod plot;
mod signs;
mod table;

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

pub use code::Code;
pub use grid::{CellKind, Directions, GridMap};
pub use picture::Picture;
pub use plot::Plot;
pub use table::Table;

/// A page under construction: a title, summary figures, sections and how it was made.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    subtitle: String,
    cards: Vec<Card>,
    sections: Vec<Section>,
    provenance: Option<Provenance>,
}

/// A figure of the summary.
#[derive(Clone, Debug)]
struct Card {
    label: String,
    value: String,
    note: String,
}

/// How a report was made: its footer.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The command line that repeats the run.
    pub command: String,
    /// The seed of every random number, where the run drew any.
    pub seed: Option<u64>,
    /// How long the run took.
    pub wall_time: Duration,
}

/// A heading with paragraphs and items below it, in the order in which they were added.
#[derive(Clone, Debug)]
pub struct Section {
    heading: String,
    items: Vec<Markup>,
}

impl Section {
    /// An empty section.
    pub fn new(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            items: Vec::new(),
        }
    }

    /// Adds a paragraph.
    pub fn text(mut self, text: impl AsRef<str>) -> Self {
        self.items.push(html! { p { (text.as_ref()) } });
        self
    }

    /// Adds a remark, set apart from the text.
    pub fn note(mut self, text: impl AsRef<str>) -> Self {
        self.items.push(html! { aside { (text.as_ref()) } });
        self
    }

    /// Adds a [`Table`], [`Plot`], [`GridMap`], [`Picture`], [`Code`] or anything else that renders itself.
    /// Neighbouring maps stand side by side where the page is wide enough.
    pub fn item(mut self, item: &impl Render) -> Self {
        self.items.push(item.render());
        self
    }
}

impl Report {
    /// A page with nothing but a title.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            subtitle: String::new(),
            cards: Vec::new(),
            sections: Vec::new(),
            provenance: None,
        }
    }

    /// Sets the line below the title.
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> Self {
        self.subtitle = subtitle.into();
        self
    }

    /// Adds a summary figure: what it is, its value, and a unit or a remark (which may be empty).
    pub fn card(mut self, label: impl Into<String>, value: impl Into<String>, note: impl Into<String>) -> Self {
        self.cards.push(Card {
            label: label.into(),
            value: value.into(),
            note: note.into(),
        });
        self
    }

    /// Adds a section.
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// Says in the footer how the page was made.
    pub fn provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = Some(provenance);
        self
    }

    /// The whole page as HTML.
    pub fn render(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                    meta name="generator" content={ "étude " (env!("CARGO_PKG_VERSION")) };
                    title { (self.title) " · étude" }
                    style { (PreEscaped(include_str!("style.css"))) }
                }
                body {
                    header {
                        p.brand { "étude" }
                        h1 { (self.title) }
                        @if !self.subtitle.is_empty() { p.subtitle { (self.subtitle) } }
                    }
                    main {
                        (self.summary())
                        (self.contents())
                        @for (i, section) in self.sections.iter().enumerate() {
                            section id={ "section-" (i + 1) } {
                                h2 { (section.heading) }
                                div.items { @for item in &section.items { (item) } }
                            }
                        }
                    }
                    (self.footer())
                }
            }
        };
        page.into_string()
    }

    fn summary(&self) -> Markup {
        html! {
            @if !self.cards.is_empty() {
                dl.cards {
                    @for card in &self.cards {
                        div {
                            dt { (card.label) }
                            dd.value { (card.value) }
                            @if !card.note.is_empty() { dd.remark { (card.note) } }
                        }
                    }
                }
            }
        }
    }

    /// A table of contents, once there is more to find than a glance can.
    fn contents(&self) -> Markup {
        html! {
            @if self.sections.len() > 3 {
                nav aria-label="Contents" {
                    ol {
                        @for (i, section) in self.sections.iter().enumerate() {
                            li { a href={ "#section-" (i + 1) } { (section.heading) } }
                        }
                    }
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        html! {
            footer {
                dl {
                    div { dt { "Made by" } dd { "étude " (env!("CARGO_PKG_VERSION")) } }
                    @if let Some(made) = &self.provenance {
                        div { dt { "Wall time" } dd { (duration(made.wall_time)) } }
                        @if let Some(seed) = made.seed { div { dt { "Seed" } dd { (seed) } } }
                        div.command { dt { "Command" } dd { code { (made.command) } } }
                    }
                }
            }
        }
    }
}

/// A figure of some kind with its caption, which may be empty. Content wider than the page scrolls within the figure.
fn figure(kind: &str, caption: &str, content: &Markup) -> Markup {
    html! {
        figure class=(kind) {
            div.scroll { (content) }
            @if !caption.is_empty() { figcaption { (caption) } }
        }
    }
}

/// A duration in the unit that suits it.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..1e-3 => format!("{:.0} µs", seconds * 1e6),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        ..60.0 => format!("{seconds:.1} s"),
        _ => {
            let whole = time.as_secs();
            let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
            if hours > 0 {
                format!("{hours} h {minutes:02} min")
            } else {
                format!("{minutes} min {seconds:02} s")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_escaped() {
        let page = Report::new("<script>alert(1)</script>")
            .subtitle("a & b")
            .card("<i>", "<i>", "<i>")
            .section(Section::new("<i>").text("<i>").note("<i>"))
            .provenance(Provenance {
                command: "etude <i>".into(),
                seed: Some(1),
                wall_time: Duration::from_secs(1),
            })
            .render();
        assert!(!page.contains("<script") && !page.contains("<i>") && page.contains("a &amp; b"));
    }

    #[test]
    fn contents_appear_with_more_than_three_sections() {
        let with = |count: usize| {
            let report = (0..count).fold(Report::new("t"), |report, i| {
                report.section(Section::new(i.to_string()))
            });
            report.render().contains("<nav")
        };
        assert!(!with(3) && with(4));
    }

    #[test]
    fn the_page_names_no_address() {
        let page = Report::new("t").section(Section::new("s")).render();
        for needle in ["http://", "https://", "url(", "@import", "<link", "src="] {
            assert!(!page.contains(needle), "{needle}");
        }
    }

    #[test]
    fn durations_read_well() {
        let cases = [
            (0.000_25, "250 µs"),
            (0.25, "250 ms"),
            (12.34, "12.3 s"),
            (125.0, "2 min 05 s"),
            (7260.0, "2 h 01 min"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), text);
        }
    }
}

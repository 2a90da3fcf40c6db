//! A drawing that its caller made.

use maud::{Markup, PreEscaped, Render, html};

use super::figure;

/// An SVG drawing with a caption, for whatever the other items cannot show.
#[derive(Clone, Debug)]
pub struct Picture {
    caption: String,
    svg: String,
}

impl Picture {
    /// A drawing from one `<svg>` element.
    ///
    /// The text enters the page as it is, so it must come from the program itself and never from a user's file. The
    /// page's security policy lets it load nothing and run nothing.
    pub fn svg(caption: impl Into<String>, svg: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            svg: svg.into(),
        }
    }
}

impl Render for Picture {
    fn render(&self) -> Markup {
        let drawing = html! { div.picture role="img" aria-label=(self.caption) { (PreEscaped(&self.svg)) } };
        figure("wide", &self.caption, &drawing)
    }
}

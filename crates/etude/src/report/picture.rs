//! A drawing that its caller made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, Render, html};

use super::figure;

/// A drawing or a moving picture with a caption, for whatever the other items cannot show.
#[derive(Clone, Debug)]
pub struct Picture {
    caption: String,
    /// What stands in the page.
    markup: String,
}

impl Picture {
    /// A drawing from one `<svg>` element.
    ///
    /// The text enters the page as it is, so it must come from the program itself and never from a user's file. The
    /// page's security policy lets it load nothing and run nothing.
    pub fn svg(caption: impl Into<String>, svg: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            markup: svg.into(),
        }
    }

    /// A moving picture: the bytes of a GIF, `width` pixels wide on the page. They become part of it.
    pub fn gif(caption: impl Into<String>, bytes: &[u8], width: u16) -> Self {
        let caption = caption.into();
        let data = STANDARD.encode(bytes);
        let image = html! { img width=(width) alt=(caption) src={ "data:image/gif;base64," (data) }; };
        Self {
            markup: image.into_string(),
            caption,
        }
    }
}

impl Render for Picture {
    fn render(&self) -> Markup {
        let drawing = html! { div.picture role="img" aria-label=(self.caption) { (PreEscaped(&self.markup)) } };
        figure("wide", &self.caption, &drawing)
    }
}

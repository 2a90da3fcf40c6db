//! Which colours a terminal can show.

use crate::report::colour::Rgb;

/// The escape codes that end all colours.
pub(super) const RESET: &str = "\x1b[0m";

/// How pictures are drawn: the caller knows the stream and its width.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The colours that the stream shows.
    pub colour: Colour,
    /// The width to fill, in characters.
    pub width: usize,
}

/// The colours that a stream shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// None: plain text without escape codes.
    None,
    /// The 256 indexed colours that nearly every terminal has.
    Ansi256,
    /// 24 bits.
    TrueColour,
}

impl Colour {
    /// The colours of a stream, from whether it is a terminal and from the environment: `NO_COLOR` turns colour off,
    /// `CLICOLOR_FORCE` turns it on even in a file or a pipe, `TERM=dumb` has none, and `COLORTERM` says whether there
    /// are 24 bits.
    pub fn detect(stream_is_terminal: bool) -> Self {
        Self::from_environment(stream_is_terminal, |name| std::env::var(name).ok())
    }

    fn from_environment(stream_is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let filled = |name| variable(name).filter(|value| !value.is_empty());
        let forced = filled("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let able = stream_is_terminal && filled("TERM").is_none_or(|term| term != "dumb");
        if filled("NO_COLOR").is_some() || !(forced || able) {
            return Self::None;
        }
        match filled("COLORTERM").as_deref() {
            Some("truecolor" | "24bit") => Self::TrueColour,
            _ => Self::Ansi256,
        }
    }

    /// The escape code that writes on this background from here on; empty without colours.
    pub(super) fn background(self, colour: Rgb) -> String {
        self.code(48, colour)
    }

    /// The escape code that writes in this colour from here on; empty without colours.
    pub(super) fn foreground(self, colour: Rgb) -> String {
        self.code(38, colour)
    }

    fn code(self, layer: u8, colour: Rgb) -> String {
        match self {
            Self::None => String::new(),
            Self::Ansi256 => format!("\x1b[{layer};5;{}m", indexed(colour)),
            Self::TrueColour => format!("\x1b[{layer};2;{};{};{}m", colour.0, colour.1, colour.2),
        }
    }
}

/// The index of the nearest of the colours 16 to 255: a cube of 6 × 6 × 6 and, after it, a ramp of 24 greys.
fn indexed(Rgb(red, green, blue): Rgb) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |step: u8| LEVELS[usize::from(step % 6)];
    let distance = |index: &u8| {
        let cube = index - 16;
        let [r, g, b] = if *index < 232 {
            [cube / 36, cube / 6, cube].map(level)
        } else {
            [8 + 10 * (index - 232); 3]
        };
        [r.abs_diff(red), g.abs_diff(green), b.abs_diff(blue)]
            .map(|channel| u32::from(channel).pow(2))
            .iter()
            .sum::<u32>()
    };
    (16..=255).min_by_key(distance).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(stream_is_terminal: bool, environment: &[(&str, &str)]) -> Colour {
        Colour::from_environment(stream_is_terminal, |name| {
            environment
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_decides() {
        assert_eq!(detected(true, &[]), Colour::Ansi256);
        assert_eq!(detected(false, &[("COLORTERM", "truecolor")]), Colour::None);
        assert_eq!(detected(true, &[("COLORTERM", "truecolor")]), Colour::TrueColour);
        assert_eq!(detected(true, &[("TERM", "dumb")]), Colour::None);
        assert_eq!(
            detected(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]),
            Colour::None
        );
        assert_eq!(detected(true, &[("NO_COLOR", "")]), Colour::Ansi256);
        assert_eq!(detected(false, &[("CLICOLOR_FORCE", "1")]), Colour::Ansi256);
        assert_eq!(detected(false, &[("CLICOLOR_FORCE", "0")]), Colour::None);
    }

    #[test]
    fn codes_name_the_nearest_colour() {
        assert_eq!(Colour::Ansi256.background(Rgb(255, 0, 90)), "\x1b[48;5;197m");
        assert_eq!(Colour::TrueColour.foreground(Rgb(1, 2, 3)), "\x1b[38;2;1;2;3m");
        assert_eq!(Colour::None.foreground(Rgb(1, 2, 3)), "");
    }
}

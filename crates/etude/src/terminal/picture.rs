//! Drawn scenes: two pixels to a character where there is colour, shades where there is none.

use etude_rl::render::{Frame, Scene};

use crate::report::colour::Rgb;
use crate::report::number;

use super::colour::{Colour, RESET, Style};

/// The most columns of text a scene takes, and the most lines.
const WIDEST: u16 = 100;
const TALLEST: u16 = 50;
/// From what looks like the background to what looks least like it.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// Draws a scene as text, each line with its newline, `style.width` characters wide where that makes at most 50 lines.
///
/// A character is about twice as high as it is wide, so that it holds two pixels. In colour both are shown; without it,
/// shades say how far what is there is from the background.
pub fn picture(scene: &Scene, style: Style) -> String {
    let most = u16::try_from(style.width).unwrap_or(WIDEST).clamp(1, WIDEST);
    // Two rows of pixels to a line.
    let lines = |width: u16| scene.height_for(width).div_ceil(2);
    let width = (1..=most).rev().find(|&width| lines(width) <= TALLEST).unwrap_or(1);
    let frame = scene.raster(width, 2 * lines(width).min(TALLEST));
    let line = |y: u16| match style.colour {
        Colour::None => shades(&frame, y, rgb(scene.background())),
        colour => half_blocks(&frame, y, colour),
    };
    (0..frame.height()).step_by(2).map(line).collect()
}

/// Two rows of pixels: the upper one in front and the lower one behind. A colour is named where it changes.
fn half_blocks(frame: &Frame, y: u16, colour: Colour) -> String {
    let mut line = String::new();
    let mut current = (None, None);
    for x in 0..frame.width() {
        let (upper, lower) = pair(frame, x, y);
        let colours = (Some(upper), Some(lower));
        if colours.0 != current.0 {
            line += &colour.foreground(upper);
        }
        if colours.1 != current.1 {
            line += &colour.background(lower);
        }
        current = colours;
        line.push('▀');
    }
    line + RESET + "\n"
}

/// Two rows of pixels as one row of shades.
fn shades(frame: &Frame, y: u16, background: Rgb) -> String {
    let distance = |pixel: Rgb| {
        let channels = [
            (pixel.0, background.0),
            (pixel.1, background.1),
            (pixel.2, background.2),
        ];
        channels
            .map(|(a, b)| f64::from(a.abs_diff(b)))
            .into_iter()
            .fold(0.0, f64::max)
    };
    let shade = |x: u16| {
        let (upper, lower) = pair(frame, x, y);
        // The root, by which thin lines and pale colours are seen too.
        let mean = f64::midpoint(distance(upper), distance(lower));
        number::pick(&SHADES, (mean / 255.0).sqrt())
    };
    (0..frame.width()).map(shade).collect::<String>().trim_end().to_owned() + "\n"
}

/// A pixel and the one below it.
fn pair(frame: &Frame, x: u16, y: u16) -> (Rgb, Rgb) {
    (rgb(frame.pixel(x, y)), rgb(frame.pixel(x, y + 1)))
}

fn rgb(etude_rl::render::Rgb(red, green, blue): etude_rl::render::Rgb) -> Rgb {
    Rgb(red, green, blue)
}

#[cfg(test)]
mod tests {
    use etude_rl::{Env, make};
    use insta::assert_snapshot;

    use super::*;

    fn drawn(id: &str, width: usize, colour: Colour) -> String {
        let mut env = make(id).unwrap();
        let mut observation = vec![0.0; env.observation_space().length()];
        env.reset(Some(1), &mut observation);
        picture(&env.render().unwrap(), Style { colour, width })
    }

    #[test]
    fn shades_without_colour() {
        assert_snapshot!(drawn("CartPole-v1", 40, Colour::None), @"
                         ▒▒
                         ▒▒
                         ▒▓
                       ▒▓▓▓▓▓░
        ░░             ▓█▓▓█▓░            ░░
        ▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░▒
        ");
    }

    #[test]
    fn half_blocks_with_colour() {
        let text = drawn("Pendulum-v1", 8, Colour::TrueColour);
        assert_snapshot!(text.replace('\x1b', "␛"), @"
        ␛[38;2;246;247;249m␛[48;2;246;247;249m▀▀▀␛[38;2;232;241;240m▀▀␛[38;2;246;247;249m▀▀▀␛[0m
        ␛[38;2;245;235;230m␛[48;2;245;234;228m▀␛[38;2;246;234;227m␛[48;2;244;194;164m▀␛[38;2;246;247;249m␛[48;2;243;186;149m▀␛[48;2;244;205;179m▀␛[48;2;245;237;233m▀␛[48;2;246;247;249m▀▀▀␛[0m
        ␛[38;2;246;247;249m␛[48;2;246;247;249m▀▀␛[38;2;245;242;241m▀␛[38;2;244;223;211m▀␛[38;2;245;232;223m▀␛[38;2;246;247;249m▀▀▀␛[0m
        ␛[38;2;246;247;249m␛[48;2;246;247;249m▀▀▀▀▀▀▀▀␛[0m
        ");
    }

    #[test]
    fn every_environment_fits() {
        for known in etude_rl::environments() {
            for width in [0, 1, 33, 80, 100_000] {
                let text = drawn(known.id, width, Colour::TrueColour);
                let lines: Vec<usize> = text.lines().map(|line| line.matches('▀').count()).collect();
                assert!(lines.len() <= 50 && !lines.is_empty(), "{} {width}", known.id);
                let columns = lines[0];
                assert!(columns <= width.clamp(1, 100) && lines.iter().all(|line| *line == columns));
                assert_eq!(drawn(known.id, width, Colour::None).lines().count(), lines.len());
            }
        }
    }
}

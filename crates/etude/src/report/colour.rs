//! Colours for value maps, in the report and in the terminal alike.
//!
//! A map is a short table of anchors in OKLCH, the polar form of the `OKLab` colour space (Ottosson, 2020), where equal
//! steps look equally large. Lightness rises evenly along the sequential map, so it survives greyscale printing and
//! every common form of colour blindness; the diverging map runs from vermilion through paper to blue, never red
//! against green.

use super::number;

/// A colour in sRGB, eight bits a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rgb(pub(crate) u8, pub(crate) u8, pub(crate) u8);

impl Rgb {
    pub(crate) const BLACK: Self = Self(0x10, 0x12, 0x18);
    pub(crate) const WHITE: Self = Self(0xff, 0xff, 0xff);
    /// Walls: neither scale holds a grey.
    pub(crate) const WALL: Self = Self(0x6b, 0x70, 0x7b);

    /// The colour as `#rrggbb`.
    pub(crate) fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// Black or white, whichever is easier to read on this colour.
    pub(crate) fn ink(self) -> Self {
        if self.contrast(Self::BLACK) > self.contrast(Self::WHITE) {
            Self::BLACK
        } else {
            Self::WHITE
        }
    }

    /// The contrast ratio of WCAG 2, from 1 (the same luminance) to 21 (black on white).
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        a.max(b) / a.min(b)
    }

    /// Relative luminance as WCAG 2 defines it, from 0 (black) to 1 (white).
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

/// An anchor: lightness, chroma, hue in degrees.
type Oklch = [f64; 3];

/// Indigo, blue, teal, green, yellow: dark is low.
const SEQUENTIAL: [Oklch; 6] = [
    [0.28, 0.110, 305.0],
    [0.42, 0.115, 278.0],
    [0.55, 0.100, 240.0],
    [0.68, 0.105, 185.0],
    [0.80, 0.150, 145.0],
    [0.92, 0.170, 108.0],
];

/// Vermilion, paper, blue: negative, zero, positive.
const DIVERGING: [Oklch; 7] = [
    [0.42, 0.150, 30.0],
    [0.60, 0.160, 40.0],
    [0.79, 0.090, 60.0],
    [0.95, 0.010, 90.0],
    [0.79, 0.080, 235.0],
    [0.58, 0.125, 250.0],
    [0.38, 0.120, 262.0],
];

/// From values to colours: sequential, or diverging with its middle at zero where the values take both signs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColourScale {
    low: f64,
    high: f64,
    anchors: &'static [Oklch],
}

impl ColourScale {
    /// The scale for values from `min` to `max`, both finite.
    pub(crate) fn spanning(min: f64, max: f64) -> Self {
        let reach = max.abs().max(min.abs());
        // A sign that is only rounding noise must not halve the colours left to the rest.
        if min < -1e-3 * reach && max > 1e-3 * reach {
            Self {
                low: -reach,
                high: reach,
                anchors: &DIVERGING,
            }
        } else {
            Self {
                low: min,
                high: max,
                anchors: &SEQUENTIAL,
            }
        }
    }

    /// Whether the scale has its middle at zero.
    pub(crate) fn is_diverging(self) -> bool {
        self.anchors.len() == DIVERGING.len()
    }

    /// The colour of a value; values outside the range take the colour of its nearer end.
    pub(crate) fn colour(self, value: f64) -> Rgb {
        let position = number::fraction(value, self.low, self.high) * (self.anchors.len() - 1) as f64;
        #[expect(clippy::cast_sign_loss, reason = "a fraction is not negative")]
        let below = (position as usize).min(self.anchors.len() - 2);
        mix(self.anchors[below], self.anchors[below + 1], position - below as f64)
    }

    /// `count` colours evenly spread from value `min` to value `max`: a colour bar.
    pub(crate) fn bar(self, min: f64, max: f64, count: usize) -> impl Iterator<Item = Rgb> {
        (0..count).map(move |i| {
            let t = i as f64 / (count.max(2) - 1) as f64;
            self.colour(min * (1.0 - t) + max * t)
        })
    }
}

/// The colour a fraction `t` of the way from `a` to `b`, along a straight line in `OKLab`.
fn mix(a: Oklch, b: Oklch, t: f64) -> Rgb {
    let (from, to) = (oklab(a), oklab(b));
    let at = |i: usize| from[i] + t * (to[i] - from[i]);
    to_srgb([at(0), at(1), at(2)])
}

/// From polar to rectangular coordinates: lightness, green-red, blue-yellow.
fn oklab([lightness, chroma, hue]: Oklch) -> [f64; 3] {
    let (sin, cos) = hue.to_radians().sin_cos();
    [lightness, chroma * cos, chroma * sin]
}

/// From `OKLab` to sRGB, with the matrices of the colour space's definition.
fn to_srgb([lightness, a, b]: [f64; 3]) -> Rgb {
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    Rgb(
        encode(4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s),
        encode(-1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s),
        encode(-0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s),
    )
}

/// The gamma curve of sRGB, from linear light to eight bits.
#[expect(clippy::cast_sign_loss, reason = "the channel is clamped to 0..=1 before the cast")]
fn encode(linear: f64) -> u8 {
    let c = linear.clamp(0.0, 1.0);
    let encoded = if c <= 0.003_130_8 {
        12.92 * c
    } else {
        1.055 * c.powf(1.0 / 2.4) - 0.055
    };
    (encoded * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequential_lightness_rises_all_the_way() {
        let scale = ColourScale::spanning(0.0, 1.0);
        let bar: Vec<f64> = scale.bar(0.0, 1.0, 64).map(Rgb::luminance).collect();
        assert!(bar.windows(2).all(|pair| pair[0] < pair[1]), "{bar:?}");
    }

    #[test]
    fn diverging_is_centred_at_zero() {
        let scale = ColourScale::spanning(-1.0, 10.0);
        assert!(scale.is_diverging());
        assert_eq!(scale.colour(0.0).hex(), "#f1eee7");
        let Rgb(red, _, blue) = scale.colour(10.0);
        assert!(blue > red);
        let Rgb(red, _, blue) = scale.colour(-10.0);
        assert!(red > blue);
    }

    #[test]
    fn rounding_noise_does_not_make_a_scale_diverge() {
        assert!(!ColourScale::spanning(-1e-12, 10.0).is_diverging());
    }

    #[test]
    fn extreme_and_constant_ranges_have_colours() {
        ColourScale::spanning(f64::MIN, f64::MAX).colour(f64::MAX);
        ColourScale::spanning(0.0, f64::MAX).colour(1.0);
        let constant = ColourScale::spanning(3.0, 3.0);
        assert_eq!(constant.colour(3.0), constant.colour(3.0));
    }

    #[test]
    fn ink_contrasts_with_every_colour_of_both_scales() {
        for (min, max) in [(0.0, 1.0), (-1.0, 1.0)] {
            for colour in ColourScale::spanning(min, max).bar(min, max, 100) {
                let ratio = colour.contrast(colour.ink());
                assert!(ratio >= 4.2, "{} has contrast {ratio:.2}", colour.hex());
            }
        }
    }
}

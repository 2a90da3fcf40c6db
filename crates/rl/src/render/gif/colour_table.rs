//! The few colours of a GIF.

use std::cmp::Reverse;
use std::collections::HashMap;

/// Colours in a table, whose first place is for pixels that stay as they are.
const MOST_COLOURS: usize = 255;

/// Colours that fill areas; more than a drawing has is of no use.
const MOST_AREAS: usize = 8;

/// Up to 255 colours.
pub(super) struct ColourTable {
    colours: Vec<[u8; 4]>,
    /// The places of colours that were looked for, and how far what is there is from them.
    found: HashMap<[u8; 4], (u8, u32)>,
}

impl ColourTable {
    /// The most frequent colours. Areas of one colour come before what is between them.
    pub(super) fn of(pixels: impl Iterator<Item = [u8; 4]>) -> Self {
        let mut counts: HashMap<[u8; 4], usize> = HashMap::new();
        for pixel in pixels {
            *counts.entry(pixel).or_default() += 1;
        }
        let mut colours: Vec<_> = counts.into_iter().collect();
        colours.sort_unstable_by_key(|&(colour, count)| (Reverse(count), colour));
        let mut colours: Vec<_> = colours.into_iter().map(|(colour, _)| colour).collect();
        colours.truncate(MOST_COLOURS);
        Self {
            colours,
            found: HashMap::new(),
        }
    }

    /// Adds what smooth edges between the most frequent colours are made of, as far as there is room.
    pub(super) fn with_edges(mut self) -> Self {
        let areas: Vec<_> = self.colours.iter().copied().take(MOST_AREAS).collect();
        for (index, front) in areas.iter().enumerate() {
            for back in &areas[..index] {
                for eighth in 1..8 {
                    let mix = |channel: usize| {
                        let [front, back] = [front, back].map(|colour| u32::from(colour[channel]));
                        ((eighth * front + (8 - eighth) * back) / 8) as u8
                    };
                    self.colours.push(std::array::from_fn(mix));
                }
            }
        }
        self.colours.truncate(MOST_COLOURS);
        self
    }

    /// As a GIF holds it. The first place is free.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let colours = self.colours.iter().flat_map(|colour| &colour[..3]);
        [0; 3].iter().chain(colours).copied().collect()
    }

    /// The places of the nearest colours, 0 for a pixel that does not change, and the greatest distance.
    pub(super) fn indices(&mut self, pixels: &[Option<[u8; 4]>]) -> (Vec<u8>, u32) {
        let mut greatest = 0;
        let indices = pixels.iter().map(|pixel| {
            pixel.map_or(0, |colour| {
                let colours = &self.colours;
                let (place, distance) = *self.found.entry(colour).or_insert_with(|| nearest(colours, colour));
                greatest = greatest.max(distance);
                place
            })
        });
        (indices.collect(), greatest)
    }
}

/// The place of the colour that is nearest to one, from 1, and the distance.
fn nearest(colours: &[[u8; 4]], colour: [u8; 4]) -> (u8, u32) {
    let places = (1..=u8::MAX).zip(colours.iter().map(|other| distance(*other, colour)));
    places.min_by_key(|&(_, distance)| distance).unwrap_or((0, 0))
}

/// The sum of squares of the channels' differences.
pub(super) fn distance(a: [u8; 4], b: [u8; 4]) -> u32 {
    (a.iter().zip(b)).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

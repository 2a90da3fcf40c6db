//! The colours of all pictures.

use super::scene::Rgb;

/// What most things stand on.
pub const PAPER: Rgb = Rgb(0xf6, 0xf7, 0xf9);
/// Lighter than paper: tiles and cards.
pub const WHITE: Rgb = Rgb(0xff, 0xff, 0xff);
/// Thin lines and what lies between tiles.
pub const RULE: Rgb = Rgb(0xdd, 0xe1, 0xe8);
/// What is there and does not matter.
pub const SOFT: Rgb = Rgb(0x9a, 0xa3, 0xb2);
/// Nearly black.
pub const INK: Rgb = Rgb(0x27, 0x2c, 0x38);
/// What acts.
pub const ORANGE: Rgb = Rgb(0xf0, 0x7f, 0x34);
/// Bodies that are moved.
pub const BLUE: Rgb = Rgb(0x35, 0x69, 0xc8);
/// Where to go.
pub const GREEN: Rgb = Rgb(0x22, 0x9a, 0x72);
/// Where not to go.
pub const RED: Rgb = Rgb(0xd3, 0x45, 0x40);
/// Attention.
pub const YELLOW: Rgb = Rgb(0xf4, 0xb9, 0x33);
/// Ice.
pub const ICE: Rgb = Rgb(0xdc, 0xec, 0xf7);
/// Deep water.
pub const WATER: Rgb = Rgb(0x2b, 0x55, 0x82);
/// Hills.
pub const GRASS: Rgb = Rgb(0xb9, 0xd4, 0xb4);

//! Pictures in the terminal: value maps with policy arrows, tables, sparklines and drawn scenes. Every function returns its text;
//! nothing here prints.

mod blocks;
mod colour;
mod glyph;
mod grid;
mod picture;
mod sparkline;
mod table;

pub use colour::{Colour, Style};
pub use grid::grid_map;
pub use picture::picture;
pub use sparkline::sparkline;
pub use table::table;

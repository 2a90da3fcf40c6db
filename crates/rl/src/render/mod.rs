//! Pictures of environments: scenes of a few shapes, and what is made of them: pixels, an animated GIF, or SVG.
//!
//! ```
//! use etude_rl::{Env, make};
//!
//! let mut env = make("Pendulum-v1")?;
//! env.reset(Some(1), &mut [0.0; 3]);
//! if let Some(scene) = env.render() {
//!     let frame = scene.raster(64, 64);
//!     assert_eq!(frame.pixels().len(), 64 * 64 * 4);
//! }
//! # Ok::<(), etude_rl::RlError>(())
//! ```

pub(crate) mod board;
pub(crate) mod digits;
mod gif;
pub mod palette;
mod raster;
mod recorder;
mod recording;
mod scene;
mod svg;

pub use gif::GifWriter;
pub use raster::Frame;
pub use recorder::Recorder;
pub use recording::{Recording, record};
pub(crate) use scene::placed;
pub use scene::{Point, Rgb, Scene, Shape};

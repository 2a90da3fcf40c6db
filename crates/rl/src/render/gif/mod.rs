//! Frames as an animated GIF.

mod colour_table;

use std::io::Write;

use gif::{Encoder, Repeat};

use self::colour_table::ColourTable;
use super::raster::Frame;
use crate::error::RlError;

/// Viewers slow down what is faster.
const MOST_FRAMES_PER_SECOND: u32 = 50;

/// So far may a colour be from the one that stands for it, as the sum of squares of the channels' differences.
const TOLERANCE: u32 = 24 * 24;

/// Writes frames of one size as a GIF that plays for ever.
///
/// A drawing has few colours: those of the first frame do for most others, and a frame that needs more brings its own. Of
/// each frame only the pixels that change are written.
pub struct GifWriter<W: Write> {
    encoder: Encoder<W>,
    table: ColourTable,
    frames_per_second: u32,
    frames: u32,
    /// What the viewer shows.
    shown: Option<Frame>,
}

impl<W: Write> GifWriter<W> {
    /// Begins with a first frame.
    ///
    /// # Errors
    /// [`RlError::FramesPerSecond`] unless there are 1 to 50 frames per second; [`RlError::Gif`] where `writer` fails.
    pub fn new(writer: W, first: &Frame, frames_per_second: u32) -> Result<Self, RlError> {
        if !(1..=MOST_FRAMES_PER_SECOND).contains(&frames_per_second) {
            return Err(RlError::FramesPerSecond(frames_per_second));
        }
        let table = ColourTable::of(first.colours().iter().copied()).with_edges();
        let mut encoder = Encoder::new(writer, first.width(), first.height(), &table.bytes())?;
        encoder.set_repeat(Repeat::Infinite)?;
        let mut gif = Self {
            encoder,
            table,
            frames_per_second,
            frames: 0,
            shown: None,
        };
        gif.frame(first)?;
        Ok(gif)
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// [`RlError::Gif`] where the writer fails.
    ///
    /// # Panics
    /// It is not as large as the first.
    pub fn frame(&mut self, frame: &Frame) -> Result<(), RlError> {
        let window = self.shown.as_ref().map_or_else(
            || Window {
                left: 0,
                top: 0,
                width: frame.width(),
                height: frame.height(),
            },
            |shown| Window::of_changes(frame, shown),
        );
        let changes = window.changes(frame, self.shown.as_ref());
        let (mut indices, error) = self.table.indices(&changes);
        let mut own = None;
        if error > TOLERANCE {
            let mut table = ColourTable::of(changes.iter().flatten().copied());
            (indices, _) = table.indices(&changes);
            own = Some(table.bytes());
        }
        let delay = self.delay();
        self.encoder.write_frame(&gif::Frame {
            delay,
            transparent: Some(0),
            left: window.left,
            top: window.top,
            width: window.width,
            height: window.height,
            palette: own,
            buffer: indices.into(),
            ..gif::Frame::default()
        })?;
        match &mut self.shown {
            Some(shown) => shown.clone_from(frame),
            None => self.shown = Some(frame.clone()),
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`RlError::Gif`] where the writer fails.
    pub fn finish(self) -> Result<W, RlError> {
        Ok(self.encoder.into_inner()?)
    }

    /// For how long the next frame is shown, in hundredths of a second, so that their sum is right.
    fn delay(&mut self) -> u16 {
        let start = |frame: u32| 100 * frame / self.frames_per_second;
        let delay = start(self.frames + 1) - start(self.frames);
        // Whole seconds are the same for all.
        self.frames = (self.frames + 1) % self.frames_per_second;
        delay as u16
    }
}

/// A part of a frame.
struct Window {
    left: u16,
    top: u16,
    width: u16,
    height: u16,
}

impl Window {
    /// The least one that holds all pixels in which two frames differ, and one pixel where there is none.
    fn of_changes(frame: &Frame, shown: &Frame) -> Self {
        let sizes = [frame, shown].map(|frame| [frame.width(), frame.height()]);
        assert_eq!(sizes[0], sizes[1], "the size of a frame, and that of the first");
        let (mut left, mut right) = (frame.width() - 1, 0);
        let (mut top, mut bottom) = (frame.height() - 1, 0);
        let columns = usize::from(frame.width());
        for (index, (now, before)) in frame.colours().iter().zip(shown.colours()).enumerate() {
            if now != before {
                let (x, y) = ((index % columns) as u16, (index / columns) as u16);
                (left, right) = (left.min(x), right.max(x));
                (top, bottom) = (top.min(y), bottom.max(y));
            }
        }
        Self {
            left: left.min(right),
            top: top.min(bottom),
            width: right.saturating_sub(left) + 1,
            height: bottom.saturating_sub(top) + 1,
        }
    }

    /// Its pixels, row by row; nothing where the viewer shows them already.
    fn changes(&self, frame: &Frame, shown: Option<&Frame>) -> Vec<Option<[u8; 4]>> {
        let columns = usize::from(frame.width());
        let [left, top, width, height] = [self.left, self.top, self.width, self.height].map(usize::from);
        let rows = (top..top + height).map(|y| y * columns + left);
        let change = |index: usize| {
            let now = frame.colours()[index];
            shown.is_none_or(|shown| shown.colours()[index] != now).then_some(now)
        };
        rows.flat_map(|start| start..start + width).map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor};

    use super::colour_table::distance;
    use super::*;
    use crate::render::{Rgb, Scene};

    const PAPER: Rgb = Rgb(250, 250, 250);
    const BLUE: Rgb = Rgb(0, 40, 200);

    /// A disc that is somewhere.
    fn frame(x: f64, colour: Rgb) -> Frame {
        let mut scene = Scene::new([100.0, 50.0], PAPER);
        scene.disc([x, 25.0], 20.0, colour);
        scene.raster(100, 50)
    }

    /// The frames of a GIF as a viewer shows them, and for how many hundredths of a second.
    fn shown(bytes: &[u8]) -> Vec<(Vec<[u8; 4]>, u16)> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(Cursor::new(bytes)).unwrap();
        assert_eq!(decoder.repeat(), Repeat::Infinite);
        let columns = usize::from(decoder.width());
        let mut canvas = vec![[0; 4]; columns * usize::from(decoder.height())];
        let mut frames = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            for (index, &pixel) in frame.buffer.as_chunks().0.iter().enumerate() {
                let (x, y) = (index % usize::from(frame.width), index / usize::from(frame.width));
                if pixel[3] > 0 {
                    canvas[(usize::from(frame.top) + y) * columns + usize::from(frame.left) + x] = pixel;
                }
            }
            frames.push((canvas.clone(), frame.delay));
        }
        frames
    }

    fn written(frames: &[Frame], frames_per_second: u32) -> Vec<u8> {
        let mut gif = GifWriter::new(Vec::new(), &frames[0], frames_per_second).unwrap();
        for frame in &frames[1..] {
            gif.frame(frame).unwrap();
        }
        gif.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_shown() {
        // At rest, moving, at rest again, and in a colour that was not there before.
        let red = Rgb(230, 20, 10);
        let places = [
            (30.0, BLUE),
            (30.0, BLUE),
            (41.5, BLUE),
            (70.2, BLUE),
            (70.2, BLUE),
            (50.0, red),
        ];
        let frames: Vec<Frame> = places.iter().map(|&(x, colour)| frame(x, colour)).collect();
        let shown = shown(&written(&frames, 30));
        assert_eq!(shown.len(), frames.len());
        for (index, ((pixels, _), frame)) in shown.iter().zip(&frames).enumerate() {
            for (pixel, expected) in pixels.iter().zip(frame.colours()) {
                assert!(
                    distance(*expected, *pixel) <= TOLERANCE,
                    "frame {index}: {pixel:?} {expected:?}"
                );
            }
            // Areas are exact.
            let [x, y] = [places[index].0 as u16, 25];
            assert_eq!(
                pixels[usize::from(y) * 100 + usize::from(x)],
                frame.colours()[usize::from(y) * 100 + usize::from(x)]
            );
        }
    }

    #[test]
    fn delays_add_up() {
        for (frames_per_second, expected) in [(50, [2; 7]), (30, [3, 3, 4, 3, 3, 4, 3]), (4, [25; 7]), (1, [100; 7])] {
            let frames = vec![frame(30.0, BLUE); 7];
            let delays: Vec<u16> = shown(&written(&frames, frames_per_second))
                .iter()
                .map(|frame| frame.1)
                .collect();
            assert_eq!(delays, expected, "{frames_per_second}");
        }
    }

    #[test]
    fn a_frame_costs_what_changes() {
        let at_rest = written(&vec![frame(30.0, BLUE); 2], 30).len() - written(&[frame(30.0, BLUE)], 30).len();
        let moving =
            written(&[frame(30.0, BLUE), frame(31.0, BLUE)], 30).len() - written(&[frame(30.0, BLUE)], 30).len();
        let one = written(&[frame(30.0, BLUE)], 30).len();
        assert!(at_rest < 30 && moving < one / 2, "{at_rest} {moving} {one}");
    }

    #[test]
    fn more_colours_than_a_table_holds() {
        let mut scene = Scene::new([40.0, 40.0], PAPER);
        for index in 0..1600_u32 {
            let [x, y] = [index % 40, index / 40].map(|place| f64::from(place) + 0.5);
            scene.rectangle([x, y], [1.0, 1.0], 0.0, Rgb((x * 6.0) as u8, (y * 6.0) as u8, 100));
        }
        let frames = [scene.raster(40, 40)];
        assert_eq!(shown(&written(&frames, 10)).len(), 1);
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        for wrong in [0, 51] {
            let error = GifWriter::new(Vec::new(), &frame(30.0, BLUE), wrong).err().unwrap();
            assert_eq!(
                error.to_string(),
                format!("a GIF shows 1 to 50 frames per second; found {wrong}")
            );
        }
    }

    /// A disk that is full.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_reported() {
        let error = GifWriter::new(Full, &frame(30.0, BLUE), 30).err().unwrap();
        assert_eq!(error.to_string(), "cannot write the GIF: no storage space");
    }
}

//! A picture as a few shapes.

use std::sync::Arc;

use super::raster::Frame;

/// A colour in sRGB, eight bits a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// A place, or a length in each direction: to the right, then down.
pub type Point = [f64; 2];

/// What a scene is made of. Lengths are in the units of the scene.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// The inside of a closed outline.
    Polygon {
        /// The corners of the outline.
        points: Vec<Point>,
        /// Of the inside.
        colour: Rgb,
    },
    /// A line from point to point, with round ends and corners.
    Line {
        /// Where it goes.
        points: Vec<Point>,
        /// How thick it is.
        width: f64,
        /// Of the line.
        colour: Rgb,
    },
    /// The inside of a circle.
    Disc {
        /// Its centre.
        centre: Point,
        /// Its radius.
        radius: f64,
        /// Of the inside.
        colour: Rgb,
    },
    /// An upright rectangle.
    Rectangle {
        /// The upper left corner.
        corner: Point,
        /// Width and height.
        size: Point,
        /// The radius of its round corners, 0 for sharp ones.
        rounding: f64,
        /// Of the inside.
        colour: Rgb,
    },
    /// Pixels, as large as the scene.
    Pixels(Arc<Frame>),
}

/// Shapes on a background, the later ones before the earlier ones. The upper left corner is the origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    size: Point,
    background: Rgb,
    shapes: Vec<Shape>,
}

impl Scene {
    /// An empty scene of this width and height, in units of its own: pictures of any size are made of it.
    ///
    /// # Panics
    /// A length is not positive.
    pub fn new(size: Point, background: Rgb) -> Self {
        assert!(
            size.iter().all(|length| *length > 0.0 && length.is_finite()),
            "a scene of size {size:?}"
        );
        Self {
            size,
            background,
            shapes: Vec::new(),
        }
    }

    /// A scene of pixels alone, one unit each.
    pub fn of_pixels(frame: Frame) -> Self {
        let mut scene = Self::new([frame.width(), frame.height()].map(f64::from), Rgb(0, 0, 0));
        scene.shape(Shape::Pixels(Arc::new(frame)));
        scene
    }

    /// Width and height.
    pub fn size(&self) -> Point {
        self.size
    }

    /// The colour behind all shapes.
    pub fn background(&self) -> Rgb {
        self.background
    }

    /// The shapes, from back to front.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// Adds a polygon.
    pub fn polygon(&mut self, points: impl Into<Vec<Point>>, colour: Rgb) -> &mut Self {
        let points = points.into();
        self.shape(Shape::Polygon { points, colour })
    }

    /// Adds a line.
    pub fn line(&mut self, points: impl Into<Vec<Point>>, width: f64, colour: Rgb) -> &mut Self {
        let points = points.into();
        self.shape(Shape::Line { points, width, colour })
    }

    /// Adds a disc.
    pub fn disc(&mut self, centre: Point, radius: f64, colour: Rgb) -> &mut Self {
        self.shape(Shape::Disc { centre, radius, colour })
    }

    /// Adds a rectangle around `centre`.
    pub fn rectangle(&mut self, centre: Point, size: Point, rounding: f64, colour: Rgb) -> &mut Self {
        let corner = [centre[0] - size[0] / 2.0, centre[1] - size[1] / 2.0];
        self.shape(Shape::Rectangle {
            corner,
            size,
            rounding,
            colour,
        })
    }

    pub(super) fn shape(&mut self, shape: Shape) -> &mut Self {
        self.shapes.push(shape);
        self
    }

    /// The height of a picture that is `width` pixels wide, at least one pixel.
    pub fn height_for(&self, width: u16) -> u16 {
        let height = f64::from(width) * self.size[1] / self.size[0];
        height.round().clamp(1.0, f64::from(u16::MAX)) as u16
    }
}

/// Points around the origin, turned clockwise by an angle and moved to a place.
pub(crate) fn placed<const N: usize>(points: [Point; N], (sin, cos): (f64, f64), at: Point) -> [Point; N] {
    points.map(|[x, y]| [at[0] + cos * x - sin * y, at[1] + sin * x + cos * y])
}

//! Scenes as pixels.

use tiny_skia::{
    FillRule, FilterQuality, LineCap, LineJoin, Paint, Path, PathBuilder, PixmapMut, PixmapPaint, PixmapRef, Rect,
    Stroke, Transform,
};

use super::scene::{Point, Rgb, Scene, Shape};

/// So far outside of a picture may a point lie, in pixels; those beyond are drawn here.
const FAR: f64 = 10_000.0;

/// How far the handles of a cubic curve that makes a quarter of a circle are from its ends, in radii.
const QUARTER: f32 = 0.552_284_8;

/// A picture of pixels, to be drawn on again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    width: u16,
    height: u16,
    pixels: Vec<u8>,
}

impl Frame {
    /// A black picture.
    ///
    /// # Panics
    /// It would have no pixels.
    pub fn new(width: u16, height: u16) -> Self {
        assert!(width > 0 && height > 0, "a picture of {width} x {height} pixels");
        let mut pixels = vec![0; usize::from(width) * usize::from(height) * 4];
        pixels.chunks_exact_mut(4).for_each(|pixel| pixel[3] = u8::MAX);
        Self { width, height, pixels }
    }

    /// A picture of these colours, row by row, three bytes each. None where there are none, or not as many as rows and columns say.
    pub fn from_rgb(width: u16, height: u16, colours: &[u8]) -> Option<Self> {
        let (pixels, rest) = colours.as_chunks::<3>();
        let count = usize::from(width) * usize::from(height);
        (count > 0 && pixels.len() == count && rest.is_empty()).then(|| Self {
            width,
            height,
            pixels: (pixels.iter())
                .flat_map(|[red, green, blue]| [*red, *green, *blue, u8::MAX])
                .collect(),
        })
    }

    /// The picture as a PNG file.
    pub(super) fn png(&self) -> Vec<u8> {
        // There are as many bytes as the size asks for, and memory takes any.
        (self.pixmap().and_then(|pixmap| pixmap.encode_png().ok())).unwrap_or_default()
    }

    fn pixmap(&self) -> Option<PixmapRef<'_>> {
        PixmapRef::from_bytes(&self.pixels, u32::from(self.width), u32::from(self.height))
    }

    /// Pixels in a row.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Rows of pixels.
    pub fn height(&self) -> u16 {
        self.height
    }

    /// Shape `[height, width, 4]`: red, green, blue and an alpha that is 255 everywhere.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The colour of a pixel, counted from the upper left corner.
    ///
    /// # Panics
    /// There is no such pixel.
    pub fn pixel(&self, x: u16, y: u16) -> Rgb {
        assert!(x < self.width && y < self.height, "pixel ({x}, {y})");
        let start = (usize::from(y) * usize::from(self.width) + usize::from(x)) * 4;
        Rgb(self.pixels[start], self.pixels[start + 1], self.pixels[start + 2])
    }

    /// The pixels, row by row.
    pub(super) fn colours(&self) -> &[[u8; 4]] {
        self.pixels.as_chunks().0
    }

    /// Draws a scene over what is there: as large as it fits and in the middle, with its background all around. Edges are
    /// smooth, and the same scene gives the same bytes.
    pub fn draw(&mut self, scene: &Scene) {
        let Rgb(red, green, blue) = scene.background();
        let background = [red, green, blue, u8::MAX];
        self.pixels.as_chunks_mut().0.fill(background);
        let (room, size) = ([self.width, self.height].map(f64::from), scene.size());
        let scale = (room[0] / size[0]).min(room[1] / size[1]);
        let offset = [0, 1].map(|axis| (room[axis] - scale * size[axis]) / 2.0);
        let (width, height) = (u32::from(self.width), u32::from(self.height));
        // There are as many bytes as the size asks for.
        let Some(canvas) = PixmapMut::from_bytes(&mut self.pixels, width, height) else {
            return;
        };
        let mut painter = Painter { canvas, scale, offset };
        for shape in scene.shapes() {
            painter.draw(shape);
        }
    }
}

impl Scene {
    /// A picture of the scene; see [`Frame::draw`].
    ///
    /// # Panics
    /// It would have no pixels.
    pub fn raster(&self, width: u16, height: u16) -> Frame {
        let mut frame = Frame::new(width, height);
        frame.draw(self);
        frame
    }
}

/// Pixels, and where on them a scene comes to lie.
struct Painter<'a> {
    canvas: PixmapMut<'a>,
    /// Pixels in a unit of the scene.
    scale: f64,
    /// Where its origin is.
    offset: Point,
}

impl Painter<'_> {
    /// Draws a shape, or nothing where it has no inside or is not made of numbers.
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Polygon { points, colour } => {
                let path = self.path(points).and_then(|mut path| {
                    path.close();
                    path.finish()
                });
                self.fill(path, *colour);
            }
            Shape::Line { points, width, colour } => {
                let width = self.length(*width);
                // What has no width would be drawn as thin as can be.
                if let Some(path) = self.path(points).and_then(PathBuilder::finish).filter(|_| width > 0.0) {
                    let stroke = Stroke {
                        width,
                        line_cap: LineCap::Round,
                        line_join: LineJoin::Round,
                        ..Stroke::default()
                    };
                    let place = Transform::identity();
                    self.canvas.stroke_path(&path, &paint(*colour), &stroke, place, None);
                }
            }
            Shape::Disc { centre, radius, colour } => {
                let ([x, y], radius) = (self.place(*centre), self.length(*radius));
                self.fill(PathBuilder::from_circle(x, y, radius), *colour);
            }
            Shape::Rectangle {
                corner,
                size,
                rounding,
                colour,
            } => {
                let ([left, top], [width, height]) = (self.place(*corner), size.map(|length| self.length(length)));
                let Some(rect) = Rect::from_xywh(left, top, width, height) else {
                    return;
                };
                let rounding = self.length(*rounding).min(width / 2.0).min(height / 2.0);
                if rounding > 0.0 {
                    self.fill(rounded(rect, rounding), *colour);
                } else {
                    let place = Transform::identity();
                    self.canvas.fill_rect(rect, &paint(*colour), place, None);
                }
            }
            Shape::Pixels(frame) => {
                let Some(pixels) = frame.pixmap() else {
                    return;
                };
                let ([left, top], scale) = (self.place([0.0, 0.0]), self.length(1.0));
                let place = Transform::from_row(scale, 0.0, 0.0, scale, left, top);
                let paint = PixmapPaint {
                    quality: FilterQuality::Bilinear,
                    ..PixmapPaint::default()
                };
                self.canvas.draw_pixmap(0, 0, pixels, &paint, place, None);
            }
        }
    }

    fn fill(&mut self, path: Option<Path>, colour: Rgb) {
        if let Some(path) = path {
            let place = Transform::identity();
            self.canvas
                .fill_path(&path, &paint(colour), FillRule::Winding, place, None);
        }
    }

    /// A line from point to point, where all of them are numbers.
    fn path(&self, points: &[Point]) -> Option<PathBuilder> {
        if points.as_flattened().iter().any(|coordinate| coordinate.is_nan()) {
            return None;
        }
        let mut path = PathBuilder::with_capacity(points.len() + 1, points.len());
        for (index, point) in points.iter().enumerate() {
            let [x, y] = self.place(*point);
            if index == 0 {
                path.move_to(x, y);
            } else {
                path.line_to(x, y);
            }
        }
        Some(path)
    }

    fn place(&self, point: Point) -> [f32; 2] {
        [0, 1].map(|axis| (point[axis] * self.scale + self.offset[axis]).clamp(-FAR, FAR) as f32)
    }

    /// A length in pixels, 0 for what is none.
    fn length(&self, length: f64) -> f32 {
        let length = length * self.scale;
        if length > 0.0 {
            length.min(2.0 * FAR) as f32
        } else {
            0.0
        }
    }
}

fn paint(Rgb(red, green, blue): Rgb) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, u8::MAX);
    paint
}

/// A rectangle whose corners are quarters of a circle.
fn rounded(rect: Rect, radius: f32) -> Option<Path> {
    let handle = radius * (1.0 - QUARTER);
    let (left, top, right, bottom) = (rect.left(), rect.top(), rect.right(), rect.bottom());
    let mut path = PathBuilder::new();
    path.move_to(left + radius, top);
    path.line_to(right - radius, top);
    path.cubic_to(right - handle, top, right, top + handle, right, top + radius);
    path.line_to(right, bottom - radius);
    path.cubic_to(right, bottom - handle, right - handle, bottom, right - radius, bottom);
    path.line_to(left + radius, bottom);
    path.cubic_to(left + handle, bottom, left, bottom - handle, left, bottom - radius);
    path.line_to(left, top + radius);
    path.cubic_to(left, top + handle, left + handle, top, left + radius, top);
    path.close();
    path.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLACK: Rgb = Rgb(0, 0, 0);
    const WHITE: Rgb = Rgb(255, 255, 255);

    /// A black shape on white, ten units wide and high.
    fn on_white(shape: Shape) -> Scene {
        let mut scene = Scene::new([10.0, 10.0], WHITE);
        scene.shape(shape);
        scene
    }

    fn disc(x: f64, radius: f64) -> Shape {
        Shape::Disc {
            centre: [x, 5.0],
            radius,
            colour: BLACK,
        }
    }

    fn rectangle(rounding: f64) -> Shape {
        Shape::Rectangle {
            corner: [2.0, 3.0],
            size: [6.0, 4.0],
            rounding,
            colour: BLACK,
        }
    }

    /// How much of a picture a black scene covers, in square units.
    fn area(scene: &Scene, side: u16) -> f64 {
        let frame = scene.raster(side, side);
        let covered = |pixel: &[u8]| f64::from(255 - pixel[0]) / 255.0;
        let pixels: f64 = frame.pixels().chunks_exact(4).map(covered).sum();
        pixels * 100.0 / f64::from(side).powi(2)
    }

    #[test]
    fn shapes_cover_what_geometry_says() {
        let square = Shape::Polygon {
            points: vec![[2.0, 2.0], [8.0, 2.0], [8.0, 8.0], [2.0, 8.0]],
            colour: BLACK,
        };
        let line = Shape::Line {
            points: vec![[3.0, 5.0], [7.0, 5.0]],
            width: 2.0,
            colour: BLACK,
        };
        let pi = std::f64::consts::PI;
        let cases = [
            (on_white(square), 36.0),
            (on_white(line), 8.0 + pi),
            (on_white(disc(5.0, 4.0)), 16.0 * pi),
            (on_white(rectangle(0.0)), 24.0),
            (on_white(rectangle(1.0)), 20.0 + pi),
        ];
        for (scene, expected) in cases {
            for side in [40, 100, 333] {
                let area = area(&scene, side);
                assert!(
                    (area - expected).abs() < 0.02 * expected,
                    "{side}: {area} {expected} {scene:?}"
                );
            }
        }
    }

    #[test]
    fn a_scene_is_fitted_into_the_middle() {
        let mut scene = Scene::new([20.0, 10.0], WHITE);
        scene.rectangle([10.0, 5.0], [20.0, 10.0], 0.0, BLACK);
        let frame = scene.raster(40, 40);
        for (y, expected) in [(9, WHITE), (10, BLACK), (29, BLACK), (30, WHITE)] {
            assert!((0..40).all(|x| frame.pixel(x, y) == expected), "row {y}");
        }
        assert_eq!((scene.height_for(40), scene.height_for(1)), (20, 1));
    }

    #[test]
    fn a_frame_shows_nothing_of_what_was_there() {
        let scene = on_white(disc(5.0, 4.0));
        let mut frame = scene.raster(30, 20);
        frame.draw(&on_white(disc(2.0, 1.0)));
        frame.draw(&scene);
        assert_eq!(frame, scene.raster(30, 20));
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => -20.0..30.0_f64,
            1 => prop::num::f64::ANY,
            1 => Just(f64::INFINITY),
            1 => Just(0.0),
        ]
    }

    fn shape() -> impl Strategy<Value = Shape> {
        let point = || [number(), number()];
        let points = || prop::collection::vec(point(), 0..6);
        let colour = || any::<[u8; 3]>().prop_map(|[red, green, blue]| Rgb(red, green, blue));
        prop_oneof![
            (points(), colour()).prop_map(|(points, colour)| Shape::Polygon { points, colour }),
            (points(), number(), colour()).prop_map(|(points, width, colour)| Shape::Line { points, width, colour }),
            (point(), number(), colour()).prop_map(|(centre, radius, colour)| Shape::Disc { centre, radius, colour }),
            (point(), point(), number(), colour()).prop_map(|(corner, size, rounding, colour)| Shape::Rectangle {
                corner,
                size,
                rounding,
                colour
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_shapes_can_be_drawn(
            shapes in prop::collection::vec(shape(), 0..6),
            size in [0.01..100.0_f64, 0.01..100.0_f64],
            (width, height) in (1..100_u16, 1..100_u16),
        ) {
            let mut scene = Scene::new(size, WHITE);
            for shape in shapes {
                scene.shape(shape);
            }
            let frame = scene.raster(width, height);
            prop_assert!(frame.pixels().chunks_exact(4).all(|pixel| pixel[3] == 255));
            prop_assert_eq!(frame, scene.raster(width, height));
        }
    }
}

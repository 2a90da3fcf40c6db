//! Scenes as SVG.

use std::fmt::{self, Display};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::scene::{Point, Rgb, Scene, Shape};

impl Scene {
    /// The scene as one `<svg>` element, to stand in a page.
    pub fn svg(&self) -> String {
        let ([width, height], background) = (self.size(), Hex(self.background()));
        let shapes: String = self.shapes().iter().map(|shape| element(shape) + "\n").collect();
        format!(
            "<svg viewBox=\"0 0 {width} {height}\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"{background}\"/>\n{shapes}</svg>"
        )
    }
}

fn element(shape: &Shape) -> String {
    match shape {
        Shape::Polygon { points, colour } => {
            format!("<polygon points=\"{}\" fill=\"{}\"/>", List(points), Hex(*colour))
        }
        Shape::Line { points, width, colour } => format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width:.2}\" stroke-linecap=\"round\" \
             stroke-linejoin=\"round\"/>",
            List(points),
            Hex(*colour)
        ),
        Shape::Disc {
            centre: [x, y],
            radius,
            colour,
        } => format!(
            "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"{radius:.2}\" fill=\"{}\"/>",
            Hex(*colour)
        ),
        Shape::Rectangle {
            corner: [x, y],
            size: [width, height],
            rounding,
            colour,
        } => format!(
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" rx=\"{rounding:.2}\" \
             fill=\"{}\"/>",
            Hex(*colour)
        ),
        Shape::Pixels(frame) => format!(
            "<image width=\"{}\" height=\"{}\" href=\"data:image/png;base64,{}\"/>",
            frame.width(),
            frame.height(),
            STANDARD.encode(frame.png())
        ),
    }
}

/// A colour as `#rrggbb`.
struct Hex(Rgb);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rgb(red, green, blue) = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// Points as `x,y x,y`.
struct List<'a>(&'a [Point]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, [x, y]) in self.0.iter().enumerate() {
            write!(f, "{}{x:.2},{y:.2}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::raster::Frame;
    use super::*;

    #[test]
    fn every_shape_has_its_element() {
        let mut scene = Scene::new([10.0, 5.0], Rgb(255, 255, 255));
        let blue = Rgb(0, 16, 255);
        scene
            .polygon([[0.0, 0.0], [1.0, 0.5], [0.0, 1.0]], blue)
            .line([[1.0, 1.0], [2.0, 1.25]], 0.5, blue)
            .disc([5.0, 2.5], 1.0, blue)
            .rectangle([5.0, 2.5], [4.0, 2.0], 0.25, blue);
        let expected = r##"<svg viewBox="0 0 10 5">
<rect width="10" height="5" fill="#ffffff"/>
<polygon points="0.00,0.00 1.00,0.50 0.00,1.00" fill="#0010ff"/>
<polyline points="1.00,1.00 2.00,1.25" fill="none" stroke="#0010ff" stroke-width="0.50" stroke-linecap="round" stroke-linejoin="round"/>
<circle cx="5.00" cy="2.50" r="1.00" fill="#0010ff"/>
<rect x="3.00" y="1.50" width="4.00" height="2.00" rx="0.25" fill="#0010ff"/>
</svg>"##;
        assert_eq!(scene.svg(), expected);
    }

    #[test]
    fn pixels_become_a_picture_in_the_picture() {
        let colours = [255, 0, 0, 0, 255, 0];
        let scene = Scene::of_pixels(Frame::from_rgb(2, 1, &colours).unwrap());
        assert!(
            scene
                .svg()
                .contains("<image width=\"2\" height=\"1\" href=\"data:image/png;base64,iVBORw0KGgo")
        );
        let frame = scene.raster(2, 1);
        assert_eq!([frame.pixel(0, 0), frame.pixel(1, 0)], [Rgb(255, 0, 0), Rgb(0, 255, 0)]);
        assert_eq!(scene.raster(20, 10).pixel(2, 5), Rgb(255, 0, 0));
        for (width, height) in [(0, 0), (1, 1), (3, 1)] {
            assert!(Frame::from_rgb(width, height, &colours).is_none());
        }
    }
}

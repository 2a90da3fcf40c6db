//! Curves against steps, sweeps or anything else on one pair of axes.

use maud::{Markup, Render, html};

use super::axis::Axis;
use super::figure;

/// The drawing's size, in its own units: CSS pixels at full width.
const SIZE: (f64, f64) = (760.0, 400.0);
/// Room for tick labels and axis names: left, right, top, bottom.
const MARGIN: (f64, f64, f64, f64) = (84.0, 18.0, 14.0, 62.0);
/// How many colours the style sheet has for series.
const COLOURS: usize = 6;
/// A series is drawn from at most this many buckets along x, two points each.
const BUCKETS: usize = 400;
/// Series this short get a dot at each point.
const DOTTED: usize = 24;

/// Several named series on common axes, linear or with a logarithmic y axis.
///
/// A long series is thinned to the smallest and the largest value of some hundreds of steps, so spikes stay and the
/// page stays small. What an axis cannot show (a value that is not finite, or not positive on a logarithmic axis)
/// leaves a gap.
///
/// ```
/// use etude::report::Plot;
///
/// let halving = (0..20).map(|k| (f64::from(k), 0.5f64.powi(k)));
/// let plot = Plot::new("Error against sweeps", "sweep", "sup-norm error").log_y().series("value iteration", halving);
/// ```
#[derive(Clone, Debug)]
pub struct Plot {
    caption: String,
    x_label: String,
    y_label: String,
    log_y: bool,
    series: Vec<Series>,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    /// Points beside the curve.
    loose: Vec<(f64, f64)>,
    /// Where a thin line crosses the plot.
    level: Option<f64>,
}

impl Plot {
    /// An empty plot with a caption and a name for each axis.
    pub fn new(caption: impl Into<String>, x_label: impl Into<String>, y_label: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            log_y: false,
            series: Vec::new(),
        }
    }

    /// Makes the y axis logarithmic, with a tick at powers of ten.
    pub fn log_y(mut self) -> Self {
        self.log_y = true;
        self
    }

    /// Adds a curve through (x, y) points, in the order given.
    pub fn series(mut self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.series.push(Series {
            name: name.into(),
            points: points.into_iter().collect(),
            loose: Vec::new(),
            level: None,
        });
        self
    }

    /// Adds points that no line joins to the last series, in its colour: what a curve is made from.
    pub fn dots(mut self, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        if let Some(last) = self.series.last_mut() {
            last.loose.extend(points);
        }
        self
    }

    /// Draws a thin line across the plot at `y`, in the colour of the last series: where that should come to lie.
    pub fn level(mut self, y: f64) -> Self {
        if let Some(last) = self.series.last_mut() {
            last.level = Some(y);
        }
        self
    }

    /// A point in the coordinates in which both axes are straight, if the axes can show it.
    fn straight(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let y = if self.log_y { y.log10() } else { y };
        // Beyond 1e300 the width of an axis could overflow.
        (x.abs() <= 1e300 && y.abs() <= 1e300).then_some((x, y))
    }

    /// The two axes, unless there is no point to show.
    fn axes(&self) -> Option<(Axis, Axis)> {
        let points = || {
            self.series
                .iter()
                .flat_map(|s| s.points.iter().chain(&s.loose))
                .filter_map(|point| self.straight(*point))
        };
        let x = range(points().map(|(x, _)| x))?;
        let levels = (self.series.iter()).filter_map(|series| self.straight((0.0, series.level?)));
        let y = range(points().chain(levels).map(|(_, y)| y))?;
        Some((
            Axis::tight(x),
            if self.log_y { Axis::decades(y) } else { Axis::rounded(y) },
        ))
    }

    /// A point in the drawing's coordinates, if the axes can show it.
    fn place(&self, point: (f64, f64), x: &Axis, y: &Axis) -> Option<(f64, f64)> {
        let (px, py) = self.straight(point)?;
        Some((across(x.place(px)), down(y.place(py))))
    }

    /// The unbroken runs of a series, thinned, in the drawing's coordinates.
    fn runs(&self, series: &Series, x: &Axis, y: &Axis) -> Vec<Vec<(f64, f64)>> {
        let points: Vec<Option<(f64, f64)>> = series.points.iter().map(|point| self.place(*point, x, y)).collect();
        let bucket = points.len().div_ceil(BUCKETS).max(1);
        points
            .split(Option::is_none)
            .map(|run| thinned(run, bucket))
            .filter(|run| !run.is_empty())
            .collect()
    }
}

impl Render for Plot {
    fn render(&self) -> Markup {
        let names: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
        let summary = format!(
            "{}: {} against {}, {}",
            self.caption,
            self.y_label,
            self.x_label,
            names.join(", ")
        );
        let drawing = html! {
            @if names.len() > 1 {
                ul.legend {
                    @for (i, name) in names.iter().enumerate() {
                        li {
                            svg.swatch viewBox="0 0 28 10" aria-hidden="true" {
                                path class=(series_class(i)) d="M1 5h26" {}
                            }
                            (name)
                        }
                    }
                }
            }
            @if let Some((x, y)) = self.axes() {
                svg.plot viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } role="img" aria-label=(summary) {
                    (self.frame(&x, &y))
                    @for (i, series) in self.series.iter().enumerate() {
                        (self.curve(i, series, &x, &y))
                    }
                }
            } @else {
                p.empty { "No point to draw." }
            }
        };
        figure("wide", &self.caption, &drawing)
    }
}

impl Plot {
    /// Grid lines, tick labels and axis names.
    fn frame(&self, x: &Axis, y: &Axis) -> Markup {
        let (left, right, top, bottom) = (across(0.0), across(1.0), down(1.0), down(0.0));
        let middle = f64::midpoint(top, bottom);
        html! {
            @for tick in &y.ticks {
                @let at = down(tick.place);
                path.rule d={ "M" (tenths(left)) " " (tenths(at)) "H" (tenths(right)) } {}
                text.tick x=(tenths(left - 10.0)) y=(tenths(at)) dy="0.33em" text-anchor="end" {
                    (tick.label)
                    @if !tick.exponent.is_empty() { tspan.exponent dy="-.45em" { (tick.exponent) } }
                }
            }
            path.axis d={ "M" (tenths(left)) " " (tenths(bottom)) "H" (tenths(right)) } {}
            @for tick in &x.ticks {
                @let at = tenths(across(tick.place));
                path.axis d={ "M" (at) " " (tenths(bottom)) "v5" } {}
                text.tick x=(at) y=(tenths(bottom + 8.0)) dy="0.8em" text-anchor="middle" { (tick.label) }
            }
            text.name x=(tenths(f64::midpoint(left, right))) y=(SIZE.1 - 8.0) text-anchor="middle" { (self.x_label) }
            text.name transform={ "translate(18 " (tenths(middle)) ") rotate(-90)" } text-anchor="middle" {
                (self.y_label)
            }
        }
    }

    /// One series, with a dot at each point where points are few.
    fn curve(&self, index: usize, series: &Series, x: &Axis, y: &Axis) -> Markup {
        let runs = self.runs(series, x, y);
        let dots = series.points.len() <= DOTTED;
        html! {
            path class=(series_class(index)) d=(runs.iter().map(|run| line(run)).collect::<String>()) {
                title { (series.name) }
            }
            @if let Some((_, level)) = series.level.and_then(|level| self.straight((0.0, level))) {
                @let at = tenths(down(y.place(level)));
                path class={ "level s" (index % COLOURS) } d={ "M" (tenths(across(0.0))) " " (at) "H" (tenths(across(1.0))) } {}
            }
            @for (x, y) in series.loose.iter().filter_map(|point| self.place(*point, x, y)) {
                circle class={ "dot s" (index % COLOURS) } cx=(tenths(x)) cy=(tenths(y)) r="2" {}
            }
            @if dots {
                @for (x, y) in runs.iter().flatten() {
                    circle class={ "dot s" (index % COLOURS) } cx=(tenths(*x)) cy=(tenths(*y)) r="3.5" {}
                }
            }
        }
    }
}

/// The smallest and the largest of some finite values.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// From a place on the x axis to the drawing's x.
fn across(place: f64) -> f64 {
    MARGIN.0 + place * (SIZE.0 - MARGIN.0 - MARGIN.1)
}

/// From a place on the y axis to the drawing's y, which runs downwards.
fn down(place: f64) -> f64 {
    SIZE.1 - MARGIN.3 - place * (SIZE.1 - MARGIN.2 - MARGIN.3)
}

/// The lowest and the highest point of every `bucket` points, in their order, and both ends of the run.
fn thinned(run: &[Option<(f64, f64)>], bucket: usize) -> Vec<(f64, f64)> {
    let run: Vec<(f64, f64)> = run.iter().copied().flatten().collect();
    if bucket == 1 {
        return run;
    }
    let mut kept: Vec<usize> = vec![0, run.len().saturating_sub(1)];
    for start in (0..run.len()).step_by(bucket) {
        let indices = start..(start + bucket).min(run.len());
        kept.extend(indices.clone().min_by(|a, b| run[*a].1.total_cmp(&run[*b].1)));
        kept.extend(indices.max_by(|a, b| run[*a].1.total_cmp(&run[*b].1)));
    }
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().filter_map(|i| run.get(i).copied()).collect()
}

/// The SVG path through the points of a run; a lone point becomes a dot, by the round ends of a line.
fn line(run: &[(f64, f64)]) -> String {
    let points: Vec<String> = run
        .iter()
        .map(|(x, y)| format!("{} {}", tenths(*x), tenths(*y)))
        .collect();
    format!("M{}{}", points.join("L"), if run.len() == 1 { "h0" } else { "" })
}

/// A coordinate to a tenth of a unit, without a needless `.0`.
fn tenths(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The style sheet's classes for the series of an index: neighbours differ in colour and in dashes, so that a curve
/// which another covers shows in its gaps. Twenty-four series differ.
fn series_class(index: usize) -> String {
    let (colour, round) = (index % COLOURS, index / COLOURS);
    let dashes = ["solid", "dashed", "dotted", "dash-dotted"][(index + round) % 4];
    format!("series s{colour} {dashes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_is_thinned_and_its_spike_stays() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), f64::from(i % 7))).collect();
        points[54_321].1 = 1000.0;
        let plot = Plot::new("c", "x", "y").series("s", points);
        let page = plot.render().into_string();
        assert!(page.len() < 20_000, "{} bytes", page.len());
        let (x, y) = plot.axes().expect("there are points");
        let top = plot
            .runs(&plot.series[0], &x, &y)
            .concat()
            .iter()
            .map(|p| p.1)
            .fold(f64::MAX, f64::min);
        assert!((top - down(y.place(1000.0))).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_shown_leaves_a_gap() {
        let points = [(0.0, 1.0), (1.0, 0.1), (2.0, 0.0), (3.0, f64::NAN), (4.0, 0.01)];
        let plot = Plot::new("c", "x", "y").log_y().series("s", points);
        let (x, y) = plot.axes().expect("there are points");
        let lengths: Vec<usize> = plot.runs(&plot.series[0], &x, &y).iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1]);
    }

    #[test]
    fn levels_lie_within_the_plot() {
        let plot = Plot::new("c", "x", "y")
            .series("s", [(0.0, 1.0), (1.0, 2.0)])
            .level(-3.0);
        let (_, y) = plot.axes().expect("there are points");
        assert!((0.0..=1.0).contains(&y.place(-3.0)));
        assert!(plot.render().into_string().contains("class=\"level s0\""));
    }

    #[test]
    fn loose_points_are_drawn_within_the_plot_and_not_joined() {
        let plot = Plot::new("c", "x", "y")
            .series("s", [(0.0, 1.0), (1.0, 2.0)])
            .dots([(3.0, -1.0), (2.0, f64::NAN)]);
        let (x, y) = plot.axes().expect("there are points");
        assert!((0.0..=1.0).contains(&x.place(3.0)) && (0.0..=1.0).contains(&y.place(-1.0)));
        let page = plot.render().into_string();
        assert_eq!(
            (page.matches("r=\"2\"").count(), page.matches("r=\"3.5\"").count()),
            (1, 2)
        );
    }

    #[test]
    fn a_plot_without_points_says_so() {
        let page = Plot::new("c", "x", "y")
            .log_y()
            .series("s", [(0.0, -1.0)])
            .render()
            .into_string();
        assert!(page.contains("No point to draw"));
    }

    #[test]
    fn names_are_escaped() {
        let page = Plot::new("a < b", "x", "y")
            .series("<script>", [(0.0, 1.0)])
            .render()
            .into_string();
        assert!(page.contains("a &lt; b") && !page.contains("<script>"));
    }
}

//! The report of a simulation.

use super::descent::{CENTRE, Course, FITS, Simulation};
use super::paths;
use super::recipe::Recipe;
use crate::error::{CommandError, Context as _};
use crate::report::number::{grouped, short};
use crate::report::{GridMap, Plot, Section, Table};

/// Cells along a side of a map.
const SIDE: usize = 41;
/// An error that is as good as none on a map.
const NEGLIGIBLE: f64 = 1e-4;

/// One line on the size of the experiment.
pub(super) fn describe(simulation: &Simulation, recipe: &Recipe) -> String {
    format!(
        "{} boxes from {} places, {} of them apart from their targets at first, {} iterations of gradient descent",
        grouped(simulation.cases),
        grouped(simulation.places.len()),
        grouped(simulation.apart),
        recipe.iterations.get()
    )
}

/// What became of the boxes, loss by loss.
pub(super) fn table(courses: &[Course]) -> Table {
    let number = |value: f64| if value.is_finite() { short(value) } else { "-".into() };
    let last = |errors: &[f64]| number(errors.last().copied().unwrap_or(f64::NAN));
    let header = [
        "loss",
        "mean error at the end",
        "of boxes that met",
        "of boxes apart",
        "these grow to an area of",
        "fit (IoU >= 0.9)",
        "error halved after",
    ];
    courses.iter().fold(Table::new(header), |table, course| {
        table.row([
            course.loss.title().to_owned(),
            last(&course.all),
            last(&course.met),
            last(&course.apart),
            number(course.largest_area()),
            format!("{:.1}%", 100.0 * course.fitted),
            course
                .halved()
                .map_or_else(|| "-".into(), |iteration| iteration.to_string()),
        ])
    })
}

/// The parts of the report.
pub(super) fn sections(simulation: &Simulation, recipe: &Recipe) -> Result<Vec<Section>, CommandError> {
    let header = Table::new(["loss", "what to see"]);
    let stories = simulation.courses.iter().fold(header, |table, course| {
        table.row([course.loss.title(), course.loss.story()])
    });
    let errors = Section::new("Error against iteration")
        .text(
            "The error of a box is |x - xg| + |y - yg| + |w - wg| + |h - hg|. Losses differ most where boxes do not meet their \
             targets at first.",
        )
        .item(&stories)
        .item(&curves("All boxes", "mean error", &simulation.courses, |course| &course.all))
        .item(&curves("Boxes that do not meet their targets at first", "mean error", &simulation.courses, |course| &course.apart).log_y())
        .item(&table(&simulation.courses));
    let path = Section::new("The way there")
        .text(
            "The same anchor and the same target under each loss, after more and more iterations. The target is filled; lines grow \
             darker with time, and the dots are centres. Below, how large boxes become that do not meet their targets at first: growing \
             until one meets, and shrinking again, is a detour.",
        )
        .item(&paths::picture(simulation, recipe).failed_run(|| "cannot draw the paths".into())?)
        .item(&curves("Boxes that do not meet their targets at first", "mean area", &simulation.courses, |course| &course.areas));
    let map = Section::new("Where the error stays").text(format!(
        "The mean error at the end by the place where boxes start, {} to each side of the targets' centre, on one scale for all losses: \
         in powers of ten above {NEGLIGIBLE}.",
        recipe.radius.get()
    ));
    let map = maps(simulation, recipe).iter().fold(map, Section::item);
    let published = (!simulation.published.is_empty()).then(|| published(simulation));
    Ok([errors, path, map, experiment(recipe)]
        .into_iter()
        .chain(published)
        .collect())
}

fn published(simulation: &Simulation) -> Section {
    Section::new("As it was published")
        .text(
            "The paper's figures show DIoU and CIoU far ahead of GIoU. They come from a program whose slopes are not those of the \
             formulas: by width and height they are twice as large; GIoU's, where boxes do not meet, take in an intersection of negative sides; DIoU's \
             and CIoU's let the enclosing box push the centre the other way. These are the first tenth of the boxes under that program's \
             slopes. Above are the exact ones.",
        )
        .item(&curves("All boxes, with the slopes of the paper's program", "mean error", &simulation.published, |course| &course.all))
        .item(&table(&simulation.published))
}

fn experiment(recipe: &Recipe) -> Section {
    Section::new("The experiment").text(format!(
        "Zheng et al., Distance-IoU Loss, AAAI 2020, algorithm 1. Targets have area 1, {} aspect ratios and their centre at ({CENTRE}, {CENTRE}). Anchors \
         have {} areas and {} aspect ratios at each of {} places, evenly spread over a disc of radius {}. Each box runs by B <- B - rate (2 - IoU) dL/dB in x, y, w \
         and h, with a rate of {} that falls to a tenth after 80 % of the iterations and to a hundredth after 90 %. A box fits with an IoU of {FITS} or more. Slopes are the exact ones of the formulas.",
        recipe.ratios.len(),
        recipe.areas.len(),
        recipe.ratios.len(),
        grouped(recipe.points.get()),
        recipe.radius.get(),
        recipe.learning_rate.get(),
    ))
}

fn curves<'a>(caption: &str, y_label: &str, courses: &'a [Course], values: impl Fn(&'a Course) -> &'a [f64]) -> Plot {
    let plot = Plot::new(caption, "iteration", y_label);
    courses.iter().fold(plot, |plot, course| {
        let points = values(course).iter().enumerate();
        plot.series(course.loss.title(), points.map(|(step, value)| (step as f64, *value)))
    })
}

/// A map of the error at the end for each loss, on the same scale.
fn maps(simulation: &Simulation, recipe: &Recipe) -> Vec<GridMap> {
    let cells = cells(&simulation.places, recipe.radius.get());
    let decades = |course: &Course| -> Vec<f64> {
        let mean = |places: &Vec<usize>| {
            let sum: f64 = places.iter().map(|place| course.by_place[*place]).sum();
            sum / places.len() as f64
        };
        // What is NaN, where there is no place, must stay so.
        let decades = |error: f64| {
            if error < NEGLIGIBLE {
                0.0
            } else {
                (error / NEGLIGIBLE).log10()
            }
        };
        cells.iter().map(|places| decades(mean(places))).collect()
    };
    let values: Vec<Vec<f64>> = simulation.courses.iter().map(decades).collect();
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let map = |(course, values): (&Course, Vec<f64>)| {
        let caption = format!("{}: mean error {}", course.loss.title(), short(course.error()));
        GridMap::new(caption, SIDE, SIDE, values).ends(0.0, most)
    };
    simulation.courses.iter().zip(values).map(map).collect()
}

/// The places in each cell of the map; where there is none, the nearest one; outside of the disc, none.
fn cells(places: &[[f64; 2]], radius: f64) -> Vec<Vec<usize>> {
    let step = 2.0 * radius / SIDE as f64;
    let mut cells = vec![Vec::new(); SIDE * SIDE];
    for (index, place) in places.iter().enumerate() {
        let [column, row] = place.map(|at| (((at - CENTRE + radius) / step).max(0.0) as usize).min(SIDE - 1));
        cells[row * SIDE + column].push(index);
    }
    for (index, cell) in cells.iter_mut().enumerate() {
        let middle = [index % SIDE, index / SIDE].map(|at| CENTRE - radius + (at as f64 + 0.5) * step);
        let distance = |[x, y]: [f64; 2]| (x - middle[0]).hypot(y - middle[1]);
        if cell.is_empty() && distance([CENTRE; 2]) <= radius {
            let nearest = (0..places.len()).min_by(|a, b| distance(places[*a]).total_cmp(&distance(places[*b])));
            cell.extend(nearest);
        }
    }
    cells
}

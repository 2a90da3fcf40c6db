//! Boxes that run to their targets by gradient descent.

use std::f64::consts::TAU;

use etude_boxes::iou::{Iou, elementwise};
use etude_boxes::{BoxError, Boxes, Format};
use etude_train::Seed;
use rand::RngExt as _;
use rayon::prelude::*;

use super::published::Published;
use super::recipe::Recipe;
use crate::boxes::metric::{Member, Surroundings};
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;

/// Where all targets have their centre.
pub(super) const CENTRE: f64 = 10.0;
/// A box fits its target with this IoU.
pub(super) const FITS: f64 = 0.9;
/// The picture of MPDIoU: the targets are in its middle.
const PICTURE: [f64; 2] = [2.0 * CENTRE, 2.0 * CENTRE];
/// The share of the places from which boxes also run as they were published to.
const PUBLISHED: usize = 10;
/// Places whose boxes are done before progress is shown.
const PART: usize = 64;

/// What came of all losses.
pub(super) struct Simulation {
    /// Where anchors are.
    pub(super) places: Vec<[f64; 2]>,
    pub(super) cases: usize,
    /// Of these, boxes that do not meet their target at first.
    pub(super) apart: usize,
    pub(super) courses: Vec<Course>,
    /// From a tenth of the places, with the slopes of the paper's program.
    pub(super) published: Vec<Course>,
}

/// How the boxes ran under one loss. An error is |x - xg| + |y - yg| + |w - wg| + |h - hg|.
pub(super) struct Course {
    pub(super) loss: Member,
    /// The mean error before the first iteration, and after each.
    pub(super) all: Vec<f64>,
    /// The same of the boxes that meet their target at first, and of those that do not; NaN where there are none.
    pub(super) met: Vec<f64>,
    pub(super) apart: Vec<f64>,
    /// How many do not meet at first, and their mean area. Targets have 1.
    boxes_apart: usize,
    pub(super) areas: Vec<f64>,
    /// The mean error in the end of the boxes from each place.
    pub(super) by_place: Vec<f64>,
    /// The share of boxes that fit in the end.
    pub(super) fitted: f64,
}

/// Which way is down.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slopes {
    /// That of the loss.
    Exact(Member),
    /// That of the paper's program.
    Published(Published),
}

/// Some boxes, format cxcywh, on their way.
pub(super) struct Descent {
    slopes: Slopes,
    pub(super) boxes: Vec<[f64; 4]>,
    targets: Vec<[f64; 4]>,
    ious: Vec<f64>,
    losses: Vec<f64>,
    gradients: Vec<[f64; 4]>,
}

/// How the boxes of one place ran.
struct Track {
    /// The sum of errors before the first iteration, and after each: of boxes that did not meet at first, and that did.
    errors: [Vec<f64>; 2],
    /// The sum of areas of boxes that did not meet at first.
    areas: Vec<f64>,
    /// How many of each there are.
    counts: [usize; 2],
    fitted: usize,
}

impl Simulation {
    /// Lets all boxes run under all losses.
    pub(super) fn run(recipe: &Recipe, output: &Output) -> Result<Self, CommandError> {
        let places = places(recipe);
        let few = &places[..places.len().div_ceil(PUBLISHED)];
        let published: Vec<_> = recipe
            .losses
            .iter()
            .filter_map(|loss| Some((*loss, Published::of(*loss)?)))
            .collect();
        let shapes = recipe.shapes();
        let total = recipe.losses.len() * places.len() + published.len() * few.len();
        let bar = Progress::bar(output, "boxes run, place by place", total as u64);
        let mut done = 0;
        let mut run = |loss: Member, slopes, places: &[[f64; 2]]| {
            let mut tracks: Vec<Track> = Vec::with_capacity(places.len());
            for part in places.chunks(PART) {
                let part: Result<Vec<Track>, BoxError> = part
                    .par_iter()
                    .map(|place| Track::run(recipe, slopes, *place, &shapes))
                    .collect();
                tracks.extend(part.failed_run(|| "the boxes cannot run".into())?);
                bar.set((done + tracks.len()) as u64, loss.name());
                if interrupt::interrupted() {
                    return Err(CommandError::failed_run("stopped on request"));
                }
            }
            done += tracks.len();
            Ok(Course::new(loss, &tracks))
        };
        let courses = recipe
            .losses
            .iter()
            .map(|loss| run(*loss, Slopes::Exact(*loss), &places));
        let courses = courses.collect::<Result<Vec<_>, CommandError>>()?;
        let published = published
            .into_iter()
            .map(|(loss, form)| run(loss, Slopes::Published(form), few));
        let published = published.collect::<Result<_, CommandError>>()?;
        bar.finish();
        Ok(Self {
            cases: places.len() * shapes.len(),
            places,
            apart: courses.first().map_or(0, |course| course.boxes_apart),
            courses,
            published,
        })
    }
}

impl Course {
    fn new(loss: Member, tracks: &[Track]) -> Self {
        let iterations = tracks.first().map_or(0, |track| track.errors[0].len());
        let counts = [0, 1].map(|kind| tracks.iter().map(|track| track.counts[kind]).sum::<usize>());
        let mean = |iteration: usize, kinds: &[usize]| {
            let sum: f64 = tracks
                .iter()
                .flat_map(|track| kinds.iter().map(|kind| track.errors[*kind][iteration]))
                .sum();
            sum / kinds.iter().map(|kind| counts[*kind]).sum::<usize>() as f64
        };
        let curve = |kinds: &[usize]| (0..iterations).map(|iteration| mean(iteration, kinds)).collect();
        let area = |iteration: usize| tracks.iter().map(|track| track.areas[iteration]).sum::<f64>() / counts[0] as f64;
        let last = |track: &Track| {
            let errors = track.errors.iter().filter_map(|errors| errors.last()).sum::<f64>();
            errors / track.counts.iter().sum::<usize>() as f64
        };
        let fitted: usize = tracks.iter().map(|track| track.fitted).sum();
        Self {
            loss,
            all: curve(&[0, 1]),
            apart: curve(&[0]),
            met: curve(&[1]),
            boxes_apart: counts[0],
            areas: (0..iterations).map(area).collect(),
            by_place: tracks.iter().map(last).collect(),
            fitted: fitted as f64 / counts.iter().sum::<usize>() as f64,
        }
    }
}

impl Track {
    /// The boxes of all shapes from one place to their targets.
    fn run(recipe: &Recipe, slopes: Slopes, [x, y]: [f64; 2], shapes: &[[[f64; 2]; 2]]) -> Result<Self, BoxError> {
        let boxes = shapes.iter().map(|[[w, h], _]| [x, y, *w, *h]).collect();
        let targets = shapes.iter().map(|[_, [w, h]]| [CENTRE, CENTRE, *w, *h]).collect();
        let mut descent = Descent::new(slopes, boxes, targets)?;
        let meet: Vec<usize> = descent.ious.iter().map(|iou| usize::from(*iou > 0.0)).collect();
        let room = || Vec::with_capacity(recipe.iterations.get() + 1);
        let mut track = Self {
            errors: [room(), room()],
            areas: room(),
            counts: [0, 1].map(|kind| meet.iter().filter(|meets| **meets == kind).count()),
            fitted: 0,
        };
        track.record(&descent, &meet);
        for iteration in 1..=recipe.iterations.get() {
            descent.step(recipe.rate(iteration))?;
            track.record(&descent, &meet);
        }
        track.fitted = descent.ious.iter().filter(|iou| **iou >= FITS).count();
        Ok(track)
    }

    fn record(&mut self, descent: &Descent, meet: &[usize]) {
        let (mut sums, mut area) = ([0.0; 2], 0.0);
        for ((p, g), kind) in descent.boxes.iter().zip(&descent.targets).zip(meet) {
            sums[*kind] += p.iter().zip(g).map(|(p, g)| (p - g).abs()).sum::<f64>();
            if *kind == 0 {
                area += p[2].max(0.0) * p[3].max(0.0);
            }
        }
        self.areas.push(area);
        for (errors, sum) in self.errors.iter_mut().zip(sums) {
            errors.push(sum);
        }
    }
}

impl Descent {
    /// Boxes, one for each target, before their first step.
    pub(super) fn new(slopes: Slopes, boxes: Vec<[f64; 4]>, targets: Vec<[f64; 4]>) -> Result<Self, BoxError> {
        let count = boxes.len();
        let mut descent = Self {
            slopes,
            boxes,
            targets,
            ious: vec![0.0; count],
            losses: vec![0.0; count],
            gradients: vec![[0.0; 4]; count],
        };
        descent.measure()?;
        Ok(descent)
    }

    /// One step: B <- B - rate (2 - IoU) dL/dB (algorithm 1, line 8). Boxes that fit badly are in more of a hurry.
    pub(super) fn step(&mut self, rate: f64) -> Result<(), BoxError> {
        match self.slopes {
            Slopes::Exact(loss) => {
                let mean = if loss.compares() {
                    1.0 - self.ious.iter().sum::<f64>() / self.ious.len() as f64
                } else {
                    1.0
                };
                let (boxes, targets) = views(&self.boxes, &self.targets);
                loss.metric(Surroundings { picture: PICTURE, mean }).loss_and_gradient(
                    boxes,
                    targets,
                    &mut self.losses,
                    &mut self.gradients,
                )?;
            }
            Slopes::Published(loss) => {
                for ((p, g), gradient) in self.boxes.iter().zip(&self.targets).zip(&mut self.gradients) {
                    *gradient = loss.slopes(*p, *g);
                }
            }
        }
        for ((p, gradient), iou) in self.boxes.iter_mut().zip(&self.gradients).zip(&self.ious) {
            for (number, slope) in p.iter_mut().zip(gradient) {
                *number -= rate * (2.0 - iou) * slope;
            }
        }
        self.measure()
    }

    fn measure(&mut self) -> Result<(), BoxError> {
        let (boxes, targets) = views(&self.boxes, &self.targets);
        elementwise(&Iou::default(), boxes, targets, &mut self.ious)
    }
}

fn views<'a>(boxes: &'a [[f64; 4]], targets: &'a [[f64; 4]]) -> (Boxes<'a, f64>, Boxes<'a, f64>) {
    (Boxes::rows(boxes, Format::Cxcywh), Boxes::rows(targets, Format::Cxcywh))
}

/// Places, evenly spread over a disc.
fn places(recipe: &Recipe) -> Vec<[f64; 2]> {
    let mut random = Seed(recipe.seed()).stream("anchors");
    let mut place = || {
        let distance = recipe.radius.get() * random.random_range(0.0..1.0_f64).sqrt();
        let (sin, cos) = random.random_range(0.0..TAU).sin_cos();
        [CENTRE + distance * cos, CENTRE + distance * sin]
    };
    (0..recipe.points.get()).map(|_| place()).collect()
}

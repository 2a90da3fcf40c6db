//! `etude boxes iou`: how well boxes fit, pair by pair or each with each.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use etude_boxes::iou::{DynMetric, Iou};
use etude_boxes::rotated::{self, ProbIou, RotatedBoxes, RotatedIou, RotatedMetric};
use etude_boxes::{BoxError, Boxes, Format};
use serde::Serialize;

use super::layout::{Angle, Layout};
use super::metric::{Convention, Member, Surroundings};
use super::numbers::{Numbers, Wanted};
use super::{SHOWN, show};
use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::recipe::nearest;
use crate::report::Table;
use crate::report::number::{grouped, short};

/// Columns of a matrix that are shown.
const SHOWN_COLUMNS: usize = 8;

/// The metric that only rotated boxes have.
const PROB_IOU: &str = "prob-iou";

/// What `etude boxes iou` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Boxes, one a row: a CSV file, or JSON with a list of rows. With a gradient these are the predicted ones
    #[arg(value_name = "BOXES")]
    boxes: PathBuf,
    /// Their targets, one for each of them; with `--pairwise` any number
    #[arg(value_name = "TARGETS")]
    targets: PathBuf,
    /// iou, giou, diou, ciou, eiou, focal-eiou, alpha-iou, alpha-giou, alpha-diou, alpha-ciou, siou, wiou-v1, wiou-v2,
    /// wiou-v3, mpdiou, inner-iou, inner-ciou, inner-siou, shape-iou or bounded-iou; of rotated boxes iou or prob-iou
    #[arg(long, value_name = "NAME", default_value = "iou")]
    metric: Metric,
    /// What the numbers of a row mean
    #[arg(long, value_name = "FORMAT", default_value = "xyxy")]
    format: Layout,
    /// What the angle of a rotated box means
    #[arg(long, value_name = "CONVENTION", default_value = "mmcv")]
    angle: Angle,
    /// Whose details, where libraries differ
    #[arg(long, value_name = "NAME", default_value = "paper")]
    convention: Convention,
    /// The size of the picture, which mpdiou needs
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    picture: Option<Size>,
    /// Take every box with every target
    #[arg(long)]
    pairwise: bool,
    /// Also give the gradient of the loss, 1 - metric, by the numbers of the first box of each pair
    #[arg(long)]
    gradient: bool,
}

/// A metric by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metric {
    Member(Member),
    /// Of rotated boxes.
    ProbIou,
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == PROB_IOU {
            return Ok(Self::ProbIou);
        }
        let member = Member::from_str(name, false);
        member.map(Self::Member).map_err(|_| {
            let names = Member::value_variants().iter().map(|member| member.name());
            let names: Vec<String> = names.chain([PROB_IOU.to_owned()]).collect();
            nearest(name, &names).map_or_else(
                || format!("the metrics are {}", names.join(", ")),
                |known| format!("did you mean `{known}`?"),
            )
        })
    }
}

/// Width and height, such as `640x480`.
#[derive(Debug, Clone, Copy)]
struct Size([f64; 2]);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |text: &str| text.parse().ok().filter(|side: &f64| side.is_finite() && *side > 0.0);
        let sides = text
            .split_once('x')
            .and_then(|(width, height)| Some([side(width)?, side(height)?]));
        sides.map(Self).ok_or("expected two numbers above 0, such as 640x480")
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json {
    values: Shaped<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gradients: Option<Shaped<Vec<f64>>>,
}

/// One item a pair: a list, or one list a box.
#[derive(Serialize)]
#[serde(untagged)]
enum Shaped<T> {
    List(Vec<T>),
    Rows(Vec<Vec<T>>),
}

/// The values of all pairs, and their gradients one after the other, as many numbers each as a box has.
struct Compared {
    values: Vec<f64>,
    gradients: Option<Vec<f64>>,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let columns = arguments.format.columns();
    let wanted = Wanted {
        columns: &[columns],
        null: None,
    };
    let boxes = Numbers::read(&arguments.boxes, wanted)?;
    let targets = Numbers::read(&arguments.targets, wanted)?;
    let (rows, others) = (boxes.len(), targets.len());
    if !arguments.pairwise && rows != others {
        return Err(arguments
            .refuse()
            .because(format!(
                "found {rows} boxes in {} and {others} in {}, expected as many in both",
                arguments.boxes.display(),
                arguments.targets.display()
            ))
            .hint("`--pairwise` takes every box with every target"));
    }
    let compared = match arguments.format.upright() {
        Some(format) => arguments.upright(&boxes.rows(), &targets.rows(), format)?,
        None => arguments.rotated(&boxes.rows(), &targets.rows())?,
    };
    let width = columns.split(' ').count();
    let shape = arguments.pairwise.then_some([rows, others]);
    if output.is_json() {
        let gradients = compared
            .gradients
            .map(|flat| flat.chunks(width).map(<[f64]>::to_vec).collect());
        output.result_json(&Json {
            values: shaped(compared.values, shape),
            gradients: gradients.map(|gradients| shaped(gradients, shape)),
        });
    } else if let (Some(shape), None) = (shape, &compared.gradients) {
        matrix(&compared.values, shape, output);
    } else {
        list(&compared, columns, shape, output);
    }
    Ok(())
}

impl Arguments {
    fn refuse(&self) -> CommandError {
        let (boxes, targets) = (self.boxes.display(), self.targets.display());
        CommandError::bad_input(format!("cannot compare {boxes} and {targets}"))
    }

    fn upright(&self, a: &[[f64; 4]], b: &[[f64; 4]], format: Format) -> Result<Compared, CommandError> {
        let Metric::Member(member) = self.metric else {
            return Err(self
                .refuse()
                .because(format!(
                    "`{PROB_IOU}` is a metric of rotated boxes, and these are upright"
                ))
                .hint("`--format cxcywha` reads rotated boxes, five numbers each"));
        };
        if member == Member::Mpdiou && self.picture.is_none() {
            return Err(self
                .refuse()
                .because("MPDIoU takes distances as parts of the picture's diagonal, and the picture is not known")
                .hint("give its size, such as `--picture 640x480`"));
        }
        let failed = || "cannot compare the boxes".into();
        let mut surroundings = Surroundings {
            picture: self.picture.map_or([1.0; 2], |Size(sides)| sides),
            mean: 1.0,
        };
        let mut values = self.room(a.len(), b.len(), 0.0)?;
        let of = |metric: &dyn DynMetric<f64>, values: &mut [f64]| {
            let (a, b) = (Boxes::rows(a, format), Boxes::rows(b, format));
            if self.pairwise {
                metric.pairwise(a, b, values)
            } else {
                metric.elementwise(a, b, values)
            }
        };
        if member.compares() {
            of(&Iou::default(), &mut values).failed_run(failed)?;
            surroundings.mean = 1.0 - values.iter().sum::<f64>() / values.len().max(1) as f64;
        }
        let metric = member.by(self.convention, surroundings)?;
        of(&*metric, &mut values).failed_run(failed)?;
        let gradients = self.gradients(a, b, |a, b, losses, gradients| {
            metric.loss_and_gradient(Boxes::rows(a, format), Boxes::rows(b, format), losses, gradients)
        })?;
        Ok(Compared { values, gradients })
    }

    fn rotated(&self, a: &[[f64; 5]], b: &[[f64; 5]]) -> Result<Compared, CommandError> {
        let refused = match self.metric {
            _ if self.convention != Convention::Paper => "rotated boxes have the papers' formulas only".into(),
            Metric::Member(Member::Iou) => return self.compare_rotated(RotatedIou, a, b),
            Metric::ProbIou => return self.compare_rotated(ProbIou, a, b),
            Metric::Member(other) => {
                format!(
                    "rotated boxes have the metrics `iou` and `{PROB_IOU}`; found `{}`",
                    other.name()
                )
            }
        };
        Err(self.refuse().because(refused))
    }

    fn compare_rotated(
        &self,
        metric: impl RotatedMetric,
        a: &[[f64; 5]],
        b: &[[f64; 5]],
    ) -> Result<Compared, CommandError> {
        let failed = || "cannot compare the boxes".into();
        let angle = self.angle.convention();
        let view = |boxes| RotatedBoxes::rows(boxes, angle);
        let mut values = self.room(a.len(), b.len(), 0.0)?;
        if self.pairwise {
            rotated::pairwise(&metric, view(a), view(b), &mut values)
        } else {
            rotated::elementwise(&metric, view(a), view(b), &mut values)
        }
        .failed_run(failed)?;
        let gradients = self.gradients(a, b, |a, b, losses, gradients| {
            let (a, b) = (RotatedBoxes::rows(a, angle), RotatedBoxes::rows(b, angle));
            rotated::loss_and_gradient(&metric, a, b, losses, gradients)
        })?;
        Ok(Compared { values, gradients })
    }

    /// The gradients of all pairs, where they are asked for.
    fn gradients<const N: usize>(
        &self,
        a: &[[f64; N]],
        b: &[[f64; N]],
        differentiate: impl Fn(&[[f64; N]], &[[f64; N]], &mut [f64], &mut [[f64; N]]) -> Result<(), BoxError>,
    ) -> Result<Option<Vec<f64>>, CommandError> {
        if !self.gradient {
            return Ok(None);
        }
        let mut gradients = self.room(a.len(), b.len(), [0.0; N])?;
        let mut losses = vec![0.0; b.len()];
        let computed = if self.pairwise {
            let mut rows = a.iter().zip(gradients.chunks_mut(b.len().max(1)));
            rows.try_for_each(|(a, gradients)| differentiate(&vec![*a; b.len()], b, &mut losses, gradients))
        } else {
            differentiate(a, b, &mut losses, &mut gradients)
        };
        computed.failed_run(|| "cannot compare the boxes".into())?;
        // Where there is no slope, plus zero makes of -0 a 0.
        let slopes = gradients.into_flattened().into_iter().map(|slope| slope + 0.0);
        Ok(Some(slopes.collect()))
    }

    /// Something for each pair of boxes and targets.
    fn room<T: Clone>(&self, boxes: usize, targets: usize, filling: T) -> Result<Vec<T>, CommandError> {
        let pairs = if self.pairwise {
            boxes.saturating_mul(targets)
        } else {
            boxes
        };
        let mut room = Vec::new();
        room.try_reserve_exact(pairs).map_err(|_| {
            let found = format!("{} boxes and {} targets", grouped(boxes), grouped(targets));
            self.refuse()
                .because(format!("the memory is too small for all pairs of {found}"))
        })?;
        room.resize(pairs, filling);
        Ok(room)
    }
}

fn shaped<T: Clone>(items: Vec<T>, shape: Option<[usize; 2]>) -> Shaped<T> {
    match shape {
        None => Shaped::List(items),
        Some([rows, columns]) => {
            let row = |row: usize| items[row * columns..(row + 1) * columns].to_vec();
            Shaped::Rows((0..rows).map(row).collect())
        }
    }
}

/// Prints a row for each pair.
fn list(compared: &Compared, columns: &str, shape: Option<[usize; 2]>, output: &Output) {
    let names: Vec<String> = columns.split(' ').map(|name| format!("by {name}")).collect();
    let slopes = compared
        .gradients
        .as_ref()
        .map(|gradients| gradients.chunks(names.len()));
    let mut slopes = slopes.into_iter().flatten();
    let pair = if shape.is_some() {
        vec!["box", "target"]
    } else {
        vec!["pair"]
    };
    let header = pair.into_iter().chain(["value"]).map(str::to_owned);
    let mut table = Table::new(header.chain(names.iter().filter(|_| compared.gradients.is_some()).cloned()));
    for (index, value) in compared.values.iter().enumerate().take(SHOWN) {
        let pair = match shape {
            Some([_, columns]) => vec![index / columns, index % columns],
            None => vec![index],
        };
        let numbers = [*value]
            .into_iter()
            .chain(slopes.next().unwrap_or_default().iter().copied());
        table = table.row(pair.iter().map(usize::to_string).chain(numbers.map(short)));
    }
    show(&table, compared.values.len(), "pairs", output);
}

/// Prints a row for each box, with a column for each target.
fn matrix(values: &[f64], [rows, columns]: [usize; 2], output: &Output) {
    let shown = columns.min(SHOWN_COLUMNS);
    let targets = (0..shown).map(|column| column.to_string());
    let mut table = Table::new(["box \\ target".to_owned()].into_iter().chain(targets));
    for (index, row) in values.chunks(columns.max(1)).enumerate().take(SHOWN) {
        table = table.row(
            [index.to_string()]
                .into_iter()
                .chain(row[..shown].iter().map(|value| short(*value))),
        );
    }
    show(&table, rows, "boxes", output);
    if columns > shown {
        output.line(&format!(
            "The first {shown} of {} targets; `--json` prints all.",
            grouped(columns)
        ));
    }
}

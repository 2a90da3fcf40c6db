//! `etude boxes nms`: which detections stay.

use std::path::PathBuf;

use clap::Args;
use etude_boxes::Boxes;
use etude_boxes::nms::{batched_nms, nms, rotated_nms};
use etude_boxes::rotated::RotatedBoxes;
use serde::Serialize;

use super::layout::{Angle, Layout};
use super::numbers::{Numbers, Wanted};
use super::{SHOWN, show};
use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::report::Table;
use crate::report::number::{grouped, short};

/// What `etude boxes nms` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Boxes, each with its score and, if they have classes, its class: a CSV file, or JSON with a list of rows
    #[arg(value_name = "BOXES")]
    boxes: PathBuf,
    /// A box goes where its IoU with a better one, of its class, is above this
    #[arg(long, value_name = "IOU", default_value_t = 0.5, allow_negative_numbers = true)]
    iou: f64,
    /// What the numbers of a box mean
    #[arg(long, value_name = "FORMAT", default_value = "xyxy")]
    format: Layout,
    /// What the angle of a rotated box means
    #[arg(long, value_name = "CONVENTION", default_value = "mmcv")]
    angle: Angle,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json {
    /// The boxes that stay, from 0, by falling score.
    keep: Vec<u32>,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let columns = arguments.format.columns();
    let boxed = columns.split(' ').count();
    let (scored, classed) = (format!("{columns} score"), format!("{columns} score class"));
    let wanted = Wanted {
        columns: &[&scored, &classed],
        null: None,
    };
    let table = Numbers::read(&arguments.boxes, wanted)?;
    let scores: Vec<f64> = table.column(boxed).collect();
    let classes = (table.width() > boxed + 1)
        .then(|| classes(&table, boxed + 1))
        .transpose()?;
    let classes = classes.as_deref();
    let keep = if let Some(format) = arguments.format.upright() {
        let rows = table.rows();
        let boxes = Boxes::rows(&rows, format);
        match classes {
            Some(classes) => batched_nms(boxes, &scores, classes, arguments.iou),
            None => nms(boxes, &scores, arguments.iou),
        }
    } else {
        let rows = table.rows();
        let boxes = RotatedBoxes::rows(&rows, arguments.angle.convention());
        rotated_nms(boxes, &scores, classes, arguments.iou)
    };
    let keep = keep.bad_input(|| format!("cannot use `--iou {}`", arguments.iou))?;
    if !output.is_json() {
        let header = ["box", "score"].into_iter().chain(classes.map(|_| "class"));
        let shown = keep.iter().take(SHOWN).map(|index| *index as usize);
        let stays = shown.fold(Table::new(header), |stays, index| {
            let class = classes.map(|classes| classes[index].to_string());
            stays.row([index.to_string(), short(scores[index])].into_iter().chain(class))
        });
        show(&stays, keep.len(), "boxes that stay", output);
        output.line(&format!(
            "{} of {} boxes stay.",
            grouped(keep.len()),
            grouped(scores.len())
        ));
    }
    output.result_json(&Json { keep });
    Ok(())
}

/// The last column as classes.
fn classes(table: &Numbers, column: usize) -> Result<Vec<u32>, CommandError> {
    let class = |(row, found): (usize, f64)| {
        let whole = found.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&found);
        let wrong = || format!("found the class {found}, expected a whole number, 0 or more");
        whole.then_some(found as u32).ok_or_else(|| table.reject(row, &wrong()))
    };
    table.column(column).enumerate().map(class).collect()
}

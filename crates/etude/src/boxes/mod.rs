//! `etude boxes`: how well boxes fit, which stay, and which belong together.

mod assign;
mod iou;
mod layout;
mod metric;
mod nms;
mod numbers;
mod simulate;

use clap::Subcommand;

use crate::cli::examples;
use crate::error::CommandError;
use crate::output::Output;
use crate::report::Table;
use crate::report::number::grouped;
use crate::terminal;

pub(crate) use simulate::tour;

/// Rows of a table that are shown.
const SHOWN: usize = 20;

/// The verbs of `etude boxes`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Compute a metric of the IoU family, and its loss's gradient
    #[command(after_help = examples! {
        "etude boxes iou --metric ciou --format xyxy predicted.csv targets.csv --json"
        "etude boxes iou --pairwise predicted.csv targets.csv"
        "etude boxes iou --metric giou --gradient --format cxcywh predicted.json targets.json --json"
        "etude boxes iou --format cxcywha --angle detectron2 rotated.csv others.csv"
    })]
    Iou(Box<iou::Arguments>),

    /// Suppress boxes that overlap better ones
    #[command(after_help = examples! {
        "etude boxes nms --iou 0.5 boxes.csv --json     rows of four numbers and a score, and a class if there is a sixth"
        "etude boxes nms --format xywh detections.json"
    })]
    Nms(nms::Arguments),

    /// Assign rows to columns, one to one, at the least total cost (the Hungarian matcher)
    #[command(after_help = examples! {
        "etude boxes assign cost.csv --json"
    })]
    Assign(assign::Arguments),

    /// Let boxes run to their targets under each loss, and see where it leaves them
    #[command(after_help = examples! {
        "etude boxes simulate"
        "etude boxes simulate --losses iou,giou,diou,ciou,eiou,siou --seed 1 --out runs/losses"
        "etude boxes simulate --set points=500 --set iterations=400 --json"
    })]
    Simulate(simulate::Arguments),
}

/// Runs one verb.
pub(crate) fn run(verb: &Verb, output: &Output) -> Result<(), CommandError> {
    match verb {
        Verb::Iou(arguments) => iou::run(arguments, output),
        Verb::Nms(arguments) => nms::run(arguments, output),
        Verb::Assign(arguments) => assign::run(arguments, output),
        Verb::Simulate(arguments) => simulate::run(arguments, output),
    }
}

/// Prints a table that shows the first rows of `count`, and says so.
fn show(table: &Table, count: usize, what: &str, output: &Output) {
    output.line(terminal::table(table).trim_end());
    if count > SHOWN {
        output.line(&format!(
            "The first {SHOWN} of {} {what}; `--json` prints all.",
            grouped(count)
        ));
    }
}

//! étude's side of `boxes.py`: reads its boxes and costs from a folder, and then does what each line of the input says.
//!
//! `time TASK CALLS` prints the seconds that one of so many calls took, `write TASK` writes what it answers to `TASK.out`.
//!
//! `cargo build --release -p etude-boxes --example boxes`
#![expect(clippy::print_stdout, reason = "the script that starts it reads the answers there")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io};

use etude_boxes::assign::linear_assignment;
use etude_boxes::iou::{Ciou, Diou, Giou, Iou, Metric, ShapeIou, Siou, loss_and_gradient, pairwise};
use etude_boxes::nms::{batched_nms, nms};
use etude_boxes::rotated::{AngleConvention, RotatedBoxes, RotatedIou};
use etude_boxes::{Boxes, Format, rotated};
use rayon::prelude::*;

fn main() {
    let folder = PathBuf::from(env::args().nth(1).expect("the folder of the script's boxes"));
    let mut bench = Bench::new(&folder);
    for line in io::stdin().lines() {
        let line = line.unwrap();
        match *line.split(' ').collect::<Vec<_>>() {
            ["write", task] => {
                fs::write(folder.join(format!("{task}.out")), bench.run(task).bytes()).unwrap();
                println!();
            }
            ["time", task, calls] => {
                let calls: u32 = calls.parse().unwrap();
                let start = Instant::now();
                for _ in 0..calls {
                    black_box(bench.run(task));
                }
                println!("{}", start.elapsed().as_secs_f64() / f64::from(calls));
            }
            _ => panic!("neither `write TASK` nor `time TASK CALLS`: {line}"),
        }
    }
}

/// What the tasks work on.
struct Bench {
    a: Vec<[f32; 4]>,
    b: Vec<[f32; 4]>,
    many: Vec<[f32; 4]>,
    targets: Vec<[f32; 4]>,
    scores: Vec<f32>,
    classes: Vec<u32>,
    rotated_a: Vec<f64>,
    rotated_b: Vec<f64>,
    square: Vec<f64>,
    wide: Vec<f64>,
    /// Room for all pairs of `a` and `b` that has been written to before.
    values: Vec<f32>,
    losses: Vec<f32>,
    gradients: Vec<[f32; 4]>,
}

/// What a task answers.
enum Answer {
    Nothing,
    Indices(Vec<u32>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Indices(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            Self::Floats(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            Self::Doubles(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        }
    }
}

impl Bench {
    fn new(folder: &Path) -> Self {
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let (a, b, many) = (boxes(&read("a")), boxes(&read("b")), boxes(&read("many")));
        Self {
            values: vec![1.0; a.len() * b.len()],
            losses: vec![0.0; many.len()],
            gradients: vec![[0.0; 4]; many.len()],
            a,
            b,
            many,
            targets: boxes(&read("targets")),
            scores: floats(&read("scores")),
            classes: floats(&read("classes")).iter().map(|&class| class as u32).collect(),
            rotated_a: doubles(&read("rotated_a")),
            rotated_b: doubles(&read("rotated_b")),
            square: doubles(&read("square")),
            wide: doubles(&read("wide")),
        }
    }

    /// Does it once. Matrices are new memory, as the peers' are, except where the name of the task says otherwise.
    fn run(&mut self, task: &str) -> Answer {
        match task {
            "memory" => {
                let mut values = vec![0.0; self.values.len()];
                values.par_chunks_mut(1 << 14).for_each(|part| part.fill(1.0));
                Answer::Floats(values)
            }
            "iou_reused" => {
                pairwise(&Iou::default(), xyxy(&self.a), xyxy(&self.b), &mut self.values).unwrap();
                Answer::Nothing
            }
            "iou" => self.pairwise(&Iou::default()),
            "giou" => self.pairwise(&Giou::default()),
            "diou" => self.pairwise(&Diou::default()),
            "ciou" => self.pairwise(&Ciou::default()),
            "siou" => self.pairwise(&Siou::default()),
            "shape_iou" => self.pairwise(&ShapeIou::default()),
            "ciou_loss" => self.loss(&Ciou::default()),
            "siou_loss" => self.loss(&Siou::default()),
            "shape_iou_loss" => self.loss(&ShapeIou::default()),
            "nms_10000" => Answer::Indices(nms(xyxy(&self.many[..10_000]), &self.scores[..10_000], 0.5).unwrap()),
            "nms_100000" => Answer::Indices(nms(xyxy(&self.many), &self.scores, 0.5).unwrap()),
            "batched_nms" => Answer::Indices(batched_nms(xyxy(&self.many), &self.scores, &self.classes, 0.5).unwrap()),
            "rotated_iou" => {
                let view = |boxes| RotatedBoxes::flat(boxes, AngleConvention::MMCV).unwrap();
                let (a, b) = (view(&self.rotated_a), view(&self.rotated_b));
                let mut values = vec![0.0; a.len() * b.len()];
                rotated::pairwise(&RotatedIou, a, b, &mut values).unwrap();
                Answer::Doubles(values)
            }
            "assignment_100x100" => assignments(&self.square, [100, 100]),
            "assignment_900x300" => assignments(&self.wide, [900, 300]),
            _ => panic!("no such task: {task}"),
        }
    }

    fn pairwise(&self, metric: &impl Metric<f32>) -> Answer {
        let mut values = vec![0.0; self.a.len() * self.b.len()];
        pairwise(metric, xyxy(&self.a), xyxy(&self.b), &mut values).unwrap();
        Answer::Floats(values)
    }

    fn loss(&mut self, metric: &impl Metric<f32>) -> Answer {
        let (p, g) = (xyxy(&self.many), xyxy(&self.targets));
        loss_and_gradient(metric, p, g, &mut self.losses, &mut self.gradients).unwrap();
        Answer::Nothing
    }
}

/// Of each matrix on its own.
fn assignments(costs: &[f64], [rows, columns]: [usize; 2]) -> Answer {
    let each = costs.chunks(rows * columns);
    Answer::Indices(
        each.flat_map(|cost| linear_assignment(cost, [rows, columns]).unwrap().columns)
            .collect(),
    )
}

fn xyxy(boxes: &[[f32; 4]]) -> Boxes<'_, f32> {
    Boxes::rows(boxes, Format::Xyxy)
}

fn boxes(bytes: &[u8]) -> Vec<[f32; 4]> {
    floats(bytes).as_chunks().0.to_vec()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f64::from_le_bytes(bytes))
        .collect()
}

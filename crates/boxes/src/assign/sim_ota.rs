//! Simplified optimal transport assignment.

use super::label::{Assigned, Ious, Label, centre, check_scores, least_first};
use crate::error::check_length;
use crate::{BoxError, Boxes, Float};

/// The constants of [`sim_ota`]. The default is YOLOX's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimOta {
    /// How far from the centre of a target a prior counts as central, in strides: 2.5.
    pub radius: f64,
    /// How many of the largest IoUs are added up to the number of predictions that a target gets: 10.
    pub candidates: usize,
    /// The weight of -ln(IoU) in the cost, that of the classification being 1: 3.
    pub iou_weight: f64,
}

impl Default for SimOta {
    fn default() -> Self {
        Self {
            radius: 2.5,
            candidates: 10,
            iou_weight: 3.0,
        }
    }
}

/// What a prior costs that is not both inside of a target and central.
const FAR: f64 = 1e5;

/// Each target takes the k predictions of least cost, where k is the sum of its largest IoUs, cut to a whole number,
/// and 1 at least. Z. Ge et al., "YOLOX: Exceeding YOLO Series in 2021", section 2.1, after their "OTA", CVPR 2021.
///
#[doc = include_str!("../../docs/sim_ota.svg")]
///
/// ```text
/// cost = BCE(scores, one-hot of the target's class) + 3 (-ln(IoU + 1e-8)) + 1e5 (prior not inside, or not central)
/// ```
///
/// Only priors take part that are inside of some target, or central in some. A prediction that several targets take
/// goes to the target for which its cost is least. `priors` are x, y and stride of each prediction; `scores`
/// [predictions, classes] are probabilities (YOLOX passes the square root of class times objectness); `classes` are
/// those of the targets. Memory: a few numbers a prediction.
///
/// ```
/// use etude_boxes::assign::{Label, SimOta, sim_ota};
/// use etude_boxes::{Boxes, Format};
///
/// let priors = [[4.0, 4.0, 8.0], [12.0, 4.0, 8.0], [100.0, 4.0, 8.0]];
/// let predicted = [[0.0, 0.0, 9.0, 9.0], [6.0, 0.0, 20.0, 9.0], [90.0, 0.0, 110.0, 9.0]];
/// let scores = [0.9, 0.1, 0.5, 0.5, 0.1, 0.1];
/// let targets = [[0.0, 0.0, 9.0, 9.0]];
/// let (predicted, targets) = (Boxes::rows(&predicted, Format::Xyxy), Boxes::rows(&targets, Format::Xyxy));
/// let found = sim_ota(&priors, predicted, &scores, targets, &[0], &SimOta::default())?;
/// assert_eq!(found.labels, [Label::Target(0), Label::Background, Label::Background]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many priors as predictions, classes as targets, or scores of each class as predictions; a class has
/// no scores.
pub fn sim_ota<T: Float>(
    priors: &[[T; 3]],
    predicted: Boxes<'_, T>,
    scores: &[T],
    targets: Boxes<'_, T>,
    classes: &[u32],
    rule: &SimOta,
) -> Result<Assigned<T>, BoxError> {
    check_length("priors", priors.len(), predicted.len())?;
    let width = check_scores(scores, predicted.len(), targets.len(), classes)?;
    let near = |prior: u32, target| near(priors[prior as usize], target, T::of(rule.radius));
    let takes_part = |&prior: &u32| targets.iter().any(|target| near(prior, target) != [false; 2]);
    let valid: Vec<u32> = (0..priors.len() as u32).filter(takes_part).collect();

    // The cost of calling each prediction background; a class then adds the difference.
    let negative: Vec<T> = scores
        .chunks(width.max(1))
        .map(|scores| scores.iter().map(|&p| surprise(T::one() - p)).sum())
        .collect();
    let overlaps = Ious::of(predicted);
    let (mut row, mut cost) = (vec![T::zero(); priors.len()], vec![T::infinity(); priors.len()]);
    let (mut ious, mut takers) = (row.clone(), vec![0_u32; priors.len()]);
    let mut labels = vec![Label::Background; priors.len()];
    let mut cheapest = vec![(T::infinity(), 0_u32, T::zero()); priors.len()];
    let mut order = valid.clone();
    for (index, target) in targets.iter().enumerate() {
        overlaps.with(target, &mut row);
        for &prior in &valid {
            let at = prior as usize;
            let score = scores[at * width + classes[index] as usize];
            let class = negative[at] - surprise(T::one() - score) + surprise(score);
            let fit = -(row[at] + T::of(1e-8)).ln();
            let far = if near(prior, target) == [true; 2] { 0.0 } else { FAR };
            cost[at] = class + T::of(rule.iou_weight) * fit + T::of(far);
            if cost[at] < cheapest[at].0 {
                cheapest[at] = (cost[at], index as u32, row[at]);
            }
        }
        order.copy_from_slice(&valid);
        least_first(&mut order, rule.candidates, |prior| -row[prior as usize]);
        let sum: T = order
            .iter()
            .take(rule.candidates)
            .map(|&prior| row[prior as usize])
            .sum();
        let count = (sum.to_64() as usize).max(1);
        least_first(&mut order, count, |prior| cost[prior as usize]);
        for &prior in order.iter().take(count) {
            let at = prior as usize;
            takers[at] += 1;
            (labels[at], ious[at]) = (Label::Target(index as u32), row[at]);
        }
    }
    for at in (0..priors.len()).filter(|&at| takers[at] > 1) {
        let (_, target, iou) = cheapest[at];
        (labels[at], ious[at]) = (Label::Target(target), iou);
    }
    Ok(Assigned { labels, ious })
}

/// Whether a prior is inside of a target, and whether it is central in it.
fn near<T: Float>([x, y, stride]: [T; 3], target: [T; 4], radius: T) -> [bool; 2] {
    let inside = |[x1, y1, x2, y2]: [T; 4]| x > x1 && x < x2 && y > y1 && y < y2;
    let ([u, v], reach) = (centre(target), radius * stride);
    [inside(target), inside([u - reach, v - reach, u + reach, v + reach])]
}

/// -ln(p), and 100 at most, as PyTorch's `binary_cross_entropy` has it, also where p is no probability.
fn surprise<T: Float>(p: T) -> T {
    let most = T::of(100.0);
    let surprise = -p.positive_part().ln();
    if surprise < most {
        surprise.positive_part()
    } else {
        most
    }
}

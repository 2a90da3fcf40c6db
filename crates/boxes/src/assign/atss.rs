//! Adaptive training sample selection.

use super::label::{Assigned, Ious, Label, centre, holds, least_first};
use crate::error::check_length;
use crate::{BoxError, Boxes, Float};

/// For each target the `nearest` anchors of each level by the distance of the centres are candidates (9 in the paper).
/// Those with an IoU of at least the mean plus the standard deviation of the candidates' IoUs, and their centre inside
/// of the target, belong to it; where several targets want an anchor, the one with the largest IoU has it. All others
/// are background. S. Zhang et al., "Bridging the Gap Between Anchor-based and Anchor-free Detection via Adaptive
/// Training Sample Selection", CVPR 2020, algorithm 1; with the unbiased deviation (n - 1) of the authors' code, zero
/// for a single candidate.
///
/// `levels` is the number of anchors on each level of the feature pyramid, in the order of the anchors.
///
#[doc = include_str!("../../docs/atss.svg")]
///
/// ```
/// use etude_boxes::assign::{Label, atss};
/// use etude_boxes::{Boxes, Format};
///
/// let anchors = [[0.0, 0.0, 8.0, 8.0], [8.0, 0.0, 16.0, 8.0], [16.0, 0.0, 24.0, 8.0], [0.0, 0.0, 16.0, 16.0]];
/// let targets = [[1.0, 1.0, 9.0, 9.0]];
/// let (anchors, targets) = (Boxes::rows(&anchors, Format::Xyxy), Boxes::rows(&targets, Format::Xyxy));
/// let found = atss(anchors, &[3, 1], targets, 2)?;
/// assert_eq!(found.labels[0], Label::Target(0));
/// assert_eq!(found.labels[1..], [Label::Background; 3]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// The levels do not add up to the anchors.
pub fn atss<T: Float>(
    anchors: Boxes<'_, T>,
    levels: &[usize],
    targets: Boxes<'_, T>,
    nearest: usize,
) -> Result<Assigned<T>, BoxError> {
    let total = levels.iter().fold(0_usize, |sum, &count| sum.saturating_add(count));
    check_length("anchors", anchors.len(), total)?;
    let overlaps = Ious::of(anchors);
    let mut row = vec![T::zero(); anchors.len()];
    let (mut ious, mut labels) = (row.clone(), vec![Label::Background; anchors.len()]);
    let mut indices: Vec<u32> = Vec::with_capacity(anchors.len());
    let mut candidates = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        overlaps.with(target, &mut row);
        let [x, y] = centre(target);
        let distance = |anchor: u32| {
            let [u, v] = centre(anchors.corners(anchor as usize));
            (u - x) * (u - x) + (v - y) * (v - y)
        };
        candidates.clear();
        let mut first = 0;
        for &count in levels {
            indices.clear();
            indices.extend(first as u32..(first + count) as u32);
            least_first(&mut indices, nearest, distance);
            candidates.extend_from_slice(&indices[..nearest.min(count)]);
            first += count;
        }
        let threshold = mean_and_deviation(candidates.iter().map(|&anchor| row[anchor as usize]));
        for anchor in candidates.iter().map(|&anchor| anchor as usize) {
            let iou = row[anchor];
            let wins = labels[anchor] == Label::Background || iou > ious[anchor];
            if wins && iou >= threshold && holds(target, centre(anchors.corners(anchor))) {
                (labels[anchor], ious[anchor]) = (Label::Target(index as u32), iou);
            }
        }
        // Those that belong to none show how near they came.
        for ((iou, label), &found) in ious.iter_mut().zip(&labels).zip(&row) {
            if *label == Label::Background {
                *iou = iou.larger(found);
            }
        }
    }
    Ok(Assigned { labels, ious })
}

/// The mean of some numbers plus their unbiased standard deviation.
fn mean_and_deviation<T: Float>(numbers: impl ExactSizeIterator<Item = T> + Clone) -> T {
    let count = T::of(numbers.len() as f64);
    let mean = numbers.clone().sum::<T>() / count;
    let squares: T = numbers.map(|x| (x - mean) * (x - mean)).sum();
    if count > T::one() {
        mean + (squares / (count - T::one())).sqrt()
    } else {
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_unbiased() {
        let near = |numbers: &[f64], expected: f64| {
            assert!((mean_and_deviation(numbers.iter().copied()) - expected).abs() < 1e-12);
        };
        near(&[1.0, 2.0, 3.0], 3.0);
        near(&[0.5], 0.5);
    }
}

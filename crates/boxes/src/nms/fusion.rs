//! Weighted boxes fusion.

use super::ranked::{check_min_score, check_threshold, iou};
use crate::error::{check_length, check_setting};
use crate::{BoxError, Boxes, Float, Validity};

/// What one model of an ensemble has found in a picture.
#[derive(Debug, Clone, Copy)]
pub struct Detections<'a, T> {
    /// The boxes.
    pub boxes: Boxes<'a, T>,
    /// One a box.
    pub scores: &'a [T],
    /// One a box.
    pub classes: &'a [u32],
    /// How much the model counts. Positive.
    pub weight: f64,
}

/// The rules of [`weighted_boxes_fusion`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fusion {
    /// Above this IoU with a fused box, a box becomes part of it: 0.55 in the paper.
    pub threshold: f64,
    /// Boxes with a score below this are left out.
    pub min_score: f64,
    /// The score of a fused box.
    pub confidence: Confidence,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            threshold: 0.55,
            min_score: 0.0,
            confidence: Confidence::default(),
        }
    }
}

/// How the weighted scores of n boxes become the score of a fused one. W is the sum of the models' weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confidence {
    /// Their mean times min(W, n) / W: what few models have found counts less. With unequal weights it can be above 1.
    #[default]
    Average,
    /// Their mean times n / W, which can be above 1.
    AverageWithOverflow,
    /// The largest, over the largest weight.
    Max,
    /// Their sum over the sum of the boxes' weights, times the weights of the models that have found it over W.
    BoxAndModelAverage,
    /// Their sum over the sum of the boxes' weights and those of the models that have not found it.
    AbsentModelAwareAverage,
}

/// A box that stands for several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fused<T> {
    /// x1, y1, x2, y2.
    pub corners: [T; 4],
    /// Its score.
    pub score: T,
    /// Its class.
    pub class: u32,
}

/// Fuses what several models have found. By falling weighted score, each box becomes part of the fused box of its class
/// with which it has the largest IoU, if that is above the threshold, or else a new one; corners are means, weighted by
/// the weighted scores. Solovyev, Wang and Gabruseva, "Weighted boxes fusion: Ensembling boxes from different object
/// detection models", Image and Vision Computing 107, 2021. Empty, inverted and not finite boxes are left out, and
/// so are those whose score is above [`Float::LIMIT`], or whose weighted score is above it or below 1 / it. Returns the
/// fused boxes by falling score.
///
/// ```
/// use etude_boxes::nms::{Detections, Fusion, weighted_boxes_fusion};
/// use etude_boxes::{Boxes, Format};
///
/// let (first, second) = ([[0.0, 0.0, 4.0, 4.0]], [[0.0, 0.0, 4.0, 5.0], [7.0, 7.0, 8.0, 8.0]]);
/// let models = [
///     Detections { boxes: Boxes::rows(&first, Format::Xyxy), scores: &[0.5], classes: &[0], weight: 1.0 },
///     Detections { boxes: Boxes::rows(&second, Format::Xyxy), scores: &[0.5, 0.5], classes: &[0, 0], weight: 1.0 },
/// ];
/// let fused = weighted_boxes_fusion(&models, &Fusion::default())?;
/// assert_eq!((fused[0].corners, fused[0].score), ([0.0, 0.0, 4.0, 4.5], 0.5));
/// assert_eq!((fused[1].corners, fused[1].score), ([7.0, 7.0, 8.0, 8.0], 0.25)); // only one of two has found it
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many scores and classes as boxes; the threshold is not between 0 and 1, a weight is not positive,
/// or the least score is negative.
pub fn weighted_boxes_fusion<T: Float>(models: &[Detections<'_, T>], rule: &Fusion) -> Result<Vec<Fused<T>>, BoxError> {
    check_threshold(rule.threshold)?;
    check_min_score(rule.min_score)?;
    let mut parts = Vec::new();
    for (model, found) in models.iter().enumerate() {
        check_length("scores", found.scores.len(), found.boxes.len())?;
        check_length("classes", found.classes.len(), found.boxes.len())?;
        let weight = found.weight;
        check_setting(
            "the weight of a model",
            weight,
            weight > 0.0 && weight <= f64::LIMIT,
            "above 0, and 1e150 or less",
        )?;
        for (index, corners) in found.boxes.iter().enumerate() {
            let (score, class) = (found.scores[index], found.classes[index]);
            let counts = score >= T::of(rule.min_score) && score > T::zero() && score <= T::LIMIT;
            let score = score * T::of(weight);
            // Sums of such scores times corners are still numbers, and can be divided by sums of such scores.
            let reckoned = score >= T::LIMIT.recip() && score <= T::LIMIT;
            if counts && reckoned && Validity::of(corners) == Validity::Proper {
                parts.push(Part {
                    corners,
                    score,
                    class,
                    model,
                });
            }
        }
    }
    // By class, and in each by falling score.
    parts.sort_by(|a, b| a.class.cmp(&b.class).then(b.score.compare(a.score)));
    let mut clusters: Vec<Cluster<T>> = Vec::new();
    let mut members = Vec::with_capacity(parts.len());
    let mut first = 0;
    for part in parts {
        if clusters.last().is_some_and(|last| last.class != part.class) {
            first = clusters.len();
        }
        let cluster = nearest(&clusters[first..], part.corners, T::of(rule.threshold));
        let cluster = cluster.map_or(clusters.len(), |index| first + index);
        if cluster == clusters.len() {
            clusters.push(Cluster::new(part.class));
        }
        clusters[cluster].add(&part, T::of(models[part.model].weight));
        members.push((cluster, part.model));
    }
    let present = weights_present(members, models, clusters.len());
    let total: f64 = models.iter().map(|model| model.weight).sum();
    let largest = models.iter().map(|model| model.weight).fold(0.0, f64::max);
    let fuse = |(cluster, present): (&Cluster<T>, f64)| Fused {
        corners: cluster.corners,
        score: cluster.score(rule.confidence, present, total, largest),
        class: cluster.class,
    };
    let mut fused: Vec<Fused<T>> = clusters.iter().zip(present).map(fuse).collect();
    fused.sort_by(|a, b| b.score.compare(a.score));
    Ok(fused)
}

/// A box of a model, and its weighted score.
struct Part<T> {
    corners: [T; 4],
    score: T,
    class: u32,
    model: usize,
}

/// Boxes that are fused, and what they are fused to.
struct Cluster<T> {
    class: u32,
    corners: [T; 4],
    /// Sums over the boxes: score times corners, score, weight; and their number and largest score.
    weighted: [T; 4],
    scores: T,
    weights: T,
    count: usize,
    largest: T,
}

impl<T: Float> Cluster<T> {
    fn new(class: u32) -> Self {
        Self {
            class,
            corners: [T::zero(); 4],
            weighted: [T::zero(); 4],
            scores: T::zero(),
            weights: T::zero(),
            count: 0,
            largest: T::zero(),
        }
    }

    fn add(&mut self, part: &Part<T>, weight: T) {
        self.scores = self.scores + part.score;
        self.weights = self.weights + weight;
        self.count += 1;
        self.largest = self.largest.larger(part.score);
        for ((corner, sum), new) in self.corners.iter_mut().zip(&mut self.weighted).zip(part.corners) {
            *sum = *sum + part.score * new;
            *corner = *sum / self.scores;
        }
    }

    /// The score, where the models that have found it weigh `present`.
    fn score(&self, confidence: Confidence, present: f64, total: f64, largest: f64) -> T {
        let count = self.count as f64;
        match confidence {
            Confidence::Average => self.scores / T::of(count) * T::of(count.min(total) / total),
            Confidence::AverageWithOverflow => self.scores / T::of(total),
            Confidence::Max => self.largest / T::of(largest),
            Confidence::BoxAndModelAverage => self.scores / self.weights * T::of(present / total),
            Confidence::AbsentModelAwareAverage => self.scores / (self.weights + T::of(total - present)),
        }
    }
}

/// The cluster with the largest IoU above the threshold.
fn nearest<T: Float>(clusters: &[Cluster<T>], corners: [T; 4], threshold: T) -> Option<usize> {
    let (mut best, mut found) = (threshold, None);
    for (index, cluster) in clusters.iter().enumerate() {
        let iou = iou(cluster.corners, corners);
        if iou > best {
            (best, found) = (iou, Some(index));
        }
    }
    found
}

/// What the models together weigh that have found each cluster.
fn weights_present<T>(mut members: Vec<(usize, usize)>, models: &[Detections<'_, T>], clusters: usize) -> Vec<f64> {
    members.sort_unstable();
    members.dedup();
    let mut present = vec![0.0; clusters];
    for (cluster, model) in members {
        present[cluster] += models[model].weight;
    }
    present
}

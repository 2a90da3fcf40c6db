//! Any member of the IoU family, with any settings.

use std::fmt::Debug;

use etude_boxes::Float;
use etude_boxes::iou::{
    Alpha, AlphaIou, AlphaPenalty, BoundedIou, Ciou, Diou, Eiou, Exponent, FocalEiou, Giou, Guard, Inner, InnerIou,
    Iou, Metric, Mpdiou, ShapeIou, Siou, Weight, Wiou, WiouFocus,
};

use crate::input::Input;

/// What is done with a metric.
pub trait Visitor<T: Float> {
    /// `largest` is the largest value that it may have; none where its settings are out of their ranges, or its values
    /// have no bounds.
    fn visit(self, metric: impl Metric<T> + Debug, largest: Option<f64>);
}

/// Reads a metric.
pub fn visit<T: Float>(input: &mut Input<'_>, visitor: impl Visitor<T>) {
    let which = input.below(16);
    let (guard, sound) = guard(input);
    let within = |holds: bool, largest: f64| (sound && holds).then_some(largest);
    let alpha = [Alpha::Constant, Alpha::Differentiated, Alpha::AboveHalf][input.below(3)];
    let ciou = Ciou { alpha, guard };
    match which {
        0 => visitor.visit(Iou { guard }, within(true, 1.0)),
        1 => visitor.visit(Giou { guard }, within(true, 1.0)),
        2 => visitor.visit(Diou { guard }, within(true, 1.0)),
        3 => visitor.visit(ciou, within(true, 1.0)),
        4 => visitor.visit(Eiou { guard }, within(true, 1.0)),
        5 => {
            let gamma = input.setting(0.5);
            let weight = [Weight::Constant, Weight::Differentiated][input.below(2)];
            visitor.visit(FocalEiou { gamma, weight, guard }, within(gamma > 0.0, 1.0));
        }
        6 | 7 => {
            let alpha = input.setting(3.0);
            let penalty = [
                AlphaPenalty::None,
                AlphaPenalty::Giou,
                AlphaPenalty::Diou,
                AlphaPenalty::Ciou,
            ][input.below(4)];
            visitor.visit(AlphaIou { alpha, penalty, guard }, within(alpha > 0.0, 1.0));
        }
        8 => visitor.visit(siou(input, guard), None),
        9 => {
            let siou = siou(input, guard);
            let holds = siou.theta > 0.0 && siou.exponent == Exponent::Negative;
            visitor.visit(siou, within(holds, 1.0));
        }
        10 => {
            let (focus, holds) = focus(input);
            visitor.visit(Wiou { focus, guard }, within(holds, 1.0));
        }
        11 => {
            let (width, height) = (input.setting(640.0), input.setting(480.0));
            visitor.visit(Mpdiou { width, height, guard }, None);
        }
        12 => {
            let ratio = input.setting(0.75);
            visitor.visit(InnerIou { ratio, guard }, within((0.5..=1.5).contains(&ratio), 1.0));
        }
        13 => {
            let inner = InnerIou {
                ratio: input.setting(1.25),
                guard,
            };
            let largest = within((0.5..=1.5).contains(&inner.ratio), 2.0);
            if input.flag() {
                visitor.visit(Inner { metric: ciou, inner }, largest);
            } else {
                let metric = siou(input, guard);
                visitor.visit(Inner { metric, inner }, None);
            }
        }
        14 => {
            let scale = input.setting(0.0);
            visitor.visit(ShapeIou { scale, guard }, within((0.0..=4.0).contains(&scale), 1.0));
        }
        _ => {
            let beta = input.setting(0.2);
            visitor.visit(BoundedIou { beta, guard }, within(beta > 0.0 && beta < 1.0, 1.0));
        }
    }
}

/// What is done to denominators, and whether a library does it.
fn guard(input: &mut Input<'_>) -> (Guard, bool) {
    match input.below(5) {
        0 => (Guard::added(1e-7), true),
        1 => (Guard::floor(1e-6), true),
        2 if input.flag() => (Guard::added(input.number()), false),
        2 => (Guard::floor(input.number()), false),
        _ => (Guard::NONE, true),
    }
}

fn siou(input: &mut Input<'_>, guard: Guard) -> Siou {
    Siou {
        theta: input.setting(4.0),
        exponent: [Exponent::Negative, Exponent::Positive][input.below(2)],
        guard,
    }
}

/// A version of Wise IoU, and whether its settings are in their ranges.
fn focus(input: &mut Input<'_>) -> (WiouFocus, bool) {
    let usual = |number: f64, most: f64| number > 1e-3 && number <= most;
    match input.below(3) {
        0 => (WiouFocus::V1, true),
        1 => {
            let (gamma, mean) = (input.setting(0.5), input.setting(0.4));
            (WiouFocus::V2 { gamma, mean }, usual(gamma, 4.0) && usual(mean, 1.0))
        }
        _ => {
            let (alpha, delta, mean) = (input.setting(1.9), input.setting(3.0), input.setting(0.4));
            let holds = usual(alpha - 1.0, 9.0) && usual(delta, 9.0) && usual(mean, 1.0);
            (WiouFocus::V3 { alpha, delta, mean }, holds)
        }
    }
}

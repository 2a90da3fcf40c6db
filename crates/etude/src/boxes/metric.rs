//! The members of the IoU family by name, and the conventions of libraries.

use clap::ValueEnum;
use etude_boxes::iou::{
    Alpha, AlphaIou, AlphaPenalty, BoundedIou, Ciou, Diou, DynMetric, Eiou, Exponent, FocalEiou, Giou, Guard, Inner,
    InnerIou, Iou, Mpdiou, ShapeIou, Siou, Weight, Wiou, WiouFocus,
};
use serde::{Deserialize, Serialize};

use crate::error::CommandError;

/// The power of alpha-IoU, and the ratio of Inner-IoU: those of their papers' examples.
const ALPHA: f64 = 3.0;
const RATIO: f64 = 0.75;

/// A metric of upright boxes, and the loss 1 - metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Member {
    /// Intersection over union
    Iou,
    /// Generalised IoU: minus the empty part of the enclosing box
    Giou,
    /// Distance IoU: minus the squared distance of the centres
    Diou,
    /// Complete IoU: DIoU minus the difference in aspect ratio
    Ciou,
    /// Efficient IoU: DIoU minus the differences in width and height
    Eiou,
    /// Focal EIoU: pairs that fit well count more
    FocalEiou,
    /// IoU to the power of 3
    AlphaIou,
    /// GIoU, term by term to the power of 3
    AlphaGiou,
    /// DIoU, term by term to the power of 3
    AlphaDiou,
    /// CIoU, term by term to the power of 3
    AlphaCiou,
    /// SCYLLA IoU: angle, distance and shape
    Siou,
    /// Wise IoU, version 1: IoU weighted by the distance of the centres
    WiouV1,
    /// Wise IoU, version 2: pairs that fit worse than the mean of all count more
    WiouV2,
    /// Wise IoU, version 3: ordinary pairs count most
    WiouV3,
    /// Minimum point distance IoU: minus the squared distances of the corners
    Mpdiou,
    /// The IoU of both boxes at 3/4 of their size
    InnerIou,
    /// CIoU with Inner-IoU in place of IoU
    InnerCiou,
    /// SIoU with Inner-IoU in place of IoU
    InnerSiou,
    /// Shape IoU: distance and shape weighted by the target's shape
    ShapeIou,
    /// Bounded IoU: a bound for each of x, y, width and height
    BoundedIou,
}

/// Whose details, where libraries differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Convention {
    /// The papers' formulas
    Paper,
    /// The papers' formulas, with weights that have gradients too: CIoU's alpha as in mmdetection up to 2.10, Focal EIoU's IoU^gamma
    Differentiated,
    /// Denominators + 1e-7
    Torchvision,
    /// 1e-6 in denominators (bounded-iou: 1e-3); CIoU's alpha is zero up to IoU 1/2; SIoU's exponent has the other sign
    Mmdetection,
    /// Denominators + 1e-7
    Ultralytics,
}

/// What some members need beside the two boxes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings {
    /// Width and height of the picture, for MPDIoU.
    pub(crate) picture: [f64; 2],
    /// The mean of 1 - IoU over all pairs, for versions 2 and 3 of Wise IoU.
    pub(crate) mean: f64,
}

impl Member {
    /// The name on the command line and in recipes.
    pub(crate) fn name(self) -> String {
        name(&self)
    }

    /// The name as papers write it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Iou => "IoU",
            Self::Giou => "GIoU",
            Self::Diou => "DIoU",
            Self::Ciou => "CIoU",
            Self::Eiou => "EIoU",
            Self::FocalEiou => "Focal-EIoU",
            Self::AlphaIou => "Alpha-IoU",
            Self::AlphaGiou => "Alpha-GIoU",
            Self::AlphaDiou => "Alpha-DIoU",
            Self::AlphaCiou => "Alpha-CIoU",
            Self::Siou => "SIoU",
            Self::WiouV1 => "WIoU v1",
            Self::WiouV2 => "WIoU v2",
            Self::WiouV3 => "WIoU v3",
            Self::Mpdiou => "MPDIoU",
            Self::InnerIou => "Inner-IoU",
            Self::InnerCiou => "Inner-CIoU",
            Self::InnerSiou => "Inner-SIoU",
            Self::ShapeIou => "Shape-IoU",
            Self::BoundedIou => "Bounded IoU",
        }
    }

    /// What the loss was made for, and where it fails.
    pub(crate) fn story(self) -> &'static str {
        match self {
            Self::Iou => "No slope where boxes do not meet: they stay where they are, a plateau.",
            Self::Giou => {
                "Made for boxes that do not meet. It grows them until they do, a detour, and then shrinks them again; straight \
                 above, below and beside the target this takes longest."
            }
            Self::Diou => {
                "Centres are drawn together at once, with less of a detour. Boxes from far away are left with a wrong shape, which \
                 IoU alone has to mend."
            }
            Self::Ciou => "DIoU, and the aspect ratio is drawn to the target's.",
            Self::Eiou => "DIoU, and width and height are drawn to the target's, each by itself.",
            Self::FocalEiou => {
                "EIoU weighted by the root of IoU: boxes that fit well count more, and those that do not meet count nothing."
            }
            Self::AlphaIou => "IoU to the power of 3: steep near a good fit, flat far from it.",
            Self::AlphaGiou => {
                "GIoU, term by term to the power of 3: steep very far from a good fit and near it, flat in between."
            }
            Self::AlphaDiou => {
                "DIoU, term by term to the power of 3: steep very far from a good fit and near it, flat in between."
            }
            Self::AlphaCiou => {
                "CIoU, term by term to the power of 3: steep very far from a good fit and near it, flat in between."
            }
            Self::Siou => "Distance, weighted by the direction of the target, and shape.",
            Self::WiouV1 => {
                "IoU's loss times a factor that grows with the distance of the centres, which draws boxes that do not meet."
            }
            Self::WiouV2 => "Version 1, and boxes that fit worse than the mean count more.",
            Self::WiouV3 => "Version 1, and boxes that fit about as badly as most count most.",
            Self::Mpdiou => {
                "Corners are drawn to corners, in parts of the picture's diagonal: slowly in a large picture."
            }
            Self::InnerIou => {
                "IoU of smaller boxes: steeper where boxes nearly fit, and a plateau that begins sooner than IoU's."
            }
            Self::InnerCiou => "CIoU, steeper where boxes nearly fit.",
            Self::InnerSiou => "SIoU, steeper where boxes nearly fit.",
            Self::ShapeIou => "DIoU's distance and SIoU's shape, weighted by the shape of the target.",
            Self::BoundedIou => {
                "A bound for each of x, y, w and h; it is flat where centres are more than half a target apart."
            }
        }
    }

    /// Whether [`Surroundings::mean`] matters.
    pub(crate) fn compares(self) -> bool {
        matches!(self, Self::WiouV2 | Self::WiouV3)
    }

    /// The metric by its paper.
    pub(crate) fn metric(self, surroundings: Surroundings) -> Box<dyn DynMetric<f64>> {
        self.guarded(Guard::NONE, surroundings)
    }

    /// The metric by a convention.
    ///
    /// # Errors
    /// The library has no such metric.
    pub(crate) fn by(
        self,
        convention: Convention,
        surroundings: Surroundings,
    ) -> Result<Box<dyn DynMetric<f64>>, CommandError> {
        let (eps_7, eps_6) = (Guard::added(1e-7), Guard::added(1e-6));
        Ok(match (convention, self) {
            // Torchvision's IoU alone has no guard.
            (Convention::Paper, _) | (Convention::Torchvision, Self::Iou) => self.metric(surroundings),
            (Convention::Differentiated, Self::Ciou) => Box::new(Ciou {
                alpha: Alpha::Differentiated,
                ..Ciou::default()
            }),
            (Convention::Differentiated, Self::FocalEiou) => Box::new(FocalEiou {
                weight: Weight::Differentiated,
                ..FocalEiou::default()
            }),
            (Convention::Torchvision, Self::Giou | Self::Diou | Self::Ciou)
            | (Convention::Ultralytics, Self::Iou | Self::Giou | Self::Diou | Self::Ciou) => {
                self.guarded(eps_7, surroundings)
            }
            (Convention::Mmdetection, Self::Iou | Self::Giou) => self.guarded(Guard::floor(1e-6), surroundings),
            (Convention::Mmdetection, Self::Diou) => self.guarded(eps_6, surroundings),
            (Convention::Mmdetection, Self::Ciou) => Box::new(Ciou {
                alpha: Alpha::AboveHalf,
                guard: eps_6,
            }),
            (Convention::Mmdetection, Self::Siou) => Box::new(Siou {
                exponent: Exponent::Positive,
                guard: eps_6,
                ..Siou::default()
            }),
            (Convention::Mmdetection, Self::BoundedIou) => self.guarded(Guard::added(1e-3), surroundings),
            _ => return Err(self.unknown_to(convention)),
        })
    }

    fn unknown_to(self, convention: Convention) -> CommandError {
        let (metric, convention_name) = (self.name(), name(&convention));
        let reason = match (convention, self) {
            (Convention::Differentiated, _) => "`ciou` and `focal-eiou` have weights, and this metric has none".into(),
            (Convention::Mmdetection, Self::Eiou) => {
                "mmdetection's `EIoULoss` is the Extended IoU, which is another metric".into()
            }
            _ => format!("there is no `{metric}` in {convention_name}"),
        };
        CommandError::bad_input(format!(
            "cannot use `--convention {convention_name}` with `--metric {metric}`"
        ))
        .because(reason)
        .hint("without `--convention` it is the paper's")
    }

    /// The paper's formula, with something done to its denominators.
    fn guarded(self, guard: Guard, surroundings: Surroundings) -> Box<dyn DynMetric<f64>> {
        let alpha_iou = |penalty| AlphaIou {
            alpha: ALPHA,
            penalty,
            guard,
        };
        let inner = InnerIou { ratio: RATIO, guard };
        // Where all pairs are perfect all losses are zero, whatever they are divided by.
        let mean = surroundings.mean.max(f64::MIN_POSITIVE);
        let [width, height] = surroundings.picture;
        let alpha = Alpha::Constant;
        match self {
            Self::Iou => Box::new(Iou { guard }),
            Self::Giou => Box::new(Giou { guard }),
            Self::Diou => Box::new(Diou { guard }),
            Self::Ciou => Box::new(Ciou { alpha, guard }),
            Self::Eiou => Box::new(Eiou { guard }),
            Self::FocalEiou => Box::new(FocalEiou {
                guard,
                ..FocalEiou::default()
            }),
            Self::AlphaIou => Box::new(alpha_iou(AlphaPenalty::None)),
            Self::AlphaGiou => Box::new(alpha_iou(AlphaPenalty::Giou)),
            Self::AlphaDiou => Box::new(alpha_iou(AlphaPenalty::Diou)),
            Self::AlphaCiou => Box::new(alpha_iou(AlphaPenalty::Ciou)),
            Self::Siou => Box::new(Siou {
                guard,
                ..Siou::default()
            }),
            Self::WiouV1 => Box::new(Wiou {
                focus: WiouFocus::V1,
                guard,
            }),
            Self::WiouV2 => Box::new(Wiou {
                focus: WiouFocus::V2 { gamma: 0.5, mean },
                guard,
            }),
            Self::WiouV3 => Box::new(Wiou {
                focus: WiouFocus::V3 {
                    alpha: 1.9,
                    delta: 3.0,
                    mean,
                },
                guard,
            }),
            Self::Mpdiou => Box::new(Mpdiou { width, height, guard }),
            Self::InnerIou => Box::new(inner),
            Self::InnerCiou => Box::new(Inner {
                metric: Ciou { alpha, guard },
                inner,
            }),
            Self::InnerSiou => Box::new(Inner {
                metric: Siou {
                    guard,
                    ..Siou::default()
                },
                inner,
            }),
            Self::ShapeIou => Box::new(ShapeIou {
                guard,
                ..ShapeIou::default()
            }),
            Self::BoundedIou => Box::new(BoundedIou {
                guard,
                ..BoundedIou::default()
            }),
        }
    }
}

/// The name of a choice on the command line.
fn name(choice: &impl ValueEnum) -> String {
    choice
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

//! Policies on disk: `policy.safetensors` with the numbers, and `policy.json` with what they are for.

mod read;
mod write;

use std::fs;
use std::path::Path;

use etude_kernels::perceptron::Activation;
use serde::{Deserialize, Serialize};

use self::read::load_numbers;
pub(crate) use self::write::{save_actor, save_linear, save_network, save_stochastic, save_values};
use crate::actor_critic::Distribution;
use crate::agent::Policy;
use crate::any_features::AnyFeatures;
use crate::error::RlError;
use crate::normalization::{Normalization, NormalizedPolicy};
use crate::space::Space;
use crate::wrapping::Wrapping;

const NUMBERS: &str = "policy.safetensors";
const CARD: &str = "policy.json";

/// What `policy.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyCard {
    /// The version of this format.
    pub format: u32,
    /// What learnt it.
    pub algorithm: String,
    /// Where.
    pub environment: String,
    /// Steps after which it was saved.
    pub steps: u64,
    /// What it takes.
    pub observations: Space,
    /// What it gives.
    pub actions: Space,
    /// The features that a linear function weighs, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<AnyFeatures>,
    /// What the outputs of its network mean, where they are not action values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkCard>,
    /// What stood between it and its environment.
    #[serde(default, skip_serializing_if = "Wrapping::is_none")]
    pub wrapping: Wrapping,
    /// What is done to observations before the numbers see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
}

/// A network whose outputs are no action values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkCard {
    /// What its hidden units do.
    pub activation: Activation,
    /// What its outputs mean.
    pub outputs: Outputs,
}

/// What outputs of a network mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outputs {
    /// tanh of them is an action, between -1 and 1.
    Action,
    /// They are the parameters of a distribution over actions.
    Distribution(Distribution),
}

/// The format that this version writes, and reads.
const FORMAT: u32 = 1;

impl PolicyCard {
    /// Of this version of the format.
    pub fn new(algorithm: &str, environment: &str, steps: u64, observations: &Space, actions: &Space) -> Self {
        Self {
            format: FORMAT,
            algorithm: algorithm.to_owned(),
            environment: environment.to_owned(),
            steps,
            observations: observations.clone(),
            actions: actions.clone(),
            features: None,
            network: None,
            wrapping: Wrapping::default(),
            normalization: None,
        }
    }
}

/// What the tensors of perceptrons are called.
const ACTOR: &str = "actor";
const POLICY: &str = "policy";

/// What weight and bias of a convolution are called.
fn convolution_names(index: usize) -> [String; 2] {
    ["weight", "bias"].map(|part| format!("{ACTOR}.convolutions.{index}.{part}"))
}

/// The names of the parts of a network, alone and with two streams.
fn part_names(parts: usize) -> &'static [&'static str] {
    match parts {
        1 => &["q"],
        _ => &["shared", "value", "advantages"],
    }
}

/// Loads the policy that is saved in `folder`.
///
/// ```no_run
/// let (card, mut policy) = etude_rl::load_policy("runs/rl-train-dqn-CartPole-v1/best".as_ref())?;
/// let mut action = [0.0];
/// policy.act(&[0.01, 0.0, -0.02, 0.0], &mut action);
/// # Ok::<(), etude_rl::RlError>(())
/// ```
///
/// # Errors
/// The files cannot be read, are of another version, or do not fit together.
pub fn load_policy(folder: &Path) -> Result<(PolicyCard, Box<dyn Policy>), RlError> {
    let bytes = fs::read(folder.join(CARD)).map_err(|error| RlError::policy(&folder.join(CARD), &error))?;
    let card: PolicyCard =
        serde_json::from_slice(&bytes).map_err(|error| RlError::policy(&folder.join(CARD), &error))?;
    if card.format != FORMAT {
        let found = format!("it has format {}, and this version reads {FORMAT}", card.format);
        return Err(RlError::policy(&folder.join(CARD), &found));
    }
    let normalization = card.normalization.clone();
    let features = card
        .features
        .as_ref()
        .and_then(|features| features.fault(&card.observations));
    let fault = (card.wrapping.fault())
        .or_else(|| normalization.as_ref()?.fault(card.observations.length()))
        .or_else(|| features.map(str::to_owned))
        .or_else(|| mask_fault(&card));
    if let Some(fault) = fault {
        return Err(RlError::policy(&folder.join(CARD), &fault));
    }
    let policy = load_numbers(folder, &card)?;
    Ok(match normalization {
        Some(normalization) => (card, Box::new(NormalizedPolicy::new(normalization, policy))),
        None => (card, policy),
    })
}

/// What is wrong with the actions that may be taken, of which only a distribution knows.
fn mask_fault(card: &PolicyCard) -> Option<String> {
    let heeded = match &card.network {
        Some(NetworkCard {
            outputs: Outputs::Distribution(distribution),
            ..
        }) => distribution.mask_length(),
        _ => 0,
    };
    if heeded != card.observations.mask_length() {
        return Some(format!(
            "it heeds a mask of {heeded} actions; observations are {}",
            card.observations
        ));
    }
    (heeded > 0 && card.normalization.is_some())
        .then(|| "its observations are normalised, and with them the mask".into())
}

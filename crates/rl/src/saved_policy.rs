//! Policies on disk: `policy.safetensors` with the numbers, and `policy.json` with what they are for.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use etude_kernels::{Activation, Mlp};
use etude_train::write_atomically;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::actor_critic::{Distribution, NetworkPolicy};
use crate::agent::Policy;
use crate::any_features::AnyFeatures;
use crate::control::{ActionValues, LinearActionValues, LinearPolicy};
use crate::ddpg::{ActionScale, Actor, ActorPolicy, Affine, Convolution, PixelPolicy, Shown};
use crate::dqn::{GreedyPolicy, QNetwork};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::features::FeatureMap;
use crate::normalization::{Normalization, NormalizedPolicy};
use crate::prediction_agent::UniformPolicy;
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

/// The names of the parts of a network, alone and with two streams.
fn part_names(parts: usize) -> &'static [&'static str] {
    match parts {
        1 => &["q"],
        _ => &["shared", "value", "advantages"],
    }
}

/// Writes the policy of `network` into `folder`: tensors `q.0.weight` of shape `[out, in]`, `q.0.bias` and so on, in place of `q`
/// `shared`, `value` and `advantages` where there are two streams.
///
/// # Errors
/// The files cannot be written.
pub(crate) fn save_network(network: &QNetwork, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
    let parts = part_names(network.parts().len()).iter().zip(network.parts());
    let tensors: Vec<NamedTensor> = parts.flat_map(|(name, part)| tensors_of(name, part)).collect();
    write(Dtype::F32, &tensors, card, folder)
}

/// Writes a deterministic policy into `folder`: tensors `actor.0.weight` of shape `[out, in]`, `actor.0.bias` and so on, and where it sees
/// pixels, before these `actor.convolutions.0.weight` of shape `[out, in, height, width]`, `actor.convolutions.0.bias` and so on.
///
/// # Errors
/// The files cannot be written.
pub(crate) fn save_actor(
    convolutions: &[Convolution],
    actor: &Actor,
    card: &PolicyCard,
    folder: &Path,
) -> Result<(), RlError> {
    let card = PolicyCard {
        network: Some(NetworkCard {
            activation: actor.mlp().activation(),
            outputs: Outputs::Action,
        }),
        ..card.clone()
    };
    let convolutions = convolutions.iter().enumerate().flat_map(|(index, layer)| {
        let [weight, bias] = convolution_names(index);
        let (shape, layer) = (layer.shape().to_vec(), layer.affine());
        [
            (weight, (shape, bytes(&layer.weight))),
            (bias, (vec![layer.bias.len()], bytes(&layer.bias))),
        ]
    });
    let tensors: Vec<NamedTensor> = convolutions.chain(tensors_of(ACTOR, actor.mlp())).collect();
    write(Dtype::F32, &tensors, &card, folder)
}

/// What weight and bias of a convolution are called.
fn convolution_names(index: usize) -> [String; 2] {
    ["weight", "bias"].map(|part| format!("{ACTOR}.convolutions.{index}.{part}"))
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Writes a stochastic policy into `folder`: tensors `policy.0.weight` of shape `[out, in]`, `policy.0.bias` and so on.
///
/// # Errors
/// The files cannot be written.
pub(crate) fn save_stochastic(
    (distribution, policy): (&Distribution, &Mlp),
    encoding: &Encoding,
    card: &PolicyCard,
    folder: &Path,
) -> Result<(), RlError> {
    let card = PolicyCard {
        features: encoding.features().cloned(),
        network: Some(NetworkCard {
            activation: policy.activation(),
            outputs: Outputs::Distribution(distribution.clone()),
        }),
        ..card.clone()
    };
    write(Dtype::F32, &tensors_of(POLICY, policy), &card, folder)
}

/// What the tensors of perceptrons are called.
const ACTOR: &str = "actor";
const POLICY: &str = "policy";

/// The weights and biases of a perceptron that is called `name`.
fn tensors_of(name: &str, mlp: &Mlp) -> Vec<NamedTensor> {
    let layers = mlp.layers().enumerate().flat_map(|(index, layer)| {
        let weight = (vec![layer.outputs, layer.inputs], bytes(layer.weight));
        [
            (format!("{name}.{index}.weight"), weight),
            (format!("{name}.{index}.bias"), (vec![layer.outputs], bytes(layer.bias))),
        ]
    });
    layers.collect()
}

/// Writes a linear function of features: the tensor `weights`, of shape `[features, actions]`.
///
/// # Errors
/// The files cannot be written.
pub(crate) fn save_linear(
    values: &LinearActionValues<AnyFeatures>,
    card: &PolicyCard,
    folder: &Path,
) -> Result<(), RlError> {
    let shape = vec![values.map().dimension(), values.actions()];
    save_weights(values.map(), shape, values.weights(), card, folder)
}

/// Writes the values of a policy: the tensor `weights`, of shape `[features]`.
///
/// # Errors
/// The files cannot be written.
pub(crate) fn save_values(
    features: &AnyFeatures,
    weights: &[f64],
    card: &PolicyCard,
    folder: &Path,
) -> Result<(), RlError> {
    save_weights(features, vec![weights.len()], weights, card, folder)
}

fn save_weights(
    features: &AnyFeatures,
    shape: Vec<usize>,
    weights: &[f64],
    card: &PolicyCard,
    folder: &Path,
) -> Result<(), RlError> {
    let bytes = weights.iter().flat_map(|number| number.to_le_bytes()).collect();
    let card = PolicyCard {
        features: Some(features.clone()),
        ..card.clone()
    };
    write(Dtype::F64, &[("weights".into(), (shape, bytes))], &card, folder)
}

/// A tensor by its name: its shape and its bytes.
type NamedTensor = (String, (Vec<usize>, Vec<u8>));

/// Writes both files.
fn write(kind: Dtype, tensors: &[NamedTensor], card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| Ok((name, TensorView::new(kind, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| RlError::policy(folder, &error))?;
    let bytes = safetensors::serialize(views, None).map_err(|error| RlError::policy(folder, &error))?;
    let text = serde_json::to_string_pretty(card).map_err(|error| RlError::policy(folder, &error))?;
    fs::create_dir_all(folder).map_err(|error| RlError::policy(folder, &error))?;
    write_atomically(&folder.join(NUMBERS), &bytes)?;
    write_atomically(&folder.join(CARD), format!("{text}\n").as_bytes())?;
    Ok(())
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

/// The policy whose numbers are in `folder`.
fn load_numbers(folder: &Path, card: &PolicyCard) -> Result<Box<dyn Policy>, RlError> {
    let wrong = |detail: &dyn std::fmt::Display| RlError::policy(&folder.join(NUMBERS), detail);
    let bytes = fs::read(folder.join(NUMBERS)).map_err(|error| wrong(&error))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| wrong(&error))?;
    if let Some(network) = &card.network {
        return network_policy(&tensors, network, card).map_err(|detail| wrong(&detail));
    }
    if let Some(features) = &card.features {
        return linear(&tensors, features, &card.actions).map_err(|detail| wrong(&detail));
    }
    let parts = if tensors.tensor("q.0.weight").is_ok() { 1 } else { 3 };
    let parts = part_names(parts)
        .iter()
        .map(|name| perceptron(&tensors, name, Activation::Relu).map_err(|detail| wrong(&detail)))
        .collect::<Result<Vec<_>, _>>()?;
    let encoding = Encoding::new(&card.observations);
    let network = QNetwork::from_parts(parts).ok_or_else(|| wrong(&"its parts do not fit together"))?;
    let Space::Discrete(actions) = card.actions else {
        return Err(wrong(&format!(
            "it gives values to actions, and these are {}",
            card.actions
        )));
    };
    if (network.inputs(), network.actions()) != (encoding.width(), actions) {
        return Err(wrong(&format!(
            "the network takes {} numbers and values {} actions; policy.json says {} and {actions}",
            network.inputs(),
            network.actions(),
            encoding.width()
        )));
    }
    Ok(Box::new(GreedyPolicy::new(network, encoding)))
}

/// The policy of a network whose outputs are an action, or a distribution over actions.
fn network_policy(
    tensors: &SafeTensors<'_>,
    network: &NetworkCard,
    card: &PolicyCard,
) -> Result<Box<dyn Policy>, String> {
    let encoding = match &card.features {
        Some(features) => Encoding::of_features(&card.observations, features.clone()),
        None => Encoding::new(&card.observations),
    };
    let fits = |mlp: &Mlp, outputs: usize| {
        if (mlp.inputs(), mlp.outputs()) == (encoding.width(), outputs) {
            return Ok(());
        }
        Err(format!(
            "the network takes {} numbers and gives {}; policy.json says {} and {outputs}",
            mlp.inputs(),
            mlp.outputs(),
            encoding.width()
        ))
    };
    match &network.outputs {
        Outputs::Action => {
            let mlp = perceptron(tensors, ACTOR, network.activation)?;
            let scale = ActionScale::new("an actor", &card.actions).map_err(|error| error.to_string())?;
            if let Space::Pixels { .. } = card.observations {
                return pixel_policy(tensors, mlp, scale, card);
            }
            fits(&mlp, scale.length())?;
            Ok(Box::new(ActorPolicy::new(Actor::from_mlp(mlp), scale, encoding)))
        }
        Outputs::Distribution(distribution) => {
            let mlp = perceptron(tensors, POLICY, network.activation)?;
            if !distribution.fits(&card.actions) {
                return Err(format!(
                    "its distribution is not over actions that are {}",
                    card.actions
                ));
            }
            fits(&mlp, distribution.outputs())?;
            Ok(Box::new(NetworkPolicy::new(distribution.clone(), mlp, encoding)))
        }
    }
}

/// The policy of an actor that sees pixels.
fn pixel_policy(
    tensors: &SafeTensors<'_>,
    mlp: Mlp,
    scale: ActionScale,
    card: &PolicyCard,
) -> Result<Box<dyn Policy>, String> {
    let encoding = Encoding::new(&card.observations);
    let Some(Shown::Pixels(shape)) = Shown::of(&card.observations, encoding.width()) else {
        return Err(format!("{} are too few for its convolutions", card.observations));
    };
    let mut convolutions = Vec::new();
    for [weight, bias] in (0..).map(convolution_names) {
        if tensors.tensor(&weight).is_err() {
            break;
        }
        let [weight, bias] = [numbers(tensors, &weight)?, numbers(tensors, &bias)?];
        convolutions.push(Affine { weight, bias });
    }
    let sizes = (Shown::Pixels(shape).features(), scale.length());
    match Convolution::read(shape[0], convolutions, &Device::flex()) {
        Some(convolutions) if (mlp.inputs(), mlp.outputs()) == sizes => {
            let actor = Actor::from_mlp(mlp);
            Ok(Box::new(PixelPolicy::new(
                (shape, convolutions),
                actor,
                scale,
                encoding,
            )))
        }
        _ => Err(format!(
            "its convolutions, or the layers after them, are not for {}",
            card.observations
        )),
    }
}

/// The numbers of a tensor.
fn numbers(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, String> {
    let tensor = tensors.tensor(name).map_err(|error| format!("`{name}`: {error}"))?;
    let bytes = tensor.data().as_chunks().0.iter();
    let numbers: Vec<f32> = bytes.map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if tensor.dtype() != Dtype::F32 || numbers.iter().any(|number| !number.is_finite()) {
        return Err(format!("`{name}` are not finite numbers of the kind F32"));
    }
    Ok(numbers)
}

/// The greedy policy of a linear function; of values without actions the one that takes all actions alike.
fn linear(tensors: &SafeTensors<'_>, features: &AnyFeatures, actions: &Space) -> Result<Box<dyn Policy>, String> {
    let tensor = tensors.tensor("weights").map_err(|error| error.to_string())?;
    let Space::Discrete(actions) = *actions else {
        return Err(format!("it chooses one of so many actions, and these are {actions}"));
    };
    let numbers: Vec<f64> = (tensor.data().as_chunks().0.iter())
        .map(|bytes| f64::from_le_bytes(*bytes))
        .collect();
    if tensor.dtype() != Dtype::F64 || numbers.iter().any(|number| !number.is_finite()) {
        return Err("`weights` are not finite numbers of the kind F64".into());
    }
    match tensor.shape() {
        [dimension] if *dimension == features.dimension() => Ok(Box::new(UniformPolicy::new(actions))),
        [dimension, columns] if (*dimension, *columns) == (features.dimension(), actions) => {
            let mut values = LinearActionValues::new(features.clone(), actions);
            values.weights_mut().copy_from_slice(&numbers);
            Ok(Box::new(LinearPolicy::new(values)))
        }
        found => Err(format!(
            "`weights` has shape {found:?}; {} features and {actions} actions were expected",
            features.dimension()
        )),
    }
}

/// The perceptron whose layers are called `name.0`, `name.1`, ...
fn perceptron(tensors: &SafeTensors<'_>, name: &str, activation: Activation) -> Result<Mlp, String> {
    let (mut sizes, mut parameters) = (Vec::new(), Vec::new());
    for index in 0.. {
        let (weight, bias) = (format!("{name}.{index}.weight"), format!("{name}.{index}.bias"));
        let Ok(tensor) = tensors.tensor(&weight) else { break };
        let &[outputs, inputs] = tensor.shape() else {
            return Err(format!(
                "`{weight}` has shape {:?}; expected two numbers",
                tensor.shape()
            ));
        };
        if sizes.is_empty() {
            sizes.push(inputs);
        }
        if sizes.last() != Some(&inputs) {
            return Err(format!(
                "`{weight}` takes {inputs} numbers, and the layer before it gives another number"
            ));
        }
        sizes.push(outputs);
        let bias = (tensors.tensor(&bias)).map_err(|error| format!("`{bias}`: {error}"))?;
        if bias.shape() != [outputs] {
            return Err(format!(
                "the bias of `{weight}` has shape {:?}; expected [{outputs}]",
                bias.shape()
            ));
        }
        for tensor in [tensor, bias] {
            if tensor.dtype() != Dtype::F32 {
                return Err(format!("`{weight}` or its bias is {:?}; expected F32", tensor.dtype()));
            }
            let numbers = tensor.data().as_chunks().0.iter();
            parameters.extend(numbers.map(|bytes| f32::from_le_bytes(*bytes)));
        }
    }
    if parameters.iter().any(|number: &f32| !number.is_finite()) {
        return Err(format!("a number of `{name}` is not finite"));
    }
    Mlp::from_parameters(&sizes, activation, parameters).map_err(|error| format!("`{name}`: {error}"))
}

//! Reading a policy's numbers, as the card beside them says.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use etude_kernels::perceptron::{Activation, Mlp};
use safetensors::tensor::{Dtype, SafeTensors};

use super::{ACTOR, NUMBERS, NetworkCard, Outputs, POLICY, PolicyCard, convolution_names, part_names};
use crate::actor_critic::NetworkPolicy;
use crate::agent::Policy;
use crate::any_features::AnyFeatures;
use crate::control::{LinearActionValues, LinearPolicy};
use crate::ddpg::{ActionScale, Actor, ActorPolicy, Affine, Convolution, PixelPolicy, Shown};
use crate::dqn::{GreedyPolicy, QNetwork};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::features::FeatureMap;
use crate::prediction_agent::UniformPolicy;
use crate::space::Space;

/// The policy whose numbers are in `folder`.
pub(super) fn load_numbers(folder: &Path, card: &PolicyCard) -> Result<Box<dyn Policy>, RlError> {
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
        let found = (tensors.tensor(&bias)).map_err(|error| format!("`{bias}`: {error}"))?;
        if found.shape() != [outputs] {
            return Err(format!(
                "the bias of `{weight}` has shape {:?}; expected [{outputs}]",
                found.shape()
            ));
        }
        for part in [&weight, &bias] {
            parameters.extend(numbers(tensors, part)?);
        }
    }
    Mlp::from_parameters(&sizes, activation, parameters).map_err(|error| format!("`{name}`: {error}"))
}

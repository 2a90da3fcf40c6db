//! Writing a policy's numbers, and the card beside them.

use std::fs;
use std::path::Path;

use etude_kernels::perceptron::Mlp;
use etude_train::write_atomically;
use safetensors::tensor::{Dtype, TensorView};

use super::{ACTOR, CARD, NUMBERS, NetworkCard, Outputs, POLICY, PolicyCard, convolution_names, part_names};
use crate::actor_critic::Distribution;
use crate::any_features::AnyFeatures;
use crate::control::{ActionValues, LinearActionValues};
use crate::ddpg::{Actor, Convolution};
use crate::dqn::QNetwork;
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::features::FeatureMap;

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

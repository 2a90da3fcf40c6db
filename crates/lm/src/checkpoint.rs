//! Parameters from a checkpoint: every one there, none too many, all shapes right, all numbers finite.

use std::collections::BTreeSet;

use etude_hub::{Checkpoint, Dtype, HubError, RawTensor};

use crate::LmError;
use crate::config::DecoderConfig;
use crate::decoder::parameters;

/// A checkpoint that has the parameters of a model, and no others.
#[derive(Debug)]
pub(crate) struct ModelCheckpoint<'a> {
    checkpoint: &'a dyn Checkpoint,
    naming: Naming,
}

impl<'a> ModelCheckpoint<'a> {
    /// Compares the names.
    ///
    /// # Errors
    /// Parameters are missing, or the checkpoint has tensors that this model has not, or a head beside the embedding that should be
    /// it. The error names the tensors.
    pub(crate) fn new(config: &DecoderConfig, checkpoint: &'a dyn Checkpoint) -> Result<Self, LmError> {
        let naming = Naming::of(checkpoint);
        all_there(config, checkpoint, naming)?;
        if config.tied_embeddings {
            head_is_embedding(checkpoint, naming)?;
        }
        Ok(Self { checkpoint, naming })
    }

    /// The type of a parameter's elements; none where it is missing.
    pub(crate) fn dtype(&self, name: &str) -> Option<Dtype> {
        Some(self.checkpoint.info(&self.naming.name(name))?.dtype)
    }

    /// A parameter as it lies in the file.
    ///
    /// # Errors
    /// It has another shape.
    pub(crate) fn raw(&self, name: &str, shape: &[usize]) -> Result<RawTensor<'a>, LmError> {
        let name = self.naming.name(name);
        let raw = self.checkpoint.raw(&name)?;
        if raw.shape == shape {
            return Ok(raw);
        }
        Err(LmError::Hub(HubError::Shape {
            path: self.checkpoint.path().into(),
            name,
            found: raw.shape.into(),
            expected: shape.into(),
        }))
    }

    /// A parameter as f32.
    ///
    /// # Errors
    /// It has another shape, or a number that is not finite.
    pub(crate) fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        let name = self.naming.name(name);
        let numbers = self.checkpoint.read_f32_shaped(&name, shape)?;
        // Without a branch for each of them.
        if numbers.iter().fold(true, |finite, number| finite & number.is_finite()) {
            return Ok(numbers);
        }
        match numbers.iter().position(|number| !number.is_finite()) {
            None => Ok(numbers),
            Some(index) => Err(LmError::NotFinite {
                path: self.checkpoint.path().into(),
                name,
                index,
                value: numbers[index],
            }),
        }
    }
}

/// How a checkpoint names the parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Naming {
    Plain,
    /// As the text model in Gemma 3 with pictures, in the names of transformers 5: "model.language_model.norm.weight".
    TextPart,
    /// The same in the older names: "language_model.model.norm.weight".
    OlderTextPart,
}

impl Naming {
    fn of(checkpoint: &dyn Checkpoint) -> Self {
        let has = |naming: &Self| checkpoint.info(&naming.name("model.norm.weight")).is_some();
        [Self::TextPart, Self::OlderTextPart]
            .into_iter()
            .find(has)
            .unwrap_or(Self::Plain)
    }

    fn name(self, name: &str) -> String {
        match self {
            Self::Plain => name.to_owned(),
            Self::TextPart => name.replacen("model.", "model.language_model.", 1),
            Self::OlderTextPart => format!("language_model.{name}"),
        }
    }

    /// Tensors beside those of this model that are no mistake: frequencies that old checkpoints hold, and the parts for
    /// pictures.
    fn ignores(self, name: &str) -> bool {
        let name_of_part = name.strip_prefix("model.").unwrap_or(name);
        let of_pictures = ["vision_tower.", "multi_modal_projector."];
        name.ends_with(".rotary_emb.inv_freq")
            || self != Self::Plain && of_pictures.iter().any(|part| name_of_part.starts_with(part))
    }
}

fn all_there(config: &DecoderConfig, checkpoint: &dyn Checkpoint, naming: Naming) -> Result<(), LmError> {
    let mut expected: BTreeSet<String> = parameters(config).iter().map(|(name, _)| naming.name(name)).collect();
    let is_missing = |name: &&String| checkpoint.info(name).is_none();
    let missing: Vec<String> = expected.iter().filter(is_missing).cloned().collect();
    if config.tied_embeddings {
        // Some programs save the head beside the embedding that it is tied to.
        expected.insert(naming.name("lm_head.weight"));
    }
    let names = checkpoint.tensors().iter().map(|tensor| &tensor.name);
    let surplus: Vec<String> = names
        .filter(|name| !expected.contains(*name) && !naming.ignores(name))
        .cloned()
        .collect();
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    Err(LmError::Parameters {
        path: checkpoint.path().into(),
        missing,
        surplus,
    })
}

/// A head that a checkpoint has beside the embedding that it should be.
fn head_is_embedding(checkpoint: &dyn Checkpoint, naming: Naming) -> Result<(), LmError> {
    let head = naming.name("lm_head.weight");
    if checkpoint.info(&head).is_some() {
        let embedding = checkpoint.raw(&naming.name("model.embed_tokens.weight"))?;
        if checkpoint.raw(&head)? != embedding {
            return Err(LmError::Untied {
                path: checkpoint.path().into(),
                name: head,
            });
        }
    }
    Ok(())
}

//! An adapter with its tensors.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::config::LoraConfig;
use super::{CONFIG, MODEL};
use crate::checkpoint::{Checkpoint, TensorInfo};
use crate::dtype::Dtype;
use crate::error::{HubError, fault};
use crate::file::{self, write_error};
use crate::json;
use crate::memory::MemoryCheckpoint;
use crate::safetensors::{SafetensorsCheckpoint, save_file};

/// What every name of a tensor begins with: the module is within the base model within PEFT's.
const PREFIX: &str = "base_model.model.";

/// A LoRA adapter.
#[derive(Debug, Clone)]
pub struct LoraAdapter {
    /// What PEFT is told about it.
    pub config: LoraConfig,
    /// The adapted modules by their names in the base model: `model.layers.0.self_attn.q_proj`.
    pub modules: BTreeMap<String, LoraModule>,
    /// Tensors that were trained whole, by their names in the base model.
    pub whole: MemoryCheckpoint,
}

/// One adapted module.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraModule {
    /// Whether it is an embedding, whose A is [r, entries] and whose B is [width, r].
    pub embedding: bool,
    /// The rank r.
    pub rank: usize,
    /// The length of the inputs, or the number of an embedding's entries.
    pub inputs: usize,
    /// The length of the outputs.
    pub outputs: usize,
    /// A, `[r, inputs]`.
    pub down: Vec<f32>,
    /// B, `[outputs, r]`.
    pub up: Vec<f32>,
    /// DoRA's magnitudes, `[outputs]`.
    pub magnitude: Option<Vec<f32>>,
    /// The type of the elements in a file.
    pub dtype: Dtype,
}

/// The parts of a module by the ends of their names: of a product and of an embedding.
const PARTS: [(&str, bool, Part); 5] = [
    (".lora_A.weight", false, Part::Down),
    (".lora_B.weight", false, Part::Up),
    (".lora_embedding_A", true, Part::Down),
    (".lora_embedding_B", true, Part::Up),
    (".lora_magnitude_vector", false, Part::Magnitude),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Down,
    Up,
    Magnitude,
}

impl LoraAdapter {
    /// Whether a folder is one of an adapter.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(CONFIG).is_file()
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// Names the file, the field or tensor, what was found and what was expected.
    pub fn open(folder: &Path) -> Result<Self, HubError> {
        let path = folder.join(CONFIG);
        let config = LoraConfig::from_json(&path, &file::read(&path, json::MAX_BYTES)?)?;
        let tensors = SafetensorsCheckpoint::open(&folder.join(MODEL))?;
        let mut whole = MemoryCheckpoint::new(folder);
        let mut modules: BTreeMap<&str, bool> = BTreeMap::new();
        for info in tensors.tensors() {
            let Some(name) = info.name.strip_prefix(PREFIX) else {
                let detail = format!("tensor `{}`: expected a name that begins with `{PREFIX}`", info.name);
                return Err(fault(tensors.path(), detail));
            };
            let part = PARTS
                .iter()
                .find_map(|&(end, embedding, part)| Some((name.strip_suffix(end)?, embedding, part)));
            match part {
                Some((module, embedding, Part::Down)) => {
                    modules.insert(module, embedding);
                }
                Some(_) => {}
                None if name.contains("lora_") => {
                    let ends = PARTS.map(|(end, ..)| end).join(", ");
                    let detail = format!("tensor `{}`: expected a name that ends with one of {ends}", info.name);
                    return Err(fault(tensors.path(), detail));
                }
                None => whole.insert(
                    name,
                    info.dtype,
                    &info.shape,
                    tensors.raw(&info.name)?.bytes.into_owned(),
                ),
            }
        }
        let mut read = BTreeMap::new();
        for (module, embedding) in modules {
            read.insert(
                module.to_owned(),
                LoraModule::read(&tensors, &config, module, embedding)?,
            );
        }
        let parts: usize = read
            .values()
            .map(|module| if module.magnitude.is_some() { 3 } else { 2 })
            .sum();
        if parts + whole.tensors().len() != tensors.tensors().len() {
            let detail =
                "a tensor `lora_B` or `lora_magnitude_vector` is without its `lora_A`; expected both of each module";
            return Err(fault(tensors.path(), detail));
        }
        Ok(Self {
            config,
            modules: read,
            whole,
        })
    }

    /// Writes the folder under PEFT's names.
    ///
    /// # Errors
    /// What the operating system says of a file.
    ///
    /// # Panics
    /// If a module has not as many numbers as its sizes say.
    pub fn save(&self, folder: &Path) -> Result<(), HubError> {
        fs::create_dir_all(folder).map_err(|source| write_error(folder, source))?;
        let mut tensors = MemoryCheckpoint::new(folder);
        for (name, module) in &self.modules {
            let [down, up] = if module.embedding { [2, 3] } else { [0, 1] }.map(|part| PARTS[part].0);
            let mut insert = |end: &str, shape: &[usize], numbers: &[f32]| {
                tensors.insert_f32(&format!("{PREFIX}{name}{end}"), shape, numbers, module.dtype);
            };
            insert(down, &[module.rank, module.inputs], &module.down);
            insert(up, &[module.outputs, module.rank], &module.up);
            if let Some(magnitude) = &module.magnitude {
                insert(PARTS[4].0, &[module.outputs], magnitude);
            }
        }
        for TensorInfo { name, dtype, shape } in self.whole.tensors() {
            let bytes = self.whole.raw(name)?.bytes.into_owned();
            tensors.insert(&format!("{PREFIX}{name}"), *dtype, shape, bytes);
        }
        save_file(&folder.join(MODEL), &tensors)?;
        json::write(&folder.join(CONFIG), &self.config)
    }
}

impl LoraModule {
    fn read(
        tensors: &SafetensorsCheckpoint,
        config: &LoraConfig,
        module: &str,
        embedding: bool,
    ) -> Result<Self, HubError> {
        let [down, up] =
            if embedding { [2, 3] } else { [0, 1] }.map(|part| format!("{PREFIX}{module}{}", PARTS[part].0));
        let info = tensors.info(&down).ok_or_else(|| tensors.missing(&down))?;
        let rank = config.rank(module);
        let inputs = info.shape.last().copied().unwrap_or(0);
        let outputs = tensors
            .info(&up)
            .ok_or_else(|| tensors.missing(&up))?
            .shape
            .first()
            .copied()
            .unwrap_or(0);
        let magnitude = format!("{PREFIX}{module}{}", PARTS[4].0);
        let magnitude = match tensors.info(&magnitude) {
            Some(_) => Some(tensors.read_f32_shaped(&magnitude, &[outputs])?),
            None if config.use_dora => return Err(tensors.missing(&magnitude)),
            None => None,
        };
        Ok(Self {
            embedding,
            rank,
            inputs,
            outputs,
            down: tensors.read_f32_shaped(&down, &[rank, inputs])?,
            up: tensors.read_f32_shaped(&up, &[outputs, rank])?,
            magnitude,
            dtype: info.dtype,
        })
    }
}

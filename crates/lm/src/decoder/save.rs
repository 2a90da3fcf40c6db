//! A decoder as a checkpoint, and in a folder.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use etude_hub::{Checkpoint, Dtype, HubError, RawTensor, TensorInfo, safetensors};

use super::Decoder;
use crate::LmError;

/// The largest file of a checkpoint, as transformers chooses it.
const SHARD: usize = 50_000_000_000;

impl Decoder {
    /// The parameters under their names, to be saved: each is copied when it is written. Tied weights come once.
    ///
    /// Adapters are in the weights, as [`merged`](Self::merged) puts them there, so what reads the checkpoint computes what the decoder does.
    /// [`base`](Self::base) has a checkpoint without them, and [`lora`](Self::lora) gives them by themselves.
    pub fn checkpoint(&self) -> DecoderCheckpoint {
        let mut collector = Collector::default();
        self.merged().visit(&mut collector);
        let mut parameters = collector.parameters;
        parameters.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
        let (tensors, numbers) = parameters.into_iter().unzip();
        DecoderCheckpoint {
            path: PathBuf::from("the decoder"),
            tensors,
            numbers,
        }
    }

    /// Writes config.json and the parameters, in f32, into a folder, so that transformers (or [`load`](Self::load)) reads
    /// the same model. Adapters are in the weights, as in the [`checkpoint`](Self::checkpoint).
    ///
    /// # Errors
    /// The configuration cannot be said in a config.json; or what the operating system says.
    pub fn save(&self, folder: &Path) -> Result<(), LmError> {
        let config = self.config.to_json()?;
        let write = |source| HubError::Write {
            path: folder.into(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(write)?;
        std::fs::write(folder.join("config.json"), format!("{config:#}\n")).map_err(write)?;
        safetensors::save_shards(folder, &self.checkpoint(), SHARD)?;
        Ok(())
    }
}

/// The parameters of a decoder as they were when it was made.
#[derive(Debug)]
pub struct DecoderCheckpoint {
    path: PathBuf,
    /// In order of names.
    tensors: Vec<TensorInfo>,
    numbers: Vec<Parameter>,
}

/// A tensor that shares its memory with the decoder.
#[derive(Debug)]
enum Parameter {
    Vector(Tensor<1>),
    Matrix(Tensor<2>),
}

impl DecoderCheckpoint {
    fn place(&self, name: &str) -> Result<usize, HubError> {
        let place = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name));
        place.map_err(|_| self.missing(name))
    }

    /// A parameter's numbers, f32 with their bytes in the machine's order.
    fn data(&self, place: usize) -> TensorData {
        let data = match &self.numbers[place] {
            Parameter::Vector(tensor) => tensor.to_data(),
            Parameter::Matrix(tensor) => tensor.to_data(),
        };
        data.convert::<f32>()
    }
}

impl Checkpoint for DecoderCheckpoint {
    fn path(&self) -> &Path {
        &self.path
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        let place = self.place(name)?;
        let mut bytes = self.data(place).as_bytes().to_vec();
        if cfg!(target_endian = "big") {
            bytes
                .as_chunks_mut::<4>()
                .0
                .iter_mut()
                .for_each(|number| number.reverse());
        }
        Ok(RawTensor {
            dtype: Dtype::F32,
            shape: &self.tensors[place].shape,
            bytes: Cow::Owned(bytes),
        })
    }

    /// They are f32 already, and need not become bytes first.
    fn read_f32(&self, name: &str) -> Result<Vec<f32>, HubError> {
        let data = self.data(self.place(name)?);
        let numbers = data.as_bytes().as_chunks().0;
        Ok(numbers.iter().map(|&number| f32::from_ne_bytes(number)).collect())
    }
}

/// Gathers a module's parameters with the paths to them.
#[derive(Default)]
struct Collector {
    path: Vec<String>,
    parameters: Vec<(TensorInfo, Parameter)>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let tensor = parameter.val().without_autodiff();
        let info = TensorInfo {
            name: self.path.join("."),
            dtype: Dtype::F32,
            shape: tensor.dims().to_vec(),
        };
        let parameter = if D == 1 {
            Parameter::Vector(tensor.flatten(0, D - 1))
        } else {
            let [rows, columns] = [info.shape[0], info.elements() / info.shape[0].max(1)];
            Parameter::Matrix(tensor.reshape([rows, columns]))
        };
        self.parameters.push((info, parameter));
    }
}

//! What a run is resumed from: `checkpoint-N/`, with the model and `trainer_state.json` as transformers lays them out.
//!
//! ```text
//! checkpoint-40/
//!   config.json, model.safetensors, ...   the model, as it is saved anywhere
//!   optimizer.safetensors                 for each parameter exp_avg, exp_avg_sq and step, or momentum_buffer, as torch names them; and ema
//!   trainer_state.json                    steps, epochs, and all that was logged
//! ```
//!
//! A checkpoint is written beside its place and then moved there, so that one which is there is whole.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use etude_hub::{Checkpoint, Dtype, HubError, RawTensor, SafetensorsCheckpoint, TensorInfo, safetensors};
use etude_kernels::burn::{ModuleAverage, ModuleMuon, Moments};
use etude_train::{TrainError, write_atomically};

use super::{Optimizer, OptimizerState, TrainerState, TrainingArguments};
use crate::AlignError;

const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "trainer_state.json";
const PREFIX: &str = "checkpoint-";

/// Writes `checkpoint-N` of the state's step into the folder of a run, and removes the oldest ones but as many as the arguments
/// keep. `model` writes the model into the folder that it is given.
///
/// # Errors
/// What the operating system says; earlier checkpoints are then as they were.
pub fn save(
    run: &Path,
    state: &TrainerState,
    optimizer: &Optimizer,
    arguments: &TrainingArguments,
    model: impl FnOnce(&Path) -> Result<(), AlignError>,
) -> Result<(), AlignError> {
    let name = format!("{PREFIX}{}", state.global_step);
    let (unfinished, finished) = (run.join(format!(".{name}.tmp")), run.join(&name));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| TrainError::Io {
            action: "write",
            path,
            source,
        }
    };
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io(&unfinished))?;
    }
    fs::create_dir_all(&unfinished).map_err(io(&unfinished))?;
    let written = model(&unfinished).and_then(|()| {
        safetensors::save_file(&unfinished.join(OPTIMIZER), &OptimizerCheckpoint::new(optimizer))?;
        Ok(write_atomically(
            &unfinished.join(STATE),
            state.to_json(arguments).as_bytes(),
        )?)
    });
    if let Err(error) = written {
        // What is half written only takes room, perhaps the last that there is.
        let _ = fs::remove_dir_all(&unfinished);
        return Err(error);
    }
    if finished.exists() {
        fs::remove_dir_all(&finished).map_err(io(&finished))?;
    }
    fs::rename(&unfinished, &finished).map_err(io(&finished))?;
    let all = all(run)?;
    for (_, old) in &all[..all.len().saturating_sub(arguments.save_total_limit)] {
        fs::remove_dir_all(old).map_err(io(old))?;
    }
    Ok(())
}

/// The last checkpoint of a run, if there is one.
///
/// # Errors
/// The folder cannot be read.
pub fn latest(run: &Path) -> Result<Option<PathBuf>, AlignError> {
    Ok(all(run)?.pop().map(|(_, path)| path))
}

/// The run's state and the optimiser's.
///
/// # Errors
/// A file is missing or is not what it has to be.
pub fn load(checkpoint: &Path) -> Result<(TrainerState, OptimizerState), AlignError> {
    let path = checkpoint.join(STATE);
    let text = fs::read_to_string(&path).map_err(|source| AlignError::Read {
        path: path.clone(),
        source,
    })?;
    let state = TrainerState::from_json(&text).map_err(|detail| AlignError::File { path, detail })?;
    let file = SafetensorsCheckpoint::open(&checkpoint.join(OPTIMIZER))?;
    let mut optimizer = OptimizerState::default();
    for tensor in file.tensors() {
        if let Some(name) = tensor.name.strip_suffix(STEP) {
            let read = |part: &str| file.read_f32(&format!("{name}{part}"));
            let steps = read(STEP)?.first().map_or(0, |steps| *steps as u64);
            let (first, second) = (read(FIRST)?, read(SECOND)?);
            optimizer
                .moments
                .push((name.to_owned(), Moments { steps, first, second }));
        } else if let Some(name) = tensor.name.strip_suffix(MOMENTUM) {
            optimizer.momenta.push((name.to_owned(), file.read_f32(&tensor.name)?));
        } else if let Some(name) = tensor.name.strip_suffix(MEAN) {
            optimizer.means.push((name.to_owned(), file.read_f32(&tensor.name)?));
        }
    }
    Ok((state, optimizer))
}

/// The checkpoints of a run with their steps, in order.
///
/// # Errors
/// The folder cannot be read.
pub fn all(run: &Path) -> Result<Vec<(u64, PathBuf)>, AlignError> {
    let error = |source| AlignError::Read {
        path: run.into(),
        source,
    };
    let mut all = Vec::new();
    for entry in fs::read_dir(run).map_err(error)? {
        let entry = entry.map_err(error)?;
        let name = entry.file_name();
        let step = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.parse::<u64>().ok());
        all.extend(step.map(|step| (step, entry.path())));
    }
    all.sort_unstable();
    Ok(all)
}

const FIRST: &str = ".exp_avg";
const SECOND: &str = ".exp_avg_sq";
const STEP: &str = ".step";
const MOMENTUM: &str = ".momentum_buffer";
const MEAN: &str = ".ema";

/// What the optimiser keeps as tensors, each copied when it is written.
#[derive(Debug)]
struct OptimizerCheckpoint<'a> {
    optimizer: &'a Optimizer,
    /// In order of names.
    tensors: Vec<TensorInfo>,
}

impl<'a> OptimizerCheckpoint<'a> {
    fn new(optimizer: &'a Optimizer) -> Self {
        let info = |name: &str, part: &str, shape: Vec<usize>| TensorInfo {
            name: format!("{name}{part}"),
            dtype: Dtype::F32,
            shape,
        };
        let moments = optimizer.adam_w().sizes().flat_map(|(name, size)| {
            [(FIRST, vec![size]), (SECOND, vec![size]), (STEP, Vec::new())].map(|(part, shape)| info(name, part, shape))
        });
        let momenta = optimizer.muon().into_iter().flat_map(ModuleMuon::sizes);
        let means = optimizer.average().into_iter().flat_map(ModuleAverage::sizes);
        let momenta = momenta.map(|(name, size)| info(name, MOMENTUM, vec![size]));
        let means = means.map(|(name, size)| info(name, MEAN, vec![size]));
        let mut tensors: Vec<TensorInfo> = moments.chain(momenta).chain(means).collect();
        tensors.sort_by(|left, right| left.name.cmp(&right.name));
        Self { optimizer, tensors }
    }
}

impl Checkpoint for OptimizerCheckpoint<'_> {
    fn path(&self) -> &Path {
        Path::new("the optimiser")
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        let found = [FIRST, SECOND, STEP, MOMENTUM, MEAN].into_iter().find_map(|part| {
            let parameter = name.strip_suffix(part)?;
            let moments = || self.optimizer.adam_w().moments_of(parameter);
            let numbers = match part {
                FIRST => moments()?.first,
                SECOND => moments()?.second,
                STEP => vec![moments()?.steps as f32],
                MOMENTUM => self.optimizer.muon()?.momentum_of(parameter)?,
                _ => self.optimizer.average()?.mean_of(parameter)?,
            };
            Some((self.info(name)?, numbers))
        });
        let (info, numbers) = found.ok_or_else(|| self.missing(name))?;
        Ok(RawTensor {
            dtype: info.dtype,
            shape: &info.shape,
            bytes: Cow::Owned(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()),
        })
    }
}

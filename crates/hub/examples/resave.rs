//! Opens a model and saves it again, for transformers to load: `resave FROM TO [BYTES [F32|F16|BF16]]`.
//!
//! FROM is a folder with a model, or a GGUF, safetensors or `.pth` file, of which the tensors alone are saved. A file of tensors
//! has at most so many BYTES. The scripts `scripts/hub_check_*.py` compare what comes out.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use etude_hub::safetensors::save_shards;
use etude_hub::{Checkpoint, Converted, Dtype, ModelFolder};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to, options @ ..] = &arguments[..] else {
        return Err("expected FROM TO [BYTES [F32|F16|BF16]]".into());
    };
    let (from, to) = (Path::new(from), Path::new(to));
    let most = options.first().map_or(Ok(usize::MAX), |bytes| bytes.parse())?;
    let dtype = match options.get(1).map(String::as_str) {
        None => None,
        Some("F32") => Some(Dtype::F32),
        Some("F16") => Some(Dtype::F16),
        Some("BF16") => Some(Dtype::Bf16),
        Some(other) => return Err(format!("type {other}: expected F32, F16 or BF16").into()),
    };
    if from.is_dir() {
        let folder = ModelFolder::open(from)?;
        let checkpoint = convert(folder.checkpoint(), dtype);
        return Ok(folder
            .saved(checkpoint.as_deref().unwrap_or(folder.checkpoint()))?
            .save(to, most)?);
    }
    let checkpoint = etude_hub::open(from)?;
    fs::create_dir_all(to)?;
    let converted = convert(&*checkpoint, dtype);
    Ok(save_shards(to, converted.as_deref().unwrap_or(&*checkpoint), most)?)
}

fn convert<'a>(checkpoint: &'a dyn Checkpoint, dtype: Option<Dtype>) -> Option<Box<dyn Checkpoint + 'a>> {
    dtype.map(|dtype| -> Box<dyn Checkpoint + 'a> { Box::new(Converted::new(checkpoint, dtype)) })
}

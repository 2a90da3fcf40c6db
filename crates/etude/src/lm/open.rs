//! The model that a command is told of.

use clap::{Args, ValueEnum};
use etude_kernels::Precision;
use etude_lm::Model;

use crate::error::{CommandError, Context as _};
use crate::output::Output;
use crate::progress::Progress;

/// Which model, and in what it computes.
#[derive(Debug, Clone, Args)]
pub(super) struct ModelOptions {
    /// A GGUF file, a folder as Hugging Face's, or the name of a model in its cache, such as `org/model`
    #[arg(value_name = "MODEL")]
    pub(super) model: String,
    /// Multiply weights that are not quantised in this precision
    #[arg(long, value_enum, default_value_t = PrecisionName::F32, help_heading = "Run options")]
    precision: PrecisionName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionName {
    /// 32 bits
    F32,
    /// 16 bits, sums in 32: faster, and less exact
    Bf16,
}

impl ModelOptions {
    /// Loads it.
    pub(super) fn open(&self, output: &Output) -> Result<Model, CommandError> {
        let progress = Progress::spinner(output, format!("loading {}", self.model));
        let precision = match self.precision {
            PrecisionName::F32 => Precision::F32,
            PrecisionName::Bf16 => Precision::Bf16,
        };
        let model = Model::open(&self.model, precision).bad_input(|| format!("cannot load {}", self.model))?;
        progress.finish();
        Ok(model)
    }
}

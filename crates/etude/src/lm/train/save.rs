//! Models that are trained, as they are written into folders.

use std::path::Path;

use etude_align::AlignError;
use etude_align::preference::SyncedPolicy;
use etude_align::reward::RewardModel;
use etude_align::training::Trained;
use etude_hub::peft::LoraAdapter;
use etude_lm::Source;
use etude_lm::decoder::Decoder;

/// Where adapters are in the folder of the model that they are merged into: beside its configuration, transformers would take it for
/// adapters alone.
pub(super) const ADAPTER: &str = "adapter";

/// A model that can be written into a folder, with what belongs to it.
pub(super) trait SaveModel: Trained {
    fn save_model(&self, folder: &Path, source: &Source) -> Result<(), AlignError>;

    /// Writes what its future depends on besides, for a checkpoint.
    fn save_state(&self, _folder: &Path) -> Result<(), AlignError> {
        Ok(())
    }
}

/// What belongs to a model in `folder`: its adapters and its tokenizer.
fn save_beside(adapter: Option<LoraAdapter>, folder: &Path, source: &Source) -> Result<(), AlignError> {
    if let Some(adapter) = adapter {
        adapter.save(&folder.join(ADAPTER))?;
    }
    Ok(source.save_tokenizer(folder)?)
}

impl SaveModel for Decoder {
    /// A whole model, into which adapters are merged, and these by themselves.
    fn save_model(&self, folder: &Path, source: &Source) -> Result<(), AlignError> {
        self.save(folder)?;
        save_beside(self.lora(), folder, source)
    }
}

/// Where the reference is in a checkpoint, if it follows the policy.
pub(super) const REFERENCE: &str = "reference";

impl SaveModel for SyncedPolicy {
    fn save_model(&self, folder: &Path, source: &Source) -> Result<(), AlignError> {
        self.decoder().save_model(folder, source)
    }

    fn save_state(&self, folder: &Path) -> Result<(), AlignError> {
        Ok(self.reference().save(&folder.join(REFERENCE))?)
    }
}

impl SaveModel for RewardModel {
    /// As of a decoder.
    fn save_model(&self, folder: &Path, source: &Source) -> Result<(), AlignError> {
        self.save(folder)?;
        save_beside(self.lora(), folder, source)
    }
}

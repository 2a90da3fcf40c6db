//! Conversations, completions and preferences, from files of every usual format, as tokens to train on.
//!
//! - [`DataFiles`] finds files (JSON lines, JSON arrays, CSV, Parquet; the first three also behind gzip) and reads them one
//!   record at a time: no file is ever held as a whole.
//! - A [`Record`] is one of the five kinds that TRL trains on, or a ranking ([`Example`]), standard (text) or conversational (messages), with
//!   the columns beside them that have a meaning. [`Format`] says how columns become a record, and finds it out by itself.
//! - An [`ExampleTokenizer`] makes tokens with a loss mask of them, as the trainers of TRL 1.16 do: `SFTTrainer`, `DPOTrainer`,
//!   `RewardTrainer`, `KTOTrainer`.
//! - [`Truncation`] cuts what is too long; [`Packs`] lay short sequences beside each other.
//! - [`StoredExamples`] keep what does not fit in memory on the disk; training asks for [`Examples`] by their places.
//! - [`lint`] looks data over before anything is trained on them.
//!
//! Where this differs from TRL:
//!
//! - The first token of a sequence never counts in the loss: nothing comes before it that could predict it. TRL marks it and
//!   loses it when labels are shifted; here counts of supervised tokens are those of the loss.
//! - Sequences that are packed with `wrapped` still attend to themselves only. TRL lets them see what lies before them.
//! - Where a template has no `{% generation %}`, what the assistant says is found by rendering the conversation as far as each
//!   answer. TRL refuses such templates, or exchanges those it knows.
//! - Arguments of tool calls that are JSON in a string, as OpenAI's, become objects, which is what templates expect.
//! - A prompt that is implicit ends before the first character or message in which `chosen` and `rejected` differ, and before
//!   the space ahead of it. Where they differ from the beginning it is empty; TRL then looks at the last character by mistake.

mod columns;
mod conversation;
mod dataset;
mod example;
mod examples;
mod fields;
mod files;
mod format;
pub mod lint;
mod pack;
mod record;
mod tokenize;
mod transcript;
mod truncate;

pub use dataset::{DataFiles, DataOptions, Records};
pub use example::{Tokenized, TokenizedCompletion, TokenizedPreference, TokenizedRanking};
pub use examples::{Examples, StoredExamples};
pub use files::PARQUET_THREAD;
pub use format::Format;
pub use pack::{Packed, PackingStrategy, Packs};
pub use record::{Example, Message, Place, Record, Text};
pub use tokenize::{ExampleTokenizer, LossOptions};
pub use truncate::{Truncation, TruncationMode};

//! Sequences that are too long.

use std::fmt::{self, Display};
use std::ops::Range;
use std::str::FromStr;

/// Which end of a sequence that is too long is kept, by TRL's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TruncationMode {
    /// The beginning.
    #[default]
    KeepStart,
    /// The end.
    KeepEnd,
}

impl TruncationMode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::KeepStart, Self::KeepEnd];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeepStart => "keep_start",
            Self::KeepEnd => "keep_end",
        }
    }
}

impl Display for TruncationMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for TruncationMode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|mode| mode.name() == name);
        known.ok_or_else(|| format!("found {name:?}, expected keep_start or keep_end"))
    }
}

/// How long sequences may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncation {
    /// Tokens of the longest; none where nothing is cut.
    pub max_length: Option<usize>,
    /// Which end is kept.
    pub mode: TruncationMode,
}

impl Default for Truncation {
    /// TRL's: 1,024 tokens from the start.
    fn default() -> Self {
        Self {
            max_length: Some(1024),
            mode: TruncationMode::KeepStart,
        }
    }
}

impl Truncation {
    /// Which tokens of a sequence are kept.
    pub fn kept(&self, length: usize) -> Range<usize> {
        let most = self.max_length.unwrap_or(length).min(length);
        match self.mode {
            TruncationMode::KeepStart => 0..most,
            TruncationMode::KeepEnd => length - most..length,
        }
    }
}

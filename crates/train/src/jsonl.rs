//! `metrics.jsonl`: the numbers of a run, one JSON object a line, for pandas, jq and the like.
//!
//! ```json
//! {"step":12,"name":"loss","value":0.25}
//! {"step":13,"name":"loss","value":"NaN"}
//! {"step":13,"name":"sample","text":"Once upon a time"}
//! ```
//!
//! JSON has no word for a number that is not finite, so these are the strings `"NaN"`, `"inf"` and `"-inf"`, all
//! three of which Python's `float` understands. Finite numbers are written with the fewest digits that read back
//! as the same `f64`.

use std::{io::Write, path::Path};

use serde::Serialize;

use crate::{
    Observer, TrainError,
    log_file::{LogFile, LogPlace},
};

/// Writes scalars and text to a file of JSON lines; histograms and pictures have better homes.
///
/// Lines are buffered: they reach the file a few seconds later, or when the run is finished.
#[derive(Debug)]
pub struct JsonlObserver(LogFile);

impl JsonlObserver {
    /// Starts a new file at `path`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the file exists already or cannot be created.
    pub fn create(path: &Path) -> Result<Self, TrainError> {
        LogFile::create(path).map(Self)
    }

    /// Goes on with the file in `folder` that stood at `place`, as [`LogFile::resume`] does.
    ///
    /// # Errors
    ///
    /// As [`LogFile::resume`].
    pub fn resume(folder: &Path, place: &LogPlace) -> Result<Self, TrainError> {
        LogFile::resume(folder, place).map(Self)
    }

    /// How far the file has come, with all that was reported.
    ///
    /// # Errors
    ///
    /// As [`LogFile::place`].
    pub fn place(&mut self) -> Result<LogPlace, TrainError> {
        self.0.place()
    }

    fn write_line(&mut self, line: &impl Serialize) {
        self.0.append(|file| {
            serde_json::to_writer(&mut *file, line)?;
            file.write_all(b"\n")
        });
    }
}

impl Observer for JsonlObserver {
    fn scalar(&mut self, name: &str, step: u64, value: f64) {
        let value = Number::from(value);
        self.write_line(&ScalarLine { step, name, value });
    }

    fn text(&mut self, name: &str, step: u64, text: &str) {
        self.write_line(&TextLine { step, name, text });
    }

    fn finish(&mut self) -> Result<(), TrainError> {
        self.0.finish()
    }
}

#[derive(Serialize)]
struct ScalarLine<'a> {
    step: u64,
    name: &'a str,
    value: Number,
}

#[derive(Serialize)]
struct TextLine<'a> {
    step: u64,
    name: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    NotFinite(&'static str),
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        if value.is_finite() {
            Self::Finite(value)
        } else if value.is_nan() {
            Self::NotFinite("NaN")
        } else if value > 0.0 {
            Self::NotFinite("inf")
        } else {
            Self::NotFinite("-inf")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error, fs};

    use proptest::prelude::*;

    use super::*;

    fn written_by(report: impl FnOnce(&mut JsonlObserver)) -> Result<String, Box<dyn Error + Send + Sync>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("metrics.jsonl");
        let mut observer = JsonlObserver::create(&path)?;
        report(&mut observer);
        observer.finish()?;
        Ok(fs::read_to_string(path)?)
    }

    #[test]
    fn lines_look_as_documented() -> Result<(), Box<dyn Error + Send + Sync>> {
        let lines = written_by(|observer| {
            observer.scalar("loss", 12, 0.25);
            observer.scalar("loss", 13, f64::NAN);
            observer.scalar("loss", 14, f64::INFINITY);
            observer.scalar("loss", 15, f64::NEG_INFINITY);
            observer.text("sample", 15, "two\n\"lines\"");
        })?;
        let expected = [
            r#"{"step":12,"name":"loss","value":0.25}"#,
            r#"{"step":13,"name":"loss","value":"NaN"}"#,
            r#"{"step":14,"name":"loss","value":"inf"}"#,
            r#"{"step":15,"name":"loss","value":"-inf"}"#,
            r#"{"step":15,"name":"sample","text":"two\n\"lines\""}"#,
        ];
        assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
        Ok(())
    }

    proptest! {
        #[test]
        fn any_name_and_any_finite_number_read_back_equal(
            name in any::<String>(), step in any::<u64>(), value in any::<f64>(),
        ) {
            let line = written_by(|observer| observer.scalar(&name, step, value))
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            let read: serde_json::Value = serde_json::from_str(&line)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(read["name"].as_str(), Some(name.as_str()));
            prop_assert_eq!(read["step"].as_u64(), Some(step));
            prop_assert_eq!(read["value"].as_f64().map(f64::to_bits), Some(value.to_bits()));
        }
    }
}

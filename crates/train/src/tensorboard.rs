//! Event files for `TensorBoard`: `tensorboard --logdir runs` shows a run while it trains.
//!
//! An event file is a sequence of records, each around one protocol-buffer `Event`:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | length of the event, little-endian |
//! | 4 | masked CRC-32C of these eight bytes, little-endian |
//! | length | the event |
//! | 4 | masked CRC-32C of the event, little-endian |
//!
//! The first event names the version of the format. Every other one carries one observation:
//!
//! | observation | as | note |
//! |---|---|---|
//! | scalar | `simple_value` | rounded to `f32`, all that the format holds; `metrics.jsonl` keeps the `f64` |
//! | histogram | `histo` | 30 buckets of equal width over the finite values; none if there are none |
//! | PNG picture | `image` | |
//! | SVG picture | | left out: `TensorBoard` shows no vector graphics |
//! | text | `tensor` for the `text` dashboard | read as Markdown |
//!
//! `scripts/check_tensorboard.py` runs the example `observe` of this crate and reads its event file back with
//! `TensorBoard`'s own reader: every scalar, histogram, picture and text must come out equal. It needs Python with
//! `tensorboard` installed. The tests here need no Python: they decode the records themselves.

mod histogram;
mod messages;

use std::{
    io::Write,
    path::Path,
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use prost::Message;

use self::messages::{
    DataType, Event, Histogram, Image, Payload, PluginData, Summary, SummaryMetadata, TaggedValue, Tensor, TensorShape,
    What,
};
use crate::{
    Observer, Picture, TrainError,
    log_file::{LogFile, LogPlace},
};

/// Writes scalars, histograms, PNG pictures and text to a `TensorBoard` event file.
///
/// Events are buffered: they reach the file a few seconds later, or when the run is finished.
#[derive(Debug)]
pub struct TensorBoardObserver {
    file: LogFile,
    /// The event being encoded; kept to be used again.
    encoded: Vec<u8>,
}

impl TensorBoardObserver {
    /// Starts a new event file in `folder`, `events.out.tfevents.<seconds since 1970>.etude.<process>.<count>`. Files
    /// of earlier observers stay, and `TensorBoard` shows them all as one run.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if the file cannot be created.
    pub fn create(folder: &Path) -> Result<Self, TrainError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (now, process) = (seconds_since_1970(), process::id());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("events.out.tfevents.{now:010.0}.etude.{process}.{count}");
        let mut observer = Self {
            file: LogFile::create(&folder.join(name))?,
            encoded: Vec::new(),
        };
        observer.write(0, What::FileVersion("brain.Event:2".to_owned()));
        Ok(observer)
    }

    /// Goes on with the file in `folder` that stood at `place`, as [`LogFile::resume`] does.
    ///
    /// # Errors
    ///
    /// As [`LogFile::resume`].
    pub fn resume(folder: &Path, place: &LogPlace) -> Result<Self, TrainError> {
        Ok(Self {
            file: LogFile::resume(folder, place)?,
            encoded: Vec::new(),
        })
    }

    /// How far the file has come, with all that was reported.
    ///
    /// # Errors
    ///
    /// As [`LogFile::place`].
    pub fn place(&mut self) -> Result<LogPlace, TrainError> {
        self.file.place()
    }

    fn write_value(&mut self, name: &str, step: u64, payload: Payload, dashboard: Option<&str>) {
        let value = TaggedValue {
            tag: name.to_owned(),
            metadata: dashboard.map(|dashboard| SummaryMetadata {
                plugin_data: Some(PluginData {
                    plugin_name: dashboard.to_owned(),
                }),
            }),
            value: Some(payload),
        };
        self.write(step, What::Summary(Summary { value: vec![value] }));
    }

    fn write(&mut self, step: u64, what: What) {
        let event = Event {
            wall_time: seconds_since_1970(),
            step,
            what: Some(what),
        };
        self.encoded.clear();
        self.file.append(|file| {
            event.encode(&mut self.encoded)?;
            let length = (self.encoded.len() as u64).to_le_bytes();
            file.write_all(&length)?;
            file.write_all(&masked_crc(&length).to_le_bytes())?;
            file.write_all(&self.encoded)?;
            file.write_all(&masked_crc(&self.encoded).to_le_bytes())
        });
    }
}

impl Observer for TensorBoardObserver {
    fn scalar(&mut self, name: &str, step: u64, value: f64) {
        self.write_value(name, step, Payload::Scalar(value as f32), None);
    }

    fn histogram(&mut self, name: &str, step: u64, values: &[f64]) {
        if let Some(histogram) = Histogram::of(values) {
            self.write_value(name, step, Payload::Histogram(histogram), None);
        }
    }

    fn picture(&mut self, name: &str, step: u64, picture: &Picture) {
        if let Picture::Png { width, height, bytes } = picture {
            let image = Image {
                height: *height,
                width: *width,
                encoded_image_string: bytes.clone(),
            };
            self.write_value(name, step, Payload::Image(image), None);
        }
    }

    fn text(&mut self, name: &str, step: u64, text: &str) {
        let tensor = Tensor {
            dtype: DataType::String.into(),
            shape: Some(TensorShape {}),
            string_val: vec![text.as_bytes().to_vec()],
        };
        self.write_value(name, step, Payload::Tensor(tensor), Some("text"));
    }

    fn finish(&mut self) -> Result<(), TrainError> {
        self.file.finish()
    }
}

/// CRC-32C, rotated and shifted by a constant: the format asks for it, so that a checksum of data which holds
/// checksums of its own stays a good one.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Zero on a clock that stands before 1970.
fn seconds_since_1970() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::{error::Error, fs};

    use super::*;

    /// The events of a file, each checked against both of its checksums.
    fn read_events(mut bytes: &[u8]) -> Result<Vec<Event>, Box<dyn Error>> {
        let mut events = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
            let (length_crc, rest) = rest.split_first_chunk().ok_or("no checksum of length")?;
            assert_eq!(u32::from_le_bytes(*length_crc), masked_crc(length));
            let (data, rest) = rest
                .split_at_checked(usize::try_from(u64::from_le_bytes(*length))?)
                .ok_or("event cut short")?;
            let (data_crc, rest) = rest.split_first_chunk().ok_or("no checksum of data")?;
            assert_eq!(u32::from_le_bytes(*data_crc), masked_crc(data));
            events.push(Event::decode(data)?);
            bytes = rest;
        }
        assert!(bytes.is_empty(), "a whole number of records");
        Ok(events)
    }

    #[test]
    fn the_checksum_is_that_of_tensorboard() {
        // Computed by TensorBoard's own reader.
        assert_eq!(masked_crc(b"123456789"), 0xc78a_b0e5);
        assert_eq!(masked_crc(&24_u64.to_le_bytes()), 0x224b_7fa3);
    }

    #[test]
    fn what_is_reported_reads_back() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let mut observer = TensorBoardObserver::create(folder.path())?;
        let png = Picture::Png {
            width: 3,
            height: 2,
            bytes: vec![1, 2, 3],
        };
        observer.scalar("loss", 7, 0.1);
        observer.histogram("weights", 8, &[1.0, 2.0]);
        observer.histogram("nothing", 8, &[]);
        observer.picture("map", 9, &png);
        observer.picture("plot", 9, &Picture::Svg("<svg/>".to_owned()));
        observer.text("sample", 10, "*naïve*");
        observer.finish()?;

        let file = fs::read_dir(folder.path())?.next().ok_or("no file")??;
        let events = read_events(&fs::read(file.path())?)?;
        assert!(events.iter().all(|event| event.wall_time > 1.6e9));
        assert_eq!(events.iter().map(|e| e.step).collect::<Vec<_>>(), [0, 7, 8, 9, 10]);
        assert_eq!(events[0].what, Some(What::FileVersion("brain.Event:2".to_owned())));

        let value = |event: &Event| match &event.what {
            Some(What::Summary(summary)) => summary.value[0].clone(),
            _ => TaggedValue::default(),
        };
        assert_eq!(value(&events[1]).tag, "loss");
        assert_eq!(value(&events[1]).value, Some(Payload::Scalar(0.1)));
        assert_eq!(
            value(&events[2]).value,
            Histogram::of(&[1.0, 2.0]).map(Payload::Histogram)
        );
        assert!(matches!(
            value(&events[3]).value,
            Some(Payload::Image(Image { width: 3, height: 2, encoded_image_string: bytes })) if bytes == [1, 2, 3]
        ));
        let text = value(&events[4]);
        assert!(matches!(
            text.value,
            Some(Payload::Tensor(tensor)) if tensor.string_val == ["*naïve*".as_bytes()]
        ));
        let plugin = text.metadata.and_then(|metadata| metadata.plugin_data);
        assert_eq!(plugin.map(|data| data.plugin_name).as_deref(), Some("text"));
        Ok(())
    }
}

//! Scores by a command of the user's own, over JSON lines.
//!
//! The command is started once. For each answer it is sent a line, such as
//!
//! ```json
//! {"prompt": "2 + 2 =", "completion": " 4", "answer": "4"}
//! ```
//!
//! with the record's other columns beside the prompt and the answer; and for each line it is to write one, in the same order:
//! `{"reward": 1.0}`. It may answer line by line or all lines of a batch at once, and what it writes to its standard error is told
//! where it fails.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use etude_train::{LastWords, process};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Answer, RewardFunction};
use crate::AlignError;
use crate::data::{Place, Record};

/// How long the command may take to end once nothing is asked of it any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process that scores answers. It ends when this is dropped.
#[derive(Debug)]
pub struct RewardCommand {
    /// The command, as it is told.
    name: String,
    process: Child,
    /// Lines for it, which a thread writes: it may be slow to read them. `None` once it has been told to end.
    requests: Option<Sender<Vec<u8>>>,
    /// Its lines; what it says must not wait until it is listened to.
    replies: Receiver<io::Result<String>>,
    last_words: LastWords,
    timeout: Duration,
}

/// What it is to answer.
#[derive(Deserialize)]
struct Reply {
    reward: Option<f64>,
}

impl RewardCommand {
    /// Starts a program with its arguments. It may take `timeout` for each answer.
    ///
    /// # Errors
    /// There is no program, or it cannot be started.
    pub fn start(command: &[String], timeout: Duration) -> Result<Self, AlignError> {
        let name = command.join(" ");
        let error = |source| AlignError::RewardCommand {
            command: name.clone(),
            source,
        };
        let Some((program, arguments)) = command.split_first() else {
            return Err(error(io::Error::other("there is no program")));
        };
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(error)?;
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(mut stderr)) = pipes else {
            return Err(error(io::Error::other("it has no pipes")));
        };
        let (requests, to_write) = channel::<Vec<u8>>();
        thread::spawn(move || {
            for lines in to_write {
                // A command that does not read any more is noticed by what it does not say.
                if stdin.write_all(&lines).and_then(|()| stdin.flush()).is_err() {
                    break;
                }
            }
        });
        let (to_tell, replies) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if to_tell.send(line).is_err() {
                    break;
                }
            }
        });
        let last_words = LastWords::default();
        let mut words = last_words.clone();
        thread::spawn(move || {
            // What it cannot tell any more is lost.
            let _ = io::copy(&mut stderr, &mut words);
        });
        Ok(Self {
            name,
            process,
            requests: Some(requests),
            replies,
            last_words,
            timeout,
        })
    }

    /// The score of the next answer.
    fn reply(&mut self, place: &Place) -> Result<f32, AlignError> {
        let line = match self.replies.recv_timeout(self.timeout) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                let seconds = self.timeout.as_secs_f64();
                // It would answer the next question with this one's answer.
                let _ = self.process.kill();
                return Err(self.failed(place, format!("it has not answered for {seconds} s")));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.end();
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(self.failed(place, format!("it has ended ({status})")));
            }
        };
        let line = line.map_err(|error| self.failed(place, error.to_string()))?;
        let reply: Result<Reply, _> = serde_json::from_str(&line);
        if let Ok(Reply { reward: Some(reward) }) = reply {
            return Ok(reward as f32);
        }
        let shown: String = line.chars().take(80).collect();
        Err(self.failed(
            place,
            format!("found {shown:?}, expected a line such as {{\"reward\": 1.0}}"),
        ))
    }

    fn failed(&self, place: &Place, detail: String) -> AlignError {
        let words = self.last_words.text();
        AlignError::Reward {
            place: place.clone(),
            function: self.name.clone(),
            detail: if words.is_empty() {
                detail
            } else {
                format!("{detail}; it said: {words}")
            },
        }
    }

    /// Tells it to end, and sees that nothing is left of it.
    fn end(&mut self) -> io::Result<ExitStatus> {
        self.requests = None;
        process::end(&mut self.process, PATIENCE)
    }
}

impl Drop for RewardCommand {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.end();
    }
}

impl RewardFunction for RewardCommand {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Result<Vec<f32>, AlignError> {
        if let (Some(answer), Ok(Ok(line))) = (answers.first(), self.replies.try_recv()) {
            let shown: String = line.chars().take(80).collect();
            let detail = format!("found {shown:?}, which is one line more than it was asked for");
            return Err(self.failed(&answer.record.place, detail));
        }
        let mut lines = Vec::new();
        for answer in answers {
            lines.extend(request(answer));
            lines.push(b'\n');
        }
        if let Some(requests) = &self.requests {
            // Where nobody takes them, there will be no reply.
            let _ = requests.send(lines);
        }
        answers.iter().map(|answer| self.reply(&answer.record.place)).collect()
    }
}

/// The line that asks for an answer's score.
fn request(answer: &Answer<'_>) -> Vec<u8> {
    let Record { other, .. } = answer.record;
    let mut fields: Map<String, Value> = other
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), serde_json::to_value(value).ok()?)))
        .collect();
    fields.insert("prompt".to_owned(), answer.prompt.into());
    fields.insert("completion".to_owned(), answer.text.into());
    Value::Object(fields).to_string().into_bytes()
}

//! The process in which environments run.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use etude_train::{LastWords, process};

use super::interpreter::Interpreter;
use super::protocol::{Answer, Settings};
use crate::error::RlError;

/// What it runs.
const PROGRAM: &str = include_str!("worker.py");

/// How long it may take to end by itself. It gives its environments half of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A Python process that steps environments. It ends when this is dropped, or this process is.
pub(super) struct Worker {
    id: String,
    process: Child,
    /// `None` once it has been told to end.
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    last_words: LastWords,
    listener: JoinHandle<()>,
}

impl Worker {
    /// Starts it, and says what it answers to `settings`.
    pub(super) fn start(interpreter: &Interpreter, settings: &Settings<'_>) -> Result<(Self, Answer), RlError> {
        let start_error = |source| RlError::NoPython {
            program: interpreter.program().to_owned(),
            source,
        };
        let mut process = interpreter
            .command(&["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start_error)?;
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(requests), Some(replies), Some(mut said)) = pipes else {
            return Err(start_error(io::Error::other("it has no pipes")));
        };
        let last_words = LastWords::default();
        let mut tail = last_words.clone();
        let listener = thread::spawn(move || {
            // What it cannot tell any more is lost.
            let _ = io::copy(&mut said, &mut tail);
        });
        let mut worker = Self {
            id: settings.id.to_owned(),
            process,
            requests: Some(requests),
            replies: BufReader::new(replies),
            last_words,
            listener,
        };
        let answer = worker.ask(settings).map_err(|_| worker.death())?;
        let answer = serde_json::from_str(&answer).map_err(|_| RlError::WorkerReply {
            id: worker.id.clone(),
            found: format!("{:?}", answer.chars().take(80).collect::<String>()),
            expected: "a greeting".into(),
        })?;
        Ok((worker, answer))
    }

    /// Sends a line and reads one.
    fn ask(&mut self, settings: &Settings<'_>) -> io::Result<String> {
        let mut line = serde_json::to_vec(settings)?;
        line.push(b'\n');
        // What does not listen may still have spoken, and its end is seen when it is listened to.
        let _ = self.send(&line);
        let mut answer = String::new();
        if self.replies.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer)
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let requests = self.requests.as_mut();
        requests
            .ok_or(io::Error::from(io::ErrorKind::BrokenPipe))?
            .write_all(request)
    }

    /// Sends a request and fills `reply`.
    pub(super) fn exchange(&mut self, request: &[u8], reply: &mut [u8]) -> Result<(), RlError> {
        let mut length = [0; 8];
        let answered = self.send(request).and_then(|()| self.replies.read_exact(&mut length));
        answered.map_err(|_| self.death())?;
        let length = u64::from_le_bytes(length);
        if length != reply.len() as u64 {
            return Err(self.unexpected(format!("{length} bytes"), reply.len().to_string()));
        }
        self.replies.read_exact(reply).map_err(|_| self.death())
    }

    /// It has answered something else.
    pub(super) fn unexpected(&self, found: String, expected: String) -> RlError {
        RlError::WorkerReply {
            id: self.id.clone(),
            found,
            expected,
        }
    }

    /// How it has ended, once it no longer answers.
    fn death(&mut self) -> RlError {
        let status = self.end();
        // Its last words may still be on their way, and a process that it has left behind may keep the pipe open.
        let deadline = Instant::now() + PATIENCE;
        while !self.listener.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        RlError::WorkerDied {
            id: self.id.clone(),
            status: status.map_or_else(|error| error.to_string(), |status| status.to_string()),
            last_words: self.last_words.text(),
        }
    }

    /// Tells it to end, and sees that nothing is left of it.
    fn end(&mut self) -> io::Result<ExitStatus> {
        self.requests = None;
        process::end(&mut self.process, PATIENCE)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.end();
    }
}

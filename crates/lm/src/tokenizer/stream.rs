//! Whole characters from a stream of tokens.

use super::Tokenizer;
use crate::LmError;

/// Hands out text as tokens arrive, in whole characters: what is at the end of a token and may still become a character
/// waits for the next one. What it hands out, put side by side, is [`Tokenizer::decode`] of all tokens.
#[derive(Debug, Clone)]
pub struct StreamDecoder<'t> {
    tokenizer: &'t Tokenizer,
    skip_special: bool,
    strip: bool,
    waiting: Vec<u8>,
}

impl<'t> StreamDecoder<'t> {
    /// For a text that begins here.
    pub fn new(tokenizer: &'t Tokenizer, skip_special: bool) -> Self {
        Self {
            tokenizer,
            skip_special,
            strip: tokenizer.pieces.strips(),
            waiting: Vec::new(),
        }
    }

    /// For tokens that follow others, such as an answer after its prompt: a space that begins them stays.
    pub fn continuing(tokenizer: &'t Tokenizer, skip_special: bool) -> Self {
        Self {
            strip: false,
            ..Self::new(tokenizer, skip_special)
        }
    }

    /// Takes a token, and returns the text that is now certain; it may be empty.
    ///
    /// # Errors
    ///
    /// Where there is no such token. The stream goes on as if it had not been given.
    pub fn push(&mut self, id: u32) -> Result<String, LmError> {
        let mut bytes = self.tokenizer.token_bytes(id)?;
        if self.skip_special && self.tokenizer.is_special(id) {
            return Ok(String::new());
        }
        if self.strip && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            self.strip = false;
        }
        self.waiting.extend_from_slice(bytes);
        let certain = self.waiting.len() - unfinished(&self.waiting);
        let text = String::from_utf8_lossy(&self.waiting[..certain]).into_owned();
        self.waiting.drain(..certain);
        Ok(text)
    }

    /// What waits at the end of the stream: a replacement character where a character was begun, and otherwise nothing.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.waiting).into_owned()
    }
}

/// How many bytes at the end are the beginning of a character that further bytes can finish.
fn unfinished(bytes: &[u8]) -> usize {
    // The last one of at most four bytes that begins a character.
    let last = bytes.len() - bytes.len().min(3);
    for start in (last..bytes.len()).rev() {
        let tail = &bytes[start..];
        if tail[0] & 0xC0 != 0x80 {
            return match std::str::from_utf8(tail) {
                Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => tail.len(),
                _ => 0,
            };
        }
    }
    0
}

//! Transcripts of Anthropic's HH (Bai et al., 2022): turns that begin with `\n\nHuman:` and `\n\nAssistant:`.

use super::record::Message;

const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";

/// Whether a text is such a transcript.
pub(super) fn is_transcript(text: &str) -> bool {
    text.starts_with(HUMAN) && text.contains(ASSISTANT)
}

/// The turns of a transcript, without the spaces around them; none where it does not begin with one.
pub(super) fn turns(transcript: &str) -> Option<Vec<Message>> {
    let mut turns = Vec::new();
    let mut rest = transcript;
    while !rest.is_empty() {
        let (role, said) = match rest.strip_prefix(HUMAN) {
            Some(said) => ("user", said),
            None => ("assistant", rest.strip_prefix(ASSISTANT)?),
        };
        let ends = [HUMAN, ASSISTANT].into_iter().filter_map(|next| said.find(next));
        let (said, next) = said.split_at(ends.min().unwrap_or(said.len()));
        turns.push(Message::new(role, said.trim()));
        rest = next;
    }
    (!turns.is_empty()).then_some(turns)
}

/// Where the last answer of a transcript begins: after the last `\n\nAssistant:`.
pub(super) fn last_answer(transcript: &str) -> Option<usize> {
    Some(transcript.rfind(ASSISTANT)? + ASSISTANT.len())
}

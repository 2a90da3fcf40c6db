//! Which tokens the model is to learn to say.

use std::ops::Range;

/// Whether each token lies in one of `spans`, at least in part: 1 for what the assistant said, in training on conversations.
///
/// `offsets` are the bytes of the rendered text that each token covers, as [`Encoded::offsets`](crate::tokenizer::Encoded) has
/// them; `spans` are those of [`Rendered::generated`](super::Rendered), in their order.
pub fn assistant_mask(offsets: &[Range<usize>], spans: &[Range<usize>]) -> Vec<bool> {
    let mut spans = spans.iter().peekable();
    let inside = |token: &Range<usize>| {
        while spans.next_if(|span| token.start >= span.end).is_some() {}
        spans.peek().is_some_and(|span| token.end > span.start)
    };
    offsets.iter().map(inside).collect()
}

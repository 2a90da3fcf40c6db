//! Scans templates as minijinja does: where tags begin and end, and of what they are made.

/// A part of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'s> {
    /// A word.
    Name(&'s str),
    /// A string or a number.
    Constant,
    /// An operator or a bracket.
    Sign(&'s str),
}

/// Where the next tag or comment begins.
pub(super) fn find_tag(text: &str) -> Option<usize> {
    text.as_bytes()
        .windows(2)
        .position(|pair| matches!(pair, b"{{" | b"{%" | b"{#"))
}

/// The length of a comment, if this is one.
pub(super) fn comment(tag: &str) -> Option<usize> {
    // The sign of whitespace behind `{#` is skipped first, so that `{#-#}` is one, and so is `{#}` with more behind it.
    let start = if tag.strip_prefix("{#")?.starts_with(['-', '+']) {
        3
    } else {
        2
    };
    Some(tag[start..].find("#}").map_or(tag.len(), |end| start + end + 2))
}

/// The length of a raw block, from its first tag to its last, if this begins one.
pub(super) fn raw_block(tag: &str) -> Option<usize> {
    let mut place = plain_tag(tag, "raw")?;
    while let Some(start) = tag[place..].find("{%") {
        place += start;
        match plain_tag(&tag[place..], "endraw") {
            Some(length) => return Some(place + length),
            None => place += 2,
        }
    }
    Some(tag.len())
}

/// The length of a tag that holds nothing but `name`, if this is one.
fn plain_tag(tag: &str, name: &str) -> Option<usize> {
    let inner = tag.strip_prefix("{%")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner).trim_ascii_start();
    let inner = inner.strip_prefix(name)?.trim_ascii_start();
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(tag.len() - inner.strip_prefix("%}")?.len())
}

/// The tokens of the tag that begins `source`, each with the place where it ends, and the length of the tag.
pub(super) fn tokens(source: &str) -> (Vec<(Token<'_>, usize)>, usize) {
    let close = if source.starts_with("{%") { "%}" } else { "}}" };
    let bytes = source.as_bytes();
    let mut place = if source[2..].starts_with(['-', '+']) { 3 } else { 2 };
    let mut found = Vec::new();
    // It may fall below zero, and then the tag does not end; minijinja counts in the same way.
    let mut depth = 0_isize;
    while place < source.len() {
        let rest = &source[place..];
        let first = bytes[place];
        if first.is_ascii_whitespace() {
            place += 1;
            continue;
        }
        if depth == 0 {
            let inner = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            if let Some(behind) = inner.strip_prefix(close) {
                return (found, source.len() - behind.len());
            }
        }
        let (token, length) = match first {
            b'\'' | b'"' => (Token::Constant, string(rest)),
            b'0'..=b'9' => (Token::Constant, number(rest, place > 0 && bytes[place - 1] == b'.')),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let length = rest
                    .bytes()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                    .count();
                (Token::Name(&rest[..length]), length)
            }
            _ => {
                let double = ["//", "**", "==", "!=", ">=", "<="]
                    .iter()
                    .any(|sign| rest.starts_with(sign));
                let one = rest.chars().next().map_or(1, char::len_utf8);
                let length = if double { 2 } else { one };
                (Token::Sign(&rest[..length]), length)
            }
        };
        match token {
            Token::Sign("(" | "[" | "{") => depth += 1,
            Token::Sign(")" | "]" | "}") => depth -= 1,
            _ => {}
        }
        place += length;
        found.push((token, place));
    }
    (found, source.len())
}

/// The length of a string with its quotes.
fn string(rest: &str) -> usize {
    let quote = rest.as_bytes()[0];
    let mut escaped = false;
    for (place, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return place + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a number. Behind a dot it is an index, and has no fraction.
fn number(rest: &str, index: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut length = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
        .count();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b'_')
            .count()
    };
    let plain = bytes[..length]
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'_');
    if plain
        && !index
        && bytes.get(length) == Some(&b'.')
        && !bytes
            .get(length + 1)
            .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
    {
        length += 1 + digits(length + 1);
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            length += 1;
        }
    }
    // The sign of an exponent belongs to the number.
    if !index
        && matches!(bytes.get(length), Some(b'+' | b'-'))
        && matches!(bytes[length - 1], b'e' | b'E')
        && !rest.starts_with("0x")
    {
        length += 1;
        length += digits(length);
    } else if matches!(bytes[length - 1], b'e' | b'E') {
        length += digits(length);
    }
    length
}

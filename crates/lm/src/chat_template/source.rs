//! Prepares the source of a template.
//!
//! Two things are put into terms that minijinja knows, without a change to lines:
//!
//! - `{% generation %}` ... `{% endgeneration %}` becomes a call block, whose function notes what was rendered;
//! - behind every operand comes a filter that weighs it (`limits.rs` says why): `a + b.c[0]` becomes
//!   `a|__weigh + b.c[0]|__weigh`. A filter binds more tightly than any operator, so nothing else changes.

use super::tokens::{Token, comment, find_tag, raw_block, tokens};
use crate::LmError;

/// The filter that weighs an operand.
pub(super) const WEIGH: &str = "__weigh";
/// The same for an operand of `*`.
pub(super) const FACTOR: &str = "__factor";
/// The same for what becomes an attribute of a namespace.
pub(super) const STORE: &str = "__store";
/// The function that notes what was generated.
pub(super) const GENERATION: &str = "__generation";

/// The longest source, in bytes. Templates in use have up to 30 kB.
const LONGEST: usize = 1 << 20;
/// The most operators in one tag, and the most branches of an `if` and those around it: minijinja nests them and goes through
/// them by recursion.
const OPERATORS: usize = 500;
const BRANCHES: usize = 100;

/// Filters and tests that look at no more than the first level of what they are given.
const SHALLOW_FILTERS: [&str; 7] = ["length", "count", "first", "last", "default", "d", "items"];
const SHALLOW_TESTS: [&str; 13] = [
    "defined",
    "undefined",
    "none",
    "string",
    "mapping",
    "sequence",
    "iterable",
    "number",
    "integer",
    "float",
    "boolean",
    "true",
    "false",
];
/// Words that are no operands. Those that are values are constants, which need no weighing.
const KEYWORDS: [&str; 15] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "true",
    "True",
    "false",
    "False",
    "none",
    "None",
    "recursive",
    "as",
];

/// A source that minijinja can compile.
pub(super) struct Prepared {
    pub(super) source: String,
    /// Whether there is a `{% generation %}` in it.
    pub(super) generation: bool,
}

pub(super) fn prepare(source: &str) -> Result<Prepared, LmError> {
    if source.len() > LONGEST {
        return Err(LmError::TemplateLimit(format!(
            "its source has {} bytes, expected at most {LONGEST}",
            source.len()
        )));
    }
    let mut prepared = Prepared {
        source: String::with_capacity(source.len() * 5 / 4),
        generation: false,
    };
    let mut branches = Vec::new();
    let mut rest = source;
    while let Some(start) = find_tag(rest) {
        prepared.source.push_str(&rest[..start]);
        rest = &rest[start..];
        let length = match comment(rest).or_else(|| raw_block(rest)) {
            Some(length) => {
                prepared.source.push_str(&rest[..length]);
                length
            }
            None => rewrite(rest, &mut prepared, &mut branches)?,
        };
        rest = &rest[length..];
    }
    prepared.source.push_str(rest);
    Ok(prepared)
}

/// Copies the tag that begins `source`, and returns its length.
fn rewrite(source: &str, prepared: &mut Prepared, branches: &mut Vec<usize>) -> Result<usize, LmError> {
    let (tokens, length) = tokens(source);
    let words: Vec<Token<'_>> = tokens.iter().map(|(token, _)| *token).collect();
    let end = |index: usize| tokens[index].1;
    let mut copied = 0;
    let keyword = match (source.as_bytes()[1], words.first()) {
        (b'%', Some(Token::Name(word))) => *word,
        _ => "",
    };
    match keyword {
        "generation" | "endgeneration" => {
            prepared.generation = true;
            prepared.source.push_str(&source[..end(0) - keyword.len()]);
            prepared
                .source
                .push_str(if keyword == "generation" { "call " } else { "endcall" });
            if keyword == "generation" {
                prepared.source.push_str(GENERATION);
                prepared.source.push_str("()");
            }
            copied = end(0);
        }
        "if" => branches.push(0_usize),
        "elif" => {
            if let Some(count) = branches.last_mut() {
                *count += 1;
            }
            if branches.iter().sum::<usize>() > BRANCHES {
                return Err(LmError::TemplateLimit(format!(
                    "an if has more than {BRANCHES} branches"
                )));
            }
        }
        "endif" => {
            branches.pop();
        }
        _ => {}
    }
    if words.iter().filter(|word| is_operator(**word)).count() > OPERATORS {
        return Err(LmError::TemplateLimit(format!(
            "a tag has more than {OPERATORS} operators"
        )));
    }
    for (index, filter) in operands(keyword, &words) {
        prepared.source.push_str(&source[copied..end(index)]);
        prepared.source.push('|');
        prepared.source.push_str(filter);
        copied = end(index);
    }
    prepared.source.push_str(&source[copied..length]);
    Ok(length)
}

fn is_operator(token: Token<'_>) -> bool {
    match token {
        Token::Name(name) => matches!(name, "and" | "or" | "not" | "if" | "is" | "in"),
        Token::Constant => false,
        Token::Sign(sign) => !matches!(sign, "," | ":" | "=" | ")" | "]" | "}"),
    }
}

/// The tokens behind which a filter comes, and the filter.
fn operands(keyword: &str, words: &[Token<'_>]) -> Vec<(usize, &'static str)> {
    let expressions = expressions(keyword, words);
    let at = |index: usize| words.get(index).copied();
    let before = |index: usize, back: usize| index.checked_sub(back).and_then(at);
    let sign = |token: Option<Token<'_>>, sign: &str| token == Some(Token::Sign(sign));
    let name = |token: Option<Token<'_>>, name: &str| token == Some(Token::Name(name));
    // The name of a test, behind `is` or `is not`.
    let is_test = |index: usize| {
        let negated = name(before(index, 1), "not") && name(before(index, 2), "is");
        negated || name(before(index, 1), "is") && !name(at(index), "not")
    };
    let shallow = |index: usize, names: &[&str]| matches!(at(index), Some(Token::Name(name)) if names.contains(&name));
    let stores = keyword == "set"
        && words
            .iter()
            .take_while(|word| **word != Token::Sign("="))
            .any(|word| *word == Token::Sign("."));

    let mut found = Vec::new();
    // For each open bracket, whether it holds the arguments of a test, and what is kept for the operand that it belongs to.
    let mut brackets: Vec<(bool, bool)> = Vec::new();
    // Whether the operand at hand follows `*`, and the depth of the argument of a test that has no brackets.
    let (mut multiplied, mut tested) = (false, None);
    for (index, word) in words.iter().enumerate() {
        let attribute = sign(before(index, 1), ".");
        let filter = sign(before(index, 1), "|");
        let begins = !(attribute || filter);
        let product = sign(before(index, 1), "*") && !(sign(before(index, 2), "(") || sign(before(index, 2), ","));
        let (ends, constant) = match *word {
            Token::Name(_) if begins && is_test(index) => {
                tested = match at(index + 1) {
                    Some(Token::Name(next)) if !KEYWORDS.contains(&next) => Some(brackets.len()),
                    Some(Token::Constant | Token::Sign("[" | "{" | "-")) => Some(brackets.len()),
                    _ => None,
                };
                (false, false)
            }
            Token::Name(word) if begins && (KEYWORDS.contains(&word) || sign(at(index + 1), "=")) => (false, false),
            Token::Name(_) => (true, false),
            Token::Constant => (true, begins),
            Token::Sign("(" | "[" | "{") => {
                let continues = matches!(
                    before(index, 1),
                    Some(Token::Name(_) | Token::Constant | Token::Sign(")" | "]" | "}"))
                ) && !matches!(before(index, 1), Some(Token::Name(name)) if KEYWORDS.contains(&name));
                let test = sign(Some(*word), "(") && index > 0 && is_test(index - 1);
                if !continues {
                    multiplied = product;
                }
                brackets.push((test, multiplied));
                multiplied = false;
                continue;
            }
            Token::Sign(")" | "]" | "}") => {
                let (test, kept) = brackets.pop().unwrap_or_default();
                multiplied = kept;
                (!test, false)
            }
            Token::Sign(_) => continue,
        };
        if begins && !matches!(word, Token::Sign(_)) {
            multiplied = product;
        }
        let next = at(index + 1);
        if !ends || matches!(next, Some(Token::Sign("." | "[" | "("))) {
            continue;
        }
        if tested == Some(brackets.len()) {
            tested = None;
            continue;
        }
        let test = if name(at(index + 2), "not") {
            index + 3
        } else {
            index + 2
        };
        let passes = sign(next, "|") && shallow(index + 2, &SHALLOW_FILTERS)
            || name(next, "is") && shallow(test, &SHALLOW_TESTS);
        if constant || passes || !expressions[index] {
            continue;
        }
        found.push((
            index,
            match (multiplied || sign(next, "*"), stores && brackets.is_empty()) {
                (true, _) => FACTOR,
                (false, true) => STORE,
                (false, false) => WEIGH,
            },
        ));
    }
    found
}

/// Which tokens belong to expressions, and not to names that are assigned to.
fn expressions(keyword: &str, words: &[Token<'_>]) -> Vec<bool> {
    // In lists of names with values, such as those of a macro: the depth of the list, and up to where it goes.
    let mut list = match keyword {
        "with" => Some(0),
        "macro" => Some(1),
        "call" if words.get(1) == Some(&Token::Sign("(")) => Some(1),
        _ => None,
    };
    // Of these only what is in brackets: calls, and filters of a block.
    let block = keyword == "set" && !words.contains(&Token::Sign("="));
    let inner_only = block || matches!(keyword, "call" | "do" | "filter");
    let ends = keyword.starts_with("end") || keyword == "else";
    let mut open = !(ends || matches!(keyword, "set" | "for" | "with" | "macro" | "call" | "do" | "filter"));
    let mut depth = 0_usize;
    let mut found = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        if index == 0 && !keyword.is_empty() {
            found.push(false);
            continue;
        }
        match *word {
            Token::Sign("(" | "[" | "{") => depth += 1,
            Token::Sign(")" | "]" | "}") => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(level) = list {
            match *word {
                Token::Sign("=") if depth == level => open = true,
                Token::Sign(",") if depth == level => open = false,
                Token::Sign(")") if depth < level => {
                    open = false;
                    // Behind the names that a call block takes comes the call.
                    list = (!inner_only).then_some(level);
                }
                _ => {}
            }
        } else if inner_only {
            open = depth > 0;
        } else {
            let assigns = matches!((keyword, *word), ("set", Token::Sign("=")) | ("for", Token::Name("in")));
            open |= assigns && depth == 0;
        }
        found.push(open);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `|w`, `|f` and `|s` for the filters.
    fn prepared(source: &str) -> String {
        let mut short = prepare(source).unwrap().source;
        for (filter, name) in [(WEIGH, "w"), (FACTOR, "f"), (STORE, "s")] {
            short = short.replace(filter, name);
        }
        short
    }

    #[test]
    fn every_operand_is_weighed_once_and_in_its_place() {
        for (source, expected) in [
            ("{{ a + b.c[0] }}", "{{ a|w + b.c[0]|w }}"),
            ("{{- f(x, y=[z]).g('s') -}}", "{{- f(x|w, y=[z|w]|w).g('s')|w -}}"),
            ("{{ x|trim|join(y) }}", "{{ x|w|trim|w|join(y|w)|w }}"),
            (
                "{{ x|length }}{{ x is string }}{{ x is eq y }}",
                "{{ x|length|w }}{{ x is string }}{{ x|w is eq y }}",
            ),
            (
                "{{ x is not none and y is in(z) }}",
                "{{ x is not none and y|w is in(z|w) }}",
            ),
            ("{{ [0] * n + 2 * m.k * 3 }}", "{{ [0]|f * n|f + 2 * m.k|f * 3 }}"),
            ("{{ f(*a, **b) }}", "{{ f(*a|w, **b|w)|w }}"),
            (
                "{{ 'a' ~ 1 if t else (x, none) }}",
                "{{ 'a' ~ 1 if t|w else (x|w, none)|w }}",
            ),
            ("{% set a.b = c.d + [e] %}", "{% set a.b = c.d|s + [e|w]|s %}"),
            (
                "{% set a, b = c %}{% set d | join(e) %}x{% endset %}",
                "{% set a, b = c|w %}{% set d | join(e|w) %}x{% endset %}",
            ),
            (
                "{% for k, v in m.items() if k recursive %}",
                "{% for k, v in m.items()|w if k|w recursive %}",
            ),
            (
                "{% macro f(a, b=c, d=[e, g]) %}{% endmacro f %}",
                "{% macro f(a, b=c|w, d=[e|w, g|w]|w) %}{% endmacro f %}",
            ),
            (
                "{% call(a) f(x) %}{% with a = b, c = d(e, g) %}",
                "{% call(a) f(x|w) %}{% with a = b|w, c = d(e|w, g|w)|w %}",
            ),
            (
                "{% raw %}{{ a }}{% endraw %}{# {{ a }} #}{{ '}}' ~ a }}",
                "{% raw %}{{ a }}{% endraw %}{# {{ a }} #}{{ '}}' ~ a|w }}",
            ),
            (
                "{{ {'a': {'b': c}}.a }}{{ -x ** 2 }}{{ 1.5e3 + x.0.y }}",
                "{{ {'a': {'b': c|w}|w}.a|w }}{{ -x|w ** 2 }}{{ 1.5e3 + x.0.y|w }}",
            ),
            (
                "{%- generation -%}\n{{ a }}{% endgeneration %}",
                "{%- call __generation() -%}\n{{ a|w }}{% endcall %}",
            ),
        ] {
            assert_eq!(prepared(source), expected);
        }
    }

    #[test]
    fn a_tag_that_does_not_end_is_left_as_it_is() {
        for source in [
            "{{ (a",
            "{{ 'a",
            "{% if",
            "{#",
            "{% raw %}{{ a",
            "{{ a }",
            "{{",
            "{%-",
            "{% set x = %}",
            "{{ ) }}",
            "é{{é}}",
        ] {
            assert!(prepare(source).is_ok(), "{source}");
        }
    }
}

//! The filter `tojson` as Hugging Face's templates know it: Python's `json.dumps`, with entries in their order.

use std::fmt::Write;

use minijinja::value::{DynObject, Kwargs, ObjectRepr, Rest, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::limits::limit;

/// The widest indentation.
const WIDEST: usize = 64;

struct Style {
    indent: Option<String>,
    item: String,
    key: String,
    ascii: bool,
    sorted: bool,
}

/// `value|tojson(ensure_ascii, indent, separators, sort_keys)`, each by its place or by its name.
#[expect(clippy::needless_pass_by_value, reason = "minijinja calls filters in this way")]
pub(super) fn tojson(
    state: &State<'_, '_>,
    value: &Value,
    arguments: Rest<Value>,
    named: Kwargs,
) -> Result<String, Error> {
    let mut places = arguments.iter().cloned();
    let mut argument = |name: &str| -> Result<Value, Error> {
        let named: Option<Value> = named.get(name)?;
        Ok(places.next().or(named).unwrap_or(Value::UNDEFINED))
    };
    let ascii = argument("ensure_ascii")?.is_true();
    let indent = indentation(&argument("indent")?)?;
    let separators = argument("separators")?;
    let sorted = argument("sort_keys")?.is_true();
    named.assert_all_used()?;
    let separator = |index: usize, default: &str| match separators.get_item_by_index(index) {
        Ok(text) if !text.is_undefined() => text.to_string(),
        _ => default.to_owned(),
    };
    let item = separator(0, if indent.is_some() { "," } else { ", " });
    let style = Style {
        indent,
        item,
        key: separator(1, ": "),
        ascii,
        sorted,
    };
    let mut out = String::new();
    write(state, value, &style, 0, &mut out)?;
    Ok(out)
}

fn indentation(value: &Value) -> Result<Option<String>, Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(None);
    }
    if let Some(text) = value.as_str() {
        return if text.len() <= WIDEST {
            Ok(Some(text.to_owned()))
        } else {
            Err(too_wide())
        };
    }
    match value.as_i64() {
        Some(width) if width <= WIDEST as i64 => Ok(Some(" ".repeat(width.max(0) as usize))),
        _ => Err(too_wide()),
    }
}

fn too_wide() -> Error {
    limit(format!(
        "tojson with an indentation other than a number or text up to {WIDEST}"
    ))
}

fn write(state: &State<'_, '_>, value: &Value, style: &Style, depth: usize, out: &mut String) -> Result<(), Error> {
    // What has been written is paid for when it is a value; lines are indented before that.
    state.consume_fuel(
        1 + style
            .indent
            .as_ref()
            .map_or(0, |indent| (indent.len() * depth) as u64 / 64),
    )?;
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&number(value)),
        ValueKind::String => quote(value.as_str().unwrap_or_default(), style.ascii, out),
        ValueKind::Map => write_map(state, value, style, depth, out)?,
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            let mut empty = true;
            for entry in value.try_iter()? {
                begin(style, depth, empty, out);
                empty = false;
                write(state, &entry, style, depth + 1, out)?;
            }
            end(style, depth, empty, out);
            out.push(']');
        }
        kind => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("tojson of {kind}, which is nothing that JSON has"),
            ));
        }
    }
    Ok(())
}

fn write_map(state: &State<'_, '_>, value: &Value, style: &Style, depth: usize, out: &mut String) -> Result<(), Error> {
    let object = value.as_object().filter(|object| object.repr() == ObjectRepr::Map);
    let mut pairs: Vec<(Value, Value)> = object
        .and_then(DynObject::try_iter_pairs)
        .into_iter()
        .flatten()
        .collect();
    if style.sorted {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
    }
    out.push('{');
    for (index, (key, entry)) in pairs.iter().enumerate() {
        begin(style, depth, index == 0, out);
        match key.kind() {
            ValueKind::String => quote(key.as_str().unwrap_or_default(), style.ascii, out),
            ValueKind::None => out.push_str("\"null\""),
            ValueKind::Bool => out.push_str(if key.is_true() { "\"true\"" } else { "\"false\"" }),
            ValueKind::Number => quote(&number(key), style.ascii, out),
            kind => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("tojson of a mapping with a {kind} as key"),
                ));
            }
        }
        out.push_str(&style.key);
        write(state, entry, style, depth + 1, out)?;
    }
    end(style, depth, pairs.is_empty(), out);
    out.push('}');
    Ok(())
}

fn begin(style: &Style, depth: usize, first: bool, out: &mut String) {
    if !first {
        out.push_str(&style.item);
    }
    line(style, depth + 1, out);
}

fn end(style: &Style, depth: usize, empty: bool, out: &mut String) {
    if !empty {
        line(style, depth, out);
    }
}

fn line(style: &Style, depth: usize, out: &mut String) {
    if let Some(indent) = &style.indent {
        out.push('\n');
        (0..depth).for_each(|_| out.push_str(indent));
    }
}

/// Numbers as Python writes them.
fn number(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(number) if !value.is_integer() => python_float(number),
        _ => value.to_string(),
    }
}

/// The shortest digits that give the number again, with an exponent where Python has one.
pub(super) fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity".to_owned()
        } else {
            "-Infinity".to_owned()
        };
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{number:?}")
}

fn quote(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            _ if character < ' ' || ascii && character > '~' => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

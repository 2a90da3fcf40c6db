//! The functions, filters and methods that Hugging Face's templates use beside Jinja's own.

use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::value::{ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::limits::{is_namespace, limit, pay};

/// What a template said when it raised.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub(super) String);

/// `raise_exception(message)`: the conversation is not one that the model knows.
pub(super) fn raise_exception(message: &Value) -> Result<Value, Error> {
    let message = message.to_string();
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

/// The filter behind every operand.
pub(super) fn weigh(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    pay(state, &value)?;
    Ok(value)
}

/// The filter behind the operands of `*`, which repeats text but no lists: a list that was repeated is not made until it is gone
/// through, and so costs nothing however long it is.
pub(super) fn factor(value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => Err(limit(format!(
            "a {} times a number, which is not supported; write the list out",
            value.kind()
        ))),
        _ => Ok(value),
    }
}

/// The filter behind what becomes an attribute of a namespace.
pub(super) fn store(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    if is_namespace(&value) {
        return Err(limit("a namespace is inside another value"));
    }
    weigh(state, value)
}

/// Python's methods.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    pay(state, value)?;
    if let (Some(text), "format") = (value.as_str(), name) {
        check_format(text)?;
    }
    if let Some(text) = value.as_str()
        && let Some(found) = text_method(text, name, arguments)?
    {
        return Ok(found);
    }
    unknown_method_callback(state, value, name, arguments)
}

/// Methods of strings that pycompat does not have.
fn text_method(text: &str, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let parts = |parts: [&str; 3]| Value::from_iter(parts.map(Value::from));
    Ok(Some(match name {
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            text.split_once(separator)
                .map_or_else(|| parts([text, "", ""]), |(a, b)| parts([a, separator, b]))
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            text.rsplit_once(separator)
                .map_or_else(|| parts(["", "", text]), |(a, b)| parts([a, separator, b]))
        }
        "rsplit" => {
            let (separator, most): (&str, Option<i64>) = from_args(arguments)?;
            if separator.is_empty() {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "rsplit with an empty separator",
                ));
            }
            let most = most
                .and_then(|most| usize::try_from(most).ok())
                .unwrap_or(usize::MAX - 1);
            let mut found: Vec<Value> = text.rsplitn(most + 1, separator).map(Value::from).collect();
            found.reverse();
            Value::from(found)
        }
        _ => return Ok(None),
    }))
}

/// Widths are made before anyone can see that they are too wide.
fn check_format(text: &str) -> Result<(), Error> {
    let mut digits = 0;
    for byte in text.bytes() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        if digits > 3 {
            return Err(limit("a format with a number of more than three digits"));
        }
    }
    Ok(())
}

/// `strftime_now(format)`, in universal time.
pub(super) fn strftime(format: &str, now: SystemTime) -> Result<String, Error> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = [
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "Monday",
        "Tuesday",
        "Wednesday",
    ];
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let in_year = days - days_before(year);
    let half = if hour < 12 { "AM" } else { "PM" };
    let twelve = (hour + 11) % 12 + 1;
    let (month_name, day_name) = (MONTHS[month as usize - 1], DAYS[days as usize % 7]);
    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut directive = characters.next();
        let bare = directive == Some('-');
        if bare {
            directive = characters.next();
        }
        let two = |number: u64| {
            if bare {
                number.to_string()
            } else {
                format!("{number:02}")
            }
        };
        let part = match directive {
            Some('Y') => year.to_string(),
            Some('y') => two(year % 100),
            Some('m') => two(month),
            Some('d') => two(day),
            Some('e') => format!("{day:2}"),
            Some('H') => two(hour),
            Some('I') => two(twelve),
            Some('M') => two(minute),
            Some('S') => two(second),
            Some('j') if bare => (in_year + 1).to_string(),
            Some('j') => format!("{:03}", in_year + 1),
            Some('B') => month_name.to_owned(),
            Some('b' | 'h') => month_name[..3].to_owned(),
            Some('A') => day_name.to_owned(),
            Some('a') => day_name[..3].to_owned(),
            Some('p') => half.to_owned(),
            Some('F') => format!("{year}-{month:02}-{day:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('Z') => "UTC".to_owned(),
            Some('z') => "+0000".to_owned(),
            Some('%') => "%".to_owned(),
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("strftime_now does not know %{other}"),
                ));
            }
        };
        out.push_str(&part);
    }
    Ok(out)
}

/// Days from 1970 to the beginning of a year.
fn days_before(year: u64) -> u64 {
    let past = year - 1;
    365 * (year - 1970) + (past / 4 - past / 100 + past / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
}

/// Year, month and day of a number of days after the first of January 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    let mut year = 1970 + days / 366;
    while days_before(year + 1) <= days {
        year += 1;
    }
    let leap = days_before(year + 1) - days_before(year) == 366;
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut day = days - days_before(year);
    for (month, length) in (1..).zip(lengths) {
        if day < length {
            return (year, month, day + 1);
        }
        day -= length;
    }
    (year, 12, 31)
}

//! What keeps a template within bounded time and memory.
//!
//! minijinja counts fuel for instructions, for bytes and for entries that are made. Two things it does not see: a list of the
//! same list twice costs as little as any list of two, and so does the sum of two lists, which is not made until it is gone
//! through. Forty doublings are a value of a million million entries that nobody has paid for, and printing it, comparing
//! it or taking it apart takes for ever. So every operand is weighed where it is used: its entries, those of its entries and so
//! on, each as often as it is there, with the bytes of strings. It may weigh a fixed part of the fuel, and what it weighs is
//! paid for in fuel. What is weighed when it is an operand is at most one operation away from what was weighed before, so
//! nothing can grow out of sight.

use minijinja::value::ObjectRepr;
use minijinja::{Error, ErrorKind, State, Value};

/// Fuel for a template by itself, and for each unit that its input weighs. Instructions, entries and 64 bytes cost one each.
const BASE: u64 = 2_000_000;
const PER_UNIT: u64 = 64;
/// The part of the fuel that one value may weigh.
const SHARE: u64 = 16;
/// How deeply lists and mappings may be nested: minijinja goes through them by recursion.
const DEPTH: usize = 100;

/// The reason why rendering was stopped.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Limit(pub(super) String);

/// An error with the reason inside.
pub(super) fn limit(message: impl Into<String>) -> Error {
    let message = message.into();
    Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Limit(message))
}

/// Fuel for a conversation that weighs so much.
pub(super) fn fuel(input: u64) -> u64 {
    BASE.saturating_add(PER_UNIT.saturating_mul(input))
}

type Entries = Box<dyn Iterator<Item = Value> + Send + Sync>;

/// Weighs an operand and pays for it.
pub(super) fn pay(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.as_object().is_none() {
        // The engine pays for strings by itself.
        return Ok(());
    }
    let (used, left) = state.fuel_levels().unwrap_or((0, u64::MAX));
    let units = weigh(value, used.saturating_add(left) / SHARE)?;
    state.consume_fuel(units)
}

/// The weight of a value: one unit for itself and each entry within it, and one for every 64 bytes of strings.
pub(super) fn weigh(value: &Value, most: u64) -> Result<u64, Error> {
    let mut units = 0;
    let mut open: Vec<Entries> = Vec::new();
    let mut next = Some(value.clone());
    loop {
        let Some(value) = next else {
            match open.last_mut() {
                Some(entries) => next = entries.next(),
                None => return Ok(units),
            }
            if next.is_none() {
                open.pop();
            }
            continue;
        };
        units += 1 + value.as_str().map_or(0, |text| text.len() as u64 / 64);
        if units > most {
            return Err(limit(format!(
                "a value has more than {most} entries, those of its entries counted too"
            )));
        }
        if !open.is_empty() && is_namespace(&value) {
            return Err(limit("a namespace is inside another value"));
        }
        if let Some(entries) = entries(&value) {
            if open.len() == DEPTH {
                return Err(limit(format!("a value is nested more than {DEPTH} levels deep")));
            }
            open.push(entries);
        }
        next = None;
    }
}

fn entries(value: &Value) -> Option<Entries> {
    let object = value.as_object()?;
    match object.repr() {
        ObjectRepr::Map => Some(Box::new(object.try_iter_pairs()?.flat_map(|(key, value)| [key, value]))),
        ObjectRepr::Seq | ObjectRepr::Iterable => object.try_iter(),
        _ => None,
    }
}

/// Whether it is what `namespace()` makes. One that holds itself would never be freed.
pub(super) fn is_namespace(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|object| object.type_name().ends_with("::Namespace"))
}

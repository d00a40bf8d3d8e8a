//! Literals: the type of a bare word is seen from its letters.

use super::{Fault, Literal, Problem};
use prost_types::Timestamp;

/// What a bare word means: `true`, `null`, a number, a time; else it is a text.
pub(super) fn word(text: &str, at: usize) -> Result<Literal, Fault> {
    Ok(match text {
        "true" => Literal::Bool(true),
        "false" => Literal::Bool(false),
        "null" => Literal::Null,
        _ if is_number(text) => number(text, at)?,
        _ => match time(text) {
            Some(micros) => Literal::Time(micros, text.to_owned()),
            None => Literal::Text(text.to_owned()),
        },
    })
}

/// As JSON writes it: no `inf`, no `0x`, no leading `+`.
fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() && text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn number(text: &str, at: usize) -> Result<Literal, Fault> {
    if let Ok(whole) = text.parse() {
        return Ok(Literal::Int(whole));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Literal::Float(number)),
        _ => Err(Fault::new(at, Problem::Number)),
    }
}

/// RFC 3339 with date, time and offset, in microseconds since 1970.
pub(super) fn time(text: &str) -> Option<i64> {
    let shaped = text.len() >= 20 && text.as_bytes()[10].eq_ignore_ascii_case(&b'T') && text.is_ascii();
    let parsed: Timestamp = shaped.then(|| text.parse().ok())??;
    contract::time::micros(&parsed)
}

//! The `grpc-timeout` header.

use std::time::Duration;

use contract::Refusal;
use http::HeaderMap;

use super::refusal;
use crate::header::GRPC_TIMEOUT;

/// Longer is as good as for ever, and keeps an instant plus a time-out from overflowing.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How long the client waits, at most a day; `None` when it does not say.
///
/// # Errors
/// INVALID_ARGUMENT when it is not 1 to 8 digits and a unit (stock tonic ignores such a header).
pub fn grpc_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else { return Ok(None) };
    parse(value.as_bytes()).map(Some).ok_or_else(refusal::bad_timeout)
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    let nanos = match unit {
        b'n' => 1,
        b'u' => 1_000,
        b'm' => 1_000_000,
        b'S' => 1_000_000_000,
        b'M' => 60_000_000_000,
        b'H' => 3_600_000_000_000,
        _ => return None,
    };
    Some(Duration::from_nanos(number.saturating_mul(nanos)).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_a_day_is_the_most() {
        for (text, expected) in [
            ("1n", Duration::from_nanos(1)),
            ("20u", Duration::from_micros(20)),
            ("300m", Duration::from_millis(300)),
            ("5S", Duration::from_secs(5)),
            ("2M", Duration::from_secs(120)),
            ("1H", Duration::from_secs(3_600)),
            ("0S", Duration::ZERO),
            ("99999999H", LONGEST),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "S", "5", "-5S", "+5S", "123456789S", "5s", "5 S", "1.5S", "5SS", "٥S"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}

//! Durations as people write them: `"20ms"`, `"30s"`, `"1h30m"`. For `#[serde(with = "chassis::config::duration")]`.

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

/// Longest unit first, and no unit is the beginning of one after it with the same meaning: `ms` before `m`.
const UNITS: [(&str, Duration); 6] = [
    ("us", Duration::from_micros(1)),
    ("ms", Duration::from_millis(1)),
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_secs(60)),
    ("h", Duration::from_secs(3_600)),
    ("d", Duration::from_secs(86_400)),
];

/// Whole numbers, each with its unit (`us`, `ms`, `s`, `m`, `h`, `d`), added up; `0` needs none.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut sum) = (text, None);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u32 = rest[..digits].parse().ok()?;
        let (name, unit) = UNITS.iter().find(|(name, _)| rest[digits..].starts_with(name))?;
        sum = Some(sum.unwrap_or(Duration::ZERO).checked_add(unit.checked_mul(number)?)?);
        rest = &rest[digits + name.len()..];
    }
    sum
}

/// For serde's `with`.
///
/// # Errors
/// When the value is not text that [`parse`] reads.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| D::Error::custom(format!("\"{text}\" is not a duration such as \"20ms\", \"30s\" or \"1h30m\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, millis) in
            [("0", 0), ("0s", 0), ("20ms", 20), ("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("1m1ms", 60_001)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("250us"), Some(Duration::from_micros(250)));
    }

    #[test]
    fn anything_else_is_not_a_duration() {
        for text in ["", "5", "s", "-1s", "1.5s", "1 s", "1y", "5min", "4294967296s", "99999999999999999999s", "1s "] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

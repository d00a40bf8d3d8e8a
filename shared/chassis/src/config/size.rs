//! Sizes in bytes as people write them: `"4MiB"`, `"64KiB"`, `"512"`. For `#[serde(with = "chassis::config::size")]`.

use serde::de::{Deserialize, Deserializer, Error};

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

/// A whole number with `B`, `KiB`, `MiB` or `GiB`; without a unit it is bytes.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let unit = UNITS.iter().find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, *unit)));
    let (number, unit) = unit.unwrap_or((text, 1));
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// For serde's `with`: any integer type that the size fits in.
///
/// # Errors
/// When the value is not text that [`parse`] reads, or does not fit.
pub fn deserialize<'de, D: Deserializer<'de>, N: TryFrom<u64>>(from: D) -> Result<N, D::Error> {
    let text = String::deserialize(from)?;
    let size = parse(&text).and_then(|size| N::try_from(size).ok());
    size.ok_or_else(|| D::Error::custom(format!("\"{text}\" is not a size such as \"4MiB\", \"64KiB\" or \"512\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [("0", 0), ("512", 512), ("512B", 512), ("64KiB", 65_536), ("4MiB", 4 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_not_a_size() {
        for text in ["", "MiB", "-1", "+1", "1.5MiB", "4 MiB", "4MB", "4mib", "17179869184GiB"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

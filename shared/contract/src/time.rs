//! Times: microseconds since 1970 inside, `Timestamp` on the wire.

use prost_types::Timestamp;

const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

/// As it stands on the wire.
pub fn timestamp(micros: i64) -> Timestamp {
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos: i32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0) * 1_000 }
}

/// As it is kept: what is finer than a microsecond is cut. `None` if it is no time between the years 1 and 9999.
pub fn micros(time: &Timestamp) -> Option<i64> {
    let valid = (FIRST..=LAST).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    valid.then(|| time.seconds * 1_000_000 + i64::from(time.nanos / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(at in FIRST * 1_000_000..=LAST * 1_000_000) {
            prop_assert_eq!(micros(&timestamp(at)), Some(at));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (seconds, nanos) in [(FIRST - 1, 0), (LAST + 1, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(micros(&Timestamp { seconds, nanos }), None);
        }
    }
}

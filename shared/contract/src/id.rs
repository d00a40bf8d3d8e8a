//! Ids are UUIDv7 with a type each, so that one cannot stand for another.

use std::{fmt, ops::Deref};
use uuid::{Builder, Uuid};

/// A UUIDv7 of that time; the rest is random.
pub fn at(micros: i64) -> Uuid {
    let random = Uuid::new_v4();
    let mut rest = [0; 10];
    rest.copy_from_slice(&random.as_bytes()[6..]);
    with(micros, rest)
}

/// A UUIDv7 of that time, and of these bytes but for six bits: the upper half of the first byte, two of the third.
#[must_use]
pub fn with(micros: i64, rest: [u8; 10]) -> Uuid {
    let millis = u64::try_from(micros / 1_000).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one, with that time (microseconds since 1970) in it.
            pub fn new(micros: i64) -> Self {
                Self(at(micros))
            }

            /// Of a UUID in any of its spellings.
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::try_parse(text).ok().map(Self)
            }

            /// Of 16 raw bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        }

        impl Deref for $name {
            type Target = Uuid;
            fn deref(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

ids! {
    /// A group: a tenant.
    GroupId,
    /// Whoever acts: a person, service account, application or key.
    ActorId,
    /// An API key.
    KeyId,
    /// A thing.
    ThingId,
    /// An event.
    EventId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_its_milliseconds_and_sorts_by_them() {
        let (early, late) = (ThingId::new(1_700_000_000_123_456), ThingId::new(1_700_000_000_124_000));
        assert_eq!(early.get_version_num(), 7);
        assert_eq!(early.as_u128() >> 80, 1_700_000_000_123);
        assert!(early < late && ThingId::new(0) != ThingId::new(0));
    }
}

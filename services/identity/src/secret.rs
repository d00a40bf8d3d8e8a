//! The form of an API key: `org_{short}_key_{handle}{secret}{crc}`, 78 characters.
//!
//! `short` is the group's, `handle` finds the key, `secret` proves it, and `crc` tells a typo from a guess without a look into the store.

use std::fmt;

/// Base62 in the order of ASCII.
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What a group's `short_id` is written in.
const BASE36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

const SHORT: usize = 12;
const HANDLE: usize = 8;
const SECRET: usize = 43;
const CRC: usize = 6;
const HEAD: &str = "org_";
const MIDDLE: &str = "_key_";
/// Where the handle begins.
const AT_HANDLE: usize = HEAD.len() + SHORT + MIDDLE.len();
/// Where the secret begins.
const AT_SECRET: usize = AT_HANDLE + HANDLE;
/// Where the checksum begins.
const AT_CRC: usize = AT_SECRET + SECRET;
/// The length of a key.
pub const LENGTH: usize = AT_CRC + CRC;

/// A key in the right form. Printing it shows its prefix only.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one: 256 random bits behind a random handle.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn make(short: &str) -> Result<Self, getrandom::Error> {
        let (handle, secret) = (random(BASE62, HANDLE)?, random(BASE62, SECRET)?);
        let mut text = format!("{HEAD}{short}{MIDDLE}{handle}{secret}");
        let crc = checksum(text.as_bytes());
        text.extend(crc.map(char::from));
        Ok(Self(text))
    }

    /// What was presented, if it has the form and its checksum is right.
    #[must_use]
    pub fn parse(presented: &str) -> Option<Self> {
        let bytes = presented.as_bytes();
        let is_formed = bytes.len() == LENGTH
            && presented.starts_with(HEAD)
            && &bytes[HEAD.len() + SHORT..AT_HANDLE] == MIDDLE.as_bytes()
            && bytes[HEAD.len()..][..SHORT].iter().all(|byte| BASE36.contains(byte))
            && bytes[AT_HANDLE..].iter().all(u8::is_ascii_alphanumeric)
            && checksum(&bytes[..AT_CRC]) == bytes[AT_CRC..];
        is_formed.then(|| Self(presented.to_owned()))
    }

    /// What finds it in the store.
    #[must_use]
    pub fn handle(&self) -> &str {
        &self.0[AT_HANDLE..AT_SECRET]
    }

    /// What may be shown: all up to and with the handle.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0[..AT_SECRET]
    }

    /// What is proven: all but the checksum, so that no character can be another's.
    #[must_use]
    pub fn proof(&self) -> &[u8] {
        &self.0.as_bytes()[..AT_CRC]
    }

    /// The whole key, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}…)", self.prefix())
    }
}

/// A new `short_id`: 12 characters, 62 bits.
///
/// # Errors
/// The operating system gave no randomness.
pub fn short_id() -> Result<String, getrandom::Error> {
    random(BASE36, SHORT)
}

/// So many characters of an alphabet, each as likely as any other: bytes beyond its last whole multiple are drawn again.
fn random(alphabet: &[u8], length: usize) -> Result<String, getrandom::Error> {
    let fair = 256 / alphabet.len() * alphabet.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)?;
        let drawn = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        text.extend(drawn.take(length - text.len()).map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    Ok(text)
}

/// CRC32 in base62, the highest digit first.
fn checksum(of: &[u8]) -> [u8; CRC] {
    let mut rest = crc32fast::hash(of) as usize;
    let mut digits = [0; CRC];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % BASE62.len()];
        rest /= BASE62.len();
    }
    digits
}

/// A body with the checksum that makes it a key, for who wants to guess.
#[cfg(test)]
pub(crate) fn guess(body: &str) -> String {
    body.chars().chain(checksum(body.as_bytes()).map(char::from)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const SHORT_ID: &str = "0123456789ab";

    #[test]
    fn a_key_has_the_form_of_the_design() {
        let secret = Secret::make(SHORT_ID).unwrap();
        let text = secret.reveal();
        assert_eq!((text.len(), LENGTH), (78, 78));
        assert_eq!(secret.prefix(), format!("org_{SHORT_ID}_key_{}", secret.handle()));
        assert_eq!(secret.proof().len(), 72);
        assert_eq!(Secret::parse(text), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), format!("Secret({}…)", secret.prefix()));
    }

    #[test]
    fn the_checksum_is_that_of_a_key_written_down() {
        // Keys live longer than programs: this one was made on 22 Nov 2026.
        let body = "org_0123456789ab_key_AbCdEfGh0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg";
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(Secret::parse(&format!("{body}{}", String::from_utf8_lossy(&checksum(body.as_bytes())))).unwrap().handle(), "AbCdEfGh");
        assert_eq!(checksum(b"123456789"), *b"3jZRME"); // 3421780262 in base62
    }

    #[test]
    fn adv_cve_2026_27840_every_changed_character_is_refused() {
        let text = Secret::make(SHORT_ID).unwrap().reveal().to_owned();
        for place in 0..LENGTH {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                assert_eq!(Secret::parse(&String::from_utf8(bytes).unwrap()), None, "bit {bit} of {place}");
            }
            assert_eq!(Secret::parse(&text[..place]), None);
        }
        for longer in [format!("{text}0"), format!(" {text}"), format!("{text}\n")] {
            assert_eq!(Secret::parse(&longer), None);
        }
    }

    #[test]
    fn two_keys_share_nothing() {
        let (one, other) = (Secret::make(SHORT_ID).unwrap(), Secret::make(SHORT_ID).unwrap());
        assert_ne!(one.handle(), other.handle());
        assert_ne!(one.proof()[AT_SECRET..], other.proof()[AT_SECRET..]);
        assert_ne!(short_id().unwrap(), short_id().unwrap());
    }

    proptest! {
        #[test]
        fn anything_at_all_may_be_presented(text in any::<String>()) {
            prop_assert_eq!(Secret::parse(&text), None);
        }

        #[test]
        fn any_body_of_the_form_is_a_key_with_its_own_checksum_only(
            body in "org_[0-9a-z]{12}_key_[0-9A-Za-z]{51}", crc in "[0-9A-Za-z]{6}"
        ) {
            let right = String::from_utf8(checksum(body.as_bytes()).to_vec()).unwrap();
            let (whole, other) = (format!("{body}{right}"), format!("{body}{crc}"));
            prop_assert!(Secret::parse(&whole).is_some());
            prop_assert_eq!(Secret::parse(&other).is_some(), crc == right);
        }
    }
}

//! What a client presents to say who it is.

use chassis::changes::unproven;
use contract::{Reason, Refusal};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::fmt;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// `org_` + 12, `_key_` + 8 + 43 + 6.
const LENGTH: usize = 78;
/// All but the checksum.
const CHECKED: usize = LENGTH - 6;

/// A key of the right form and checksum; Debug does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented(String);

impl Presented {
    /// The whole key.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented")
    }
}

/// The credential of a request: `authorization: Bearer …` or `x-api-key`, `None` if neither is sent.
///
/// # Errors
/// Two that differ, for it cannot be known which one is meant; another scheme than Bearer; and what is no key by its form, without
/// asking anybody.
pub fn presented(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let bearers = headers.get_all(header::AUTHORIZATION).iter().map(bearer);
    let mut all = bearers.chain(headers.get_all(API_KEY).iter().map(text));
    let Some(first) = all.next().transpose()? else { return Ok(None) };
    for other in all {
        if other? != first {
            return Err(conflict());
        }
    }
    if is_key(first) { Ok(Some(first)) } else { Err(unproven()) }
}

/// Owned, for whoever has to ask about it after the headers are gone.
pub(crate) fn owned(presented: &str) -> Presented {
    Presented(presented.to_owned())
}

/// No service behind the gateway sees a secret.
pub fn strip(headers: &mut HeaderMap) {
    for name in [header::AUTHORIZATION, API_KEY, header::COOKIE] {
        headers.remove(name);
    }
}

fn text(value: &HeaderValue) -> Result<&str, Refusal> {
    value.to_str().map_err(|_| unproven())
}

fn bearer(value: &HeaderValue) -> Result<&str, Refusal> {
    let (scheme, token) = text(value)?.split_once(' ').ok_or_else(other_scheme)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_start()) } else { Err(other_scheme()) }
}

fn other_scheme() -> Refusal {
    let sentence = "authorization must be `Bearer` and an API key; send `authorization: Bearer org_…` or `x-api-key: org_…`";
    Refusal::new(Reason::InvalidApiKey, sentence)
}

fn conflict() -> Refusal {
    let sentence = "two different credentials were sent; send one, in authorization or in x-api-key";
    Refusal::new(Reason::CredentialsConflict, sentence).field("x-api-key", "differs from authorization, or is there twice")
}

/// The form `org_{short}_key_{handle}{secret}{crc}` and its checksum: what is mistyped costs nobody a look-up.
#[must_use]
pub fn is_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    let [o, r, g, line, rest @ ..] = bytes else { return false };
    bytes.len() == LENGTH
        && [*o, *r, *g, *line] == *b"org_"
        && rest[..12].iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && &rest[12..17] == b"_key_"
        && rest[17..].iter().all(u8::is_ascii_alphanumeric)
        && checksum(&bytes[..CHECKED]) == bytes[CHECKED..]
}

/// CRC32 in six base62 digits.
fn checksum(of: &[u8]) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut crc = crc32fast::hash(of);
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(crc % 62) as usize];
        crc /= 62;
    }
    digits
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A key of the right form whose handle ends in that letter.
    pub(crate) fn key(letter: char) -> String {
        let body = format!("org_abcdef012345_key_handle7{letter}{}", "s".repeat(43));
        let crc = checksum(body.as_bytes());
        format!("{body}{}", std::str::from_utf8(&crc).unwrap())
    }

    fn read(lines: &[(&'static str, &str)]) -> Result<Option<String>, Reason> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        presented(&headers).map(|found| found.map(str::to_owned)).map_err(|refusal| refusal.reason())
    }

    #[test]
    fn both_headers_carry_a_key_and_the_scheme_is_read_in_any_case() {
        let key = key('a');
        for (name, value) in [
            ("authorization", format!("Bearer {key}")),
            ("authorization", format!("bearer {key}")),
            ("authorization", format!("BEARER  {key}")),
            ("x-api-key", key.clone()),
        ] {
            assert_eq!(read(&[(name, &value)]), Ok(Some(key.clone())), "{name}: {value}");
        }
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn the_same_credential_twice_is_one_and_two_different_ones_are_a_conflict() {
        let (one, other) = (key('a'), key('b'));
        let bearer = format!("Bearer {one}");
        assert_eq!(read(&[("authorization", &bearer), ("x-api-key", &one)]), Ok(Some(one.clone())));
        for lines in [
            [("authorization", bearer.as_str()), ("x-api-key", other.as_str())],
            [("x-api-key", one.as_str()), ("x-api-key", other.as_str())],
            [("authorization", bearer.as_str()), ("x-api-key", "")],
            [("x-api-key", "nonsense"), ("x-api-key", one.as_str())],
        ] {
            assert_eq!(read(&lines), Err(Reason::CredentialsConflict), "{lines:?}");
        }
    }

    #[test]
    fn every_other_scheme_and_every_other_form_is_no_key() {
        let key = key('a');
        let wrong_crc = format!("{}0", &key[..77]);
        for value in [format!("Basic {key}"), key.clone(), "Bearer".to_owned(), "Bearer ".to_owned(), format!("Bearer {key} {key}")] {
            assert_eq!(read(&[("authorization", &value)]), Err(Reason::InvalidApiKey), "{value}");
        }
        assert_ne!(wrong_crc, key);
        for value in ["", "x", &key[..77], &format!("{key}0"), &wrong_crc, &key.to_uppercase(), &format!(" {key}x"), "ключ"] {
            assert_eq!(read(&[("x-api-key", value)]), Err(Reason::InvalidApiKey), "{value}");
        }
    }

    #[test]
    fn adv_cve_2026_27840_one_changed_letter_anywhere_is_no_key() {
        let key = key('a');
        assert!(is_key(&key));
        for at in 0..LENGTH {
            let mut bytes = key.clone().into_bytes();
            bytes[at] = if bytes[at] == b'q' { b'r' } else { b'q' };
            assert!(!is_key(std::str::from_utf8(&bytes).unwrap()), "{at}");
        }
    }

    #[test]
    fn debug_and_forwarded_headers_show_no_secret() {
        assert_eq!(format!("{:?}", owned(&key('a'))), "Presented");
        let mut headers = HeaderMap::from_iter([
            (header::AUTHORIZATION, HeaderValue::from_static("Bearer x")),
            (API_KEY, HeaderValue::from_static("x")),
            (header::COOKIE, HeaderValue::from_static("x")),
            (header::TE, HeaderValue::from_static("trailers")),
        ]);
        strip(&mut headers);
        assert_eq!(headers.len(), 1);
    }
}

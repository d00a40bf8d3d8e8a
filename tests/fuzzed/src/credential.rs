//! What is presented as a credential.

use crate::text;
use gateway::credential::{is_key, presented};
use http::{HeaderMap, HeaderValue, header};
use identity::secret::Secret;

/// Lines of the bytes are headers: the first byte of a line says which.
pub fn credential(data: &[u8]) {
    let text = text(data);
    // Gateway and identity read the same form, or a key that one lets pass the other would never find.
    assert_eq!(is_key(text), Secret::parse(text).is_some());
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(8) {
        let Some((which, value)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        let name = if which % 2 == 0 { header::AUTHORIZATION } else { http::HeaderName::from_static("x-api-key") };
        headers.append(name, value);
    }
    if let Ok(Some(key)) = presented(&headers) {
        let secret = Secret::parse(key).expect("what passes is a key");
        assert_eq!(secret.reveal(), key);
        assert!(key.starts_with(secret.prefix()) && secret.prefix().ends_with(secret.handle()));
        assert!(!format!("{secret:?}").contains(&key[secret.prefix().len()..]), "Debug shows no secret");
    }
}

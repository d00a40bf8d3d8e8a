//! The signed principal between the parts of a mesh.

use chassis::{
    clock::Clock,
    principal::{Principal, Signer},
};
use contract::internal::v1;
use http::HeaderValue;
use prost::Message;
use std::time::Duration;

const PATH: &str = "/one.ontology.v1.ThingService/GetThing";

/// A header that claims to be signed, and the same bytes as what would have been signed.
pub fn principal(data: &[u8]) {
    let signer = Signer::new(&[7; 32], Clock::still(Duration::from_secs(1_700_000_000)));
    if let Ok(value) = HeaderValue::from_bytes(data) {
        assert!(signer.open(&value, "ontology", PATH).is_none(), "nobody guesses a signature of 256 bits");
    }
    let Ok(message) = v1::Principal::decode(data) else { return };
    let Ok(read) = Principal::try_from(message) else { return };
    let value = signer.sign(&read, "ontology", PATH);
    assert_eq!(signer.open(&value, "ontology", PATH).as_ref(), Some(&read), "what is signed arrives");
    assert!(signer.open(&value, "identity", PATH).is_none() && signer.open(&value, "ontology", "/x").is_none());
    let mut changed = value.as_bytes().to_vec();
    let place = data.len() % changed.len();
    changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
    if let Ok(changed) = HeaderValue::from_bytes(&changed) {
        assert!(signer.open(&changed, "ontology", PATH).is_none(), "not one letter of it can change");
    }
}

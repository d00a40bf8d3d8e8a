//! Metadata of a call: its time-out, and binary values.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chassis::serve::{grpc_timeout, metadata::check};
use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use tonic::Code;

/// Padded, half padded or not, as gRPC's own libraries take it.
const WHOLE: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
const MOST: u32 = 8_192;
const DAY: Duration = Duration::from_secs(86_400);

/// One value, under each name that we read.
pub fn metadata(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let headers = |name| HeaderMap::from_iter([(http::HeaderName::from_static(name), value.clone())]);
    match grpc_timeout(&headers("grpc-timeout")) {
        Ok(asked) => assert!(asked.is_some_and(|asked| asked <= DAY) && (2..=9).contains(&data.len())),
        Err(refusal) => assert_eq!(refusal.code(), Code::InvalidArgument),
    }
    let passes = check(&headers("fuzzed-bin"), MOST);
    if data.len() + "fuzzed-bin".len() + 32 > MOST as usize {
        assert!(passes.is_err(), "it is too long");
    } else if !data.contains(&b',') {
        assert_eq!(passes.is_ok(), WHOLE.decode(data.trim_ascii()).is_ok(), "in pieces or whole, it is base64 or not");
    }
}

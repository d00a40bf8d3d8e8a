//! Request metadata: its size, and base64 where the name ends with `-bin`.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use contract::Refusal;
use http::{HeaderMap, HeaderValue};

use super::refusal;

/// Padded or not, as gRPC allows.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Refuses what stock tonic lets through or answers without a grpc-status.
///
/// # Errors
/// RESOURCE_EXHAUSTED above `most` bytes (as HTTP/2 counts: 32 more for each field), INVALID_ARGUMENT for a `-bin` value
/// that is not base64.
pub fn check(headers: &HeaderMap, most: u32) -> Result<(), Refusal> {
    let mut size = 0;
    for (name, value) in headers {
        size += name.as_str().len() + value.len() + 32;
        if name.as_str().ends_with("-bin") && !is_base64(value) {
            return Err(refusal::metadata_not_base64(name.as_str()));
        }
    }
    let fits = u32::try_from(size).is_ok_and(|size| size <= most);
    if fits { Ok(()) } else { Err(refusal::metadata_too_long(size, most)) }
}

/// One value, or several joined by commas.
fn is_base64(value: &HeaderValue) -> bool {
    let mut parts = value.as_bytes().split(|byte| *byte == b',');
    parts.all(|part| BASE64.decode(part.trim_ascii()).is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tonic::Code;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn binary_metadata_is_base64_padded_or_not_or_a_list() {
        for value in ["", "YQ==", "YQ", "YWJj,ZGVm", "YQ==, Yg"] {
            assert!(check(&headers("one-test-bin", value), 1_000).is_ok(), "{value}");
        }
        for value in ["?", "Y", "YQ===", "YQ==,!", "-_-_"] {
            let refused = check(&headers("one-test-bin", value), 1_000).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{value}");
        }
        assert!(check(&headers("one-test", "?"), 1_000).is_ok(), "text is not base64");
    }

    #[test]
    fn the_size_counts_names_values_and_32_for_each() {
        let headers = headers("name", "value");
        assert!(check(&headers, 41).is_ok());
        assert_eq!(check(&headers, 40).unwrap_err().code(), Code::ResourceExhausted);
    }
}

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

/// Characters that are decoded at once: a multiple of four.
const CHUNK: usize = 512;

/// One value, or several joined by commas.
fn is_base64(value: &HeaderValue) -> bool {
    value.as_bytes().split(|byte| *byte == b',').all(|part| decodes(part.trim_ascii()))
}

/// Into nothing that is kept: every internal call brings a principal, for which nothing need be allocated here.
fn decodes(text: &[u8]) -> bool {
    let mut plain = [0; CHUNK / 4 * 3];
    let mut chunks = text.chunks(CHUNK);
    let last = chunks.next_back().unwrap_or_default();
    // Padding stands at the end only.
    chunks.all(|chunk| !chunk.contains(&b'=') && BASE64.decode_slice(chunk, &mut plain).is_ok()) && BASE64.decode_slice(last, &mut plain).is_ok()
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
    fn long_metadata_is_base64_to_its_end_with_padding_there_only() {
        let long = "A".repeat(2 * CHUNK);
        for value in [long.clone(), format!("{long}YQ=="), format!("{long}YQ"), format!("{long},{long}YQ==")] {
            assert!(check(&headers("one-test-bin", &value), 10_000).is_ok(), "{value}");
        }
        let padded = format!("{}A=", "A".repeat(CHUNK - 2));
        for value in [format!("{padded}{long}"), format!("{long}?"), format!("{long}="), format!("?{long}")] {
            assert!(check(&headers("one-test-bin", &value), 10_000).is_err(), "{value}");
        }
    }

    #[test]
    fn the_size_counts_names_values_and_32_for_each() {
        let headers = headers("name", "value");
        assert!(check(&headers, 41).is_ok());
        assert_eq!(check(&headers, 40).unwrap_err().code(), Code::ResourceExhausted);
    }
}

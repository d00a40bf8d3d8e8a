//! Errors that tonic makes by itself say no reason and sometimes the wrong code. Ours leave with one, always.
//!
//! tonic passes on no typed cause, so its sentences are recognised; tests pin them.

use crate::serve::undecodable;
use contract::{DOMAIN, Reason, Refusal};
use http::{HeaderMap, Response};
use std::collections::HashMap;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt};

/// Mends an answer that is an error as a whole.
pub(super) fn head<B>(answer: &mut Response<B>) {
    if let Some(status) = mended(answer.headers()) {
        write(&status, answer.headers_mut());
        answer.extensions_mut().insert(status);
    }
}

/// Mends the end of a stream.
pub(super) fn trailers(trailers: &mut HeaderMap) {
    if let Some(status) = mended(trailers) {
        write(&status, trailers);
    }
}

fn write(status: &Status, headers: &mut HeaderMap) {
    headers.remove(Status::GRPC_MESSAGE);
    // Fails only for a message that is no header value; it is percent-encoded.
    let _ = status.add_header(headers);
}

/// What is said instead; `None` for what is no error, or gives its reason, or says what only a handler knows (health's NOT_FOUND).
fn mended(headers: &HeaderMap) -> Option<Status> {
    let code = headers.get(Status::GRPC_STATUS)?;
    if code == "0" || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return None;
    }
    Status::from_header_map(headers).and_then(|status| meant(&status))
}

/// The sentence of tonic for a message above its limit.
const TOO_LARGE: &str = "Error, decoded message length too large";
/// Sentences of tonic about a client's broken frames, worth reading there. gRPC wants INTERNAL for them.
const FRAMES: [&str; 3] = ["protocol error: ", "Missing request message", "Unexpected EOF decoding stream"];

fn meant(status: &Status) -> Option<Status> {
    let says = |sentence: &str| status.message().starts_with(sentence);
    Some(match status.code() {
        Code::Internal if undecodable(status) => invalid_message().status(),
        Code::Internal if FRAMES.into_iter().any(says) => with_reason(status, Reason::InvalidMessage),
        Code::OutOfRange if says(TOO_LARGE) => too_large().status(),
        Code::Cancelled => with_reason(status, Reason::Cancelled),
        Code::DeadlineExceeded => with_reason(status, Reason::DeadlineExceeded),
        Code::Unimplemented => with_reason(status, Reason::MethodNotFound),
        Code::Unavailable => with_reason(status, Reason::UpstreamUnavailable),
        // Their sentences may show what is inside.
        Code::Internal | Code::Unknown | Code::DataLoss => Refusal::internal(format_args!("{status:?}")).status(),
        _ => return None,
    })
}

fn invalid_message() -> Refusal {
    Refusal::new(Reason::InvalidMessage, "the request is not a valid message of its type")
}

fn too_large() -> Refusal {
    Refusal::new(Reason::MessageTooLarge, "the message is larger than the 4 MiB that are taken; send less at once")
}

/// The same code, sentence and metadata.
fn with_reason(status: &Status, reason: Reason) -> Status {
    let details = ErrorDetails::with_error_info(reason.word(), DOMAIN, HashMap::<String, String>::new());
    let metadata: MetadataMap = status.metadata().clone();
    Status::with_error_details_and_metadata(status.code(), status.message(), details, metadata)
}

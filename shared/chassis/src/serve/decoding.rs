//! A message that can't be decoded is the client's mistake: INVALID_ARGUMENT with a general sentence.
//!
//! tonic answers INTERNAL with prost's sentence, which names our fields, and passes on no typed cause. So the sentence is
//! recognised on the way out, which covers health and reflection too. A test pins it.

use http::{HeaderMap, Response};
use tonic::{Code, Status};

const SENTENCE: &str = "failed to decode Protobuf message";

/// Whether this status says that a message could not be decoded.
#[must_use]
pub fn undecodable(status: &Status) -> bool {
    status.code() == Code::Internal && status.message().starts_with(SENTENCE)
}

/// The same of an answer without a body: tonic leaves the status, typed, in its extensions.
pub(super) fn answered_undecodable<B>(answer: &Response<B>) -> bool {
    answer.extensions().get().is_some_and(undecodable)
}

/// The same of a stream's end.
pub(super) fn ended_undecodable(trailers: &HeaderMap) -> bool {
    let internal = trailers.get(Status::GRPC_STATUS).is_some_and(|code| code == "13");
    internal && Status::from_header_map(trailers).as_ref().is_some_and(undecodable)
}

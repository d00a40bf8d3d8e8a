//! What the listener itself refuses, and the sentences it says.

use std::time::Duration;

use contract::{Reason, Refusal};

/// After so long another replica, or this one, will take the call.
const SOON: Duration = Duration::from_secs(1);

pub(super) fn too_slow() -> Refusal {
    Refusal::new(Reason::RequestTooSlow, "the request arrives too slowly; send it again over a better connection")
}

pub(super) fn too_late() -> Refusal {
    Refusal::new(Reason::DeadlineExceeded, "the call took longer than its deadline allows; try again and allow more time")
}

pub(super) fn too_long(length: u32, most: u32) -> Refusal {
    let sentence = format!("the message has {length} bytes, but at most {most} are taken; send less at once");
    Refusal::new(Reason::MessageTooLarge, sentence).with("limit", most.to_string())
}

pub(super) fn too_much() -> Refusal {
    Refusal::new(Reason::Overloaded, "too many half-sent messages are held; try again").retry(SOON)
}

pub(super) fn metadata_too_long(length: usize, most: u32) -> Refusal {
    let sentence = format!("the headers have {length} bytes, but at most {most} are taken; send fewer");
    Refusal::new(Reason::MetadataTooLarge, sentence).with("limit", most.to_string())
}

pub(super) fn metadata_not_base64(name: &str) -> Refusal {
    Refusal::new(Reason::InvalidMetadata, format!("the header {name} is not base64")).with("header", name)
}

pub(super) fn bad_timeout() -> Refusal {
    let sentence = "the header grpc-timeout is not 1 to 8 digits and one of H, M, S, m, u, n";
    Refusal::new(Reason::InvalidMetadata, sentence).with("header", "grpc-timeout")
}

pub(super) fn undecodable() -> Refusal {
    Refusal::new(Reason::InvalidMessage, "the request is not a valid message of its type")
}

pub(super) fn overloaded() -> Refusal {
    Refusal::new(Reason::Overloaded, "too many calls are open at once; try again").retry(SOON)
}

pub(super) fn closing() -> Refusal {
    Refusal::new(Reason::ShuttingDown, "this connection is closing; connect again").retry(SOON)
}

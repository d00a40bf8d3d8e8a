//! An event as the log keeps it, and as it is said to others.

use bytes::Bytes;
use contract::{events::v1 as public, identity::v1 as identity, internal::v1 as internal};
use prost::Message;
use prost_types::Struct;
use store::{At, Weight};
use uuid::Uuid;

/// A row of the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Logged {
    pub(crate) group_id: Uuid,
    /// Counts 1, 2, 3, … in the group.
    pub(crate) sequence: i64,
    /// Where it stands among all groups; may step.
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
    pub(crate) kind: String,
    pub(crate) actor_kind: i64,
    /// Nil for the platform itself.
    pub(crate) actor_id: Uuid,
    pub(crate) key_id: Option<Uuid>,
    pub(crate) on_behalf_of_id: Option<Uuid>,
    pub(crate) target_kind: String,
    pub(crate) target_id: Uuid,
    pub(crate) revision: i64,
    pub(crate) create_time: At,
    pub(crate) call_id: String,
    pub(crate) traceparent: String,
    pub(crate) metadata: Option<Vec<u8>>,
}

store::record!(Logged {
    group_id,
    sequence,
    position,
    event_id,
    kind: "type",
    actor_kind,
    actor_id,
    key_id,
    on_behalf_of_id,
    target_kind,
    target_id,
    revision,
    create_time,
    call_id,
    traceparent,
    metadata,
});

impl Weight for Logged {
    fn weight(&self) -> usize {
        let texts = [&self.kind, &self.target_kind, &self.call_id, &self.traceparent];
        300 + texts.iter().map(|text| text.len()).sum::<usize>() + self.metadata.as_ref().map_or(0, Vec::len)
    }
}

impl From<&Logged> for public::Event {
    fn from(row: &Logged) -> Self {
        Self {
            id: row.event_id.to_string(),
            group_id: row.group_id.to_string(),
            sequence: row.sequence,
            r#type: row.kind.clone(),
            actor: Some(actor(row)),
            target: Some(public::Target { kind: row.target_kind.clone(), id: text(some(row.target_id)), revision: row.revision }),
            create_time: Some(contract::time::timestamp(row.create_time.0)),
            metadata: row.metadata.as_deref().and_then(|bytes| metadata(row, bytes)),
            call_id: row.call_id.clone(),
            trace_id: trace_id(&row.traceparent).to_owned(),
        }
    }
}

fn actor(row: &Logged) -> identity::Actor {
    identity::Actor {
        kind: i32::try_from(row.actor_kind).unwrap_or_default(),
        id: text(some(row.actor_id)),
        key_id: text(row.key_id),
        on_behalf_of_id: text(row.on_behalf_of_id),
    }
}

fn some(id: Uuid) -> Option<Uuid> {
    (!id.is_nil()).then_some(id)
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// Bytes that are no Struct are a bug of the service that emitted them; the rest of the event is still true.
fn metadata(row: &Logged, bytes: &[u8]) -> Option<Struct> {
    Struct::decode(bytes).inspect_err(|error| tracing::error!(%error, event_id = %row.event_id, "metadata is not a Struct")).ok()
}

/// `00-{trace id}-{span id}-{flags}`; empty if it is not of that form, or a trace nobody began.
fn trace_id(traceparent: &str) -> &str {
    let id = traceparent.split('-').nth(1).unwrap_or_default();
    let begun = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0');
    if begun { id } else { "" }
}

impl From<Logged> for internal::Entry {
    fn from(row: Logged) -> Self {
        Self {
            position: row.position,
            sequence: row.sequence,
            event: Some(internal::LogEvent {
                group_id: bytes(Some(row.group_id)),
                id: bytes(Some(row.event_id)),
                r#type: row.kind,
                actor_kind: i32::try_from(row.actor_kind).unwrap_or_default(),
                actor_id: bytes(some(row.actor_id)),
                key_id: bytes(row.key_id),
                on_behalf_of_id: bytes(row.on_behalf_of_id),
                target_kind: row.target_kind,
                target_id: bytes(some(row.target_id)),
                revision: row.revision,
                create_micros: row.create_time.0,
                call_id: row.call_id,
                traceparent: row.traceparent,
                metadata: row.metadata.map(Into::into),
            }),
        }
    }
}

fn bytes(id: Option<Uuid>) -> Bytes {
    id.map(|id| Bytes::copy_from_slice(id.as_bytes())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    #[test]
    fn a_trace_id_is_shown_only_if_there_was_a_trace() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{trace}-00f067aa0ba902b7-01")), trace);
        for none in [
            "",
            "00",
            "00--x-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f-1-1",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-1-1",
        ] {
            assert_eq!(trace_id(none), "", "{none}");
        }
    }
}

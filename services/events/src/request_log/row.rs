//! A request as it is kept, and as it is said to others.

use chassis::telemetry::code_name;
use contract::{
    Reason,
    events::v1::{Request, Transport},
    id::{self, GroupId},
    identity::v1::Actor,
    internal::v1::RequestRecord,
    time::timestamp,
};
use prost_types::Duration;
use store::{At, Weight};
use tonic::Code;
use uuid::Uuid;

/// The end of the year 9999: what no calendar knows Postgres would refuse.
const LAST: i64 = 253_402_300_799_999_999;
/// 30 days and 2^50: numbers are added up, and a sum that no column holds would stop a gateway's log for good.
const LONGEST_CALL: i64 = 30 * 86_400_000_000;
const LARGEST: i64 = 1 << 50;
/// Texts are cut here; the gateway cuts them before.
const LONGEST: usize = 256;

/// A row of the request log. Nil ids are none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) group_id: Uuid,
    pub(crate) request_id: Uuid,
    /// Counts 1, 2, 3, … in the group.
    pub(crate) sequence: i64,
    pub(crate) create_time: At,
    pub(crate) rpc: String,
    pub(crate) route: String,
    pub(crate) transport: i64,
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) cost: i64,
    /// Microseconds.
    pub(crate) latency: i64,
    pub(crate) bytes_in: i64,
    pub(crate) bytes_out: i64,
    pub(crate) address: String,
    pub(crate) user_agent: String,
    pub(crate) actor_kind: i64,
    pub(crate) actor_id: Uuid,
    pub(crate) key_id: Uuid,
    pub(crate) home_group_id: Uuid,
    pub(crate) asked_group_id: Uuid,
    pub(crate) organisation_id: Uuid,
    pub(crate) call_id: String,
    pub(crate) trace_id: String,
}

store::record!(Row {
    group_id,
    request_id,
    sequence,
    create_time,
    rpc,
    route,
    transport,
    code,
    reason,
    cost,
    latency,
    bytes_in,
    bytes_out,
    address,
    user_agent,
    actor_kind,
    actor_id,
    key_id,
    home_group_id,
    asked_group_id,
    organisation_id,
    call_id,
    trace_id,
});

impl Weight for Row {
    fn weight(&self) -> usize {
        let texts = [&self.rpc, &self.route, &self.reason, &self.address, &self.user_agent, &self.call_id];
        400 + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

impl Row {
    /// Of a record, without its number. `nobody` is the group of those who have none.
    pub(crate) fn new(record: &RequestRecord, nobody: impl FnOnce() -> GroupId) -> Self {
        let create_time = At(record.time_micros.clamp(0, LAST));
        let (acting, home) = (uuid(&record.group_id), uuid(&record.home_group_id));
        Self {
            group_id: if acting.is_nil() { if home.is_nil() { *nobody() } else { home } } else { acting },
            request_id: id::at(create_time.0),
            sequence: 0,
            create_time,
            rpc: cut(&record.rpc),
            route: cut(&record.route),
            transport: i64::from(record.transport),
            code: code_name(Code::from_i32(record.code)).to_owned(),
            reason: Reason::try_from(record.reason).ok().filter(|reason| *reason != Reason::Unspecified).map_or("", Reason::word).to_owned(),
            cost: record.cost.clamp(0, LARGEST),
            latency: record.latency_micros.clamp(0, LONGEST_CALL),
            bytes_in: record.bytes_in.clamp(0, LARGEST),
            bytes_out: record.bytes_out.clamp(0, LARGEST),
            address: cut(&record.address),
            user_agent: cut(&record.user_agent),
            actor_kind: i64::from(record.actor_kind),
            actor_id: uuid(&record.actor_id),
            key_id: uuid(&record.key_id),
            home_group_id: home,
            asked_group_id: uuid(&record.asked_group_id),
            organisation_id: uuid(&record.organisation_id),
            call_id: cut(&record.call_id),
            trace_id: cut(&record.trace_id),
        }
    }

    /// The UTC minute it ended in, counted since 1970.
    pub(crate) fn minute(&self) -> i64 {
        self.create_time.0 / 60_000_000
    }

    /// Nobody is known to have sent it.
    pub(crate) fn is_strangers(&self) -> bool {
        self.home_group_id.is_nil()
    }
}

fn uuid(bytes: &[u8]) -> Uuid {
    Uuid::from_slice(bytes).unwrap_or_default()
}

/// What both engines can keep.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    text[..end].replace('\0', "")
}

impl From<&Row> for Request {
    fn from(row: &Row) -> Self {
        Self {
            id: row.request_id.to_string(),
            group_id: row.group_id.to_string(),
            sequence: row.sequence,
            create_time: Some(timestamp(row.create_time.0)),
            rpc: row.rpc.clone(),
            route: row.route.clone(),
            transport: i32::try_from(row.transport).ok().and_then(|number| Transport::try_from(number).ok()).unwrap_or_default().into(),
            code: row.code.clone(),
            reason: row.reason.clone(),
            cost: row.cost,
            latency: Some(duration(row.latency)),
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
            address: row.address.clone(),
            user_agent: row.user_agent.clone(),
            actor: (!row.actor_id.is_nil()).then(|| actor(row)),
            key_id: text(row.key_id),
            home_group_id: text(row.home_group_id),
            asked_group_id: text(row.asked_group_id),
            organisation_id: text(row.organisation_id),
            call_id: row.call_id.clone(),
            trace_id: row.trace_id.clone(),
        }
    }
}

fn actor(row: &Row) -> Actor {
    let kind = i32::try_from(row.actor_kind).unwrap_or_default();
    Actor { kind, id: text(row.actor_id), key_id: text(row.key_id), on_behalf_of_id: String::new() }
}

/// Of microseconds, as it stands on the wire.
pub(crate) fn duration(micros: i64) -> Duration {
    Duration { seconds: micros / 1_000_000, nanos: i32::try_from(micros % 1_000_000).unwrap_or_default() * 1_000 }
}

pub(crate) fn text(id: Uuid) -> String {
    if id.is_nil() { String::new() } else { id.to_string() }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_text_is_what_both_engines_can_keep() {
        for (given, kept) in [("curl/8", "curl/8".to_owned()), ("a\0b", "ab".to_owned()), (&"é".repeat(300), "é".repeat(128))] {
            assert_eq!(cut(given), kept);
        }
        assert_eq!(cut(&format!("x{}", "é".repeat(300))).len(), 255, "never within a character");
    }
}

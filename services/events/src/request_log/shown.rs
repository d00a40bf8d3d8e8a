//! A request as it is shown to its group.

use super::row;
use contract::{
    events::v1::{Request, Transport},
    id::GroupId,
    identity::v1::Actor,
    internal::v1::RequestRecord,
    time::timestamp,
};
use prost_types::Duration;
use std::net::IpAddr;
use uuid::Uuid;

pub(super) fn request(id: Uuid, group: GroupId, record: &RequestRecord) -> Request {
    Request {
        id: id.to_string(),
        group_id: group.to_string(),
        create_time: Some(timestamp(record.time_micros)),
        rpc: record.rpc.clone(),
        route: row::route(&record.rpc, &record.route).into_owned(),
        transport: Transport::try_from(record.transport).unwrap_or_default().into(),
        code: row::code(record).to_owned(),
        reason: row::reason(record).to_owned(),
        cost: record.cost,
        latency: Some(duration(record.latency_micros)),
        bytes_in: record.bytes_in,
        bytes_out: record.bytes_out,
        address: address(&record.address),
        user_agent: record.user_agent.clone(),
        actor: actor(record),
        key_id: text(row::uuid(&record.key_id)),
        home_group_id: text(row::uuid(&record.home_group_id)),
        asked_group_id: text(row::uuid(&record.asked_group_id)),
        organisation_id: text(row::uuid(&record.organisation_id)),
        call_id: record.call_id.clone(),
        trace_id: trace(&record.trace_id),
    }
}

fn actor(record: &RequestRecord) -> Option<Actor> {
    let id = row::uuid(&record.actor_id);
    let key_id = text(row::uuid(&record.key_id));
    (!id.is_nil()).then(|| Actor { kind: record.actor_kind, id: text(id), key_id, on_behalf_of_id: String::new() })
}

/// Empty if it is none.
pub(crate) fn address(bytes: &[u8]) -> String {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.map(|address| address.to_string()).unwrap_or_default()
}

/// 32 hex digits, or empty.
pub(super) fn trace(bytes: &[u8]) -> String {
    Uuid::from_slice(bytes).map(|id| id.simple().to_string()).unwrap_or_default()
}

/// Of microseconds, as it stands on the wire.
pub(crate) fn duration(micros: i64) -> Duration {
    Duration { seconds: micros / 1_000_000, nanos: i32::try_from(micros % 1_000_000).unwrap_or_default() * 1_000 }
}

/// Empty for the nil id.
pub(crate) fn text(id: Uuid) -> String {
    if id.is_nil() { String::new() } else { id.to_string() }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_of_either_kind_or_none() {
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        for (bytes, expected) in [(&[192, 0, 2, 1][..], "192.0.2.1"), (&v6, "2001:db8::1"), (&[], ""), (&[1, 2, 3], "")] {
            assert_eq!(address(bytes), expected);
        }
    }
}

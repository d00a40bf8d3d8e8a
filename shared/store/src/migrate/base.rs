//! What stands in every service's schema.

use super::Migration;

/// The first migration of every service: outbox, workers' leases and cursors, remembered answers, quota counters.
///
/// The outbox's numbers are never reused. Without AUTOINCREMENT SQLite gives a deleted row's number to the next one, and the delete of a
/// relay that slept would hit rows nobody has shipped.
pub const BASE: Migration = Migration {
    version: 1,
    name: "store",
    min_reader: 0,
    sql: &[
        "CREATE TABLE outbox (
            number {number},
            group_id UUID NOT NULL,
            event_id UUID NOT NULL,
            type TEXT NOT NULL,
            actor_kind BIGINT NOT NULL,
            actor_id UUID,
            key_id UUID,
            on_behalf_of_id UUID,
            target_kind TEXT NOT NULL,
            target_id UUID NOT NULL,
            revision BIGINT NOT NULL,
            create_time TIMESTAMPTZ NOT NULL,
            call_id TEXT NOT NULL,
            traceparent TEXT NOT NULL,
            metadata BYTEA
        )",
        "CREATE TABLE worker (
            name TEXT NOT NULL,
            partition BIGINT NOT NULL,
            position BIGINT NOT NULL,
            holder UUID NOT NULL,
            held_until TIMESTAMPTZ NOT NULL,
            PRIMARY KEY (name, partition)
        )",
        "CREATE TABLE remembered (
            group_id UUID NOT NULL,
            request UUID NOT NULL,
            hash BYTEA NOT NULL,
            answer BYTEA,
            held_until TIMESTAMPTZ,
            expire_time TIMESTAMPTZ NOT NULL,
            PRIMARY KEY (group_id, request)
        )",
        "CREATE INDEX remembered_expire_time ON remembered (expire_time)",
        "CREATE TABLE counter (
            group_id UUID NOT NULL,
            kind TEXT NOT NULL,
            n BIGINT NOT NULL,
            PRIMARY KEY (group_id, kind)
        )",
    ],
};

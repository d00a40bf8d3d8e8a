//! The tables of the log.

use store::Migration;

/// What the outbox took the log takes: no constraint beyond "once". An event's id is a UUIDv7 of its `create_time`, so each index that
/// ends in it serves a list in the order of time. A nil id is none: the platform itself as actor. `partition` is 0 today: one head over
/// all groups could not be distributed.
pub(crate) const LOG: Migration = Migration {
    version: 2,
    name: "log",
    min_reader: 0,
    sql: &[
        "create table log_head (partition bigint primary key, position bigint not null, floor bigint not null)",
        "create table log_group (group_id uuid primary key, sequence bigint not null, floor bigint not null)",
        "create table event (
            group_id uuid not null,
            sequence bigint not null,
            partition bigint not null,
            position bigint not null,
            event_id uuid not null,
            type text not null,
            actor_kind bigint not null,
            actor_id uuid not null,
            key_id uuid,
            on_behalf_of_id uuid,
            target_kind text not null,
            target_id uuid not null,
            revision bigint not null,
            create_time timestamptz not null,
            call_id text not null,
            traceparent text not null,
            metadata bytea,
            primary key (group_id, sequence)
        )",
        "create unique index event_id on event (group_id, event_id)",
        "create unique index event_position on event (partition, position)",
        "create index event_actor on event (group_id, actor_id, event_id)",
        "create index event_target on event (group_id, target_id, event_id)",
        "create index event_type on event (group_id, type, event_id)",
        "insert into log_head (partition, position, floor) values (0, 0, 0)",
    ],
};

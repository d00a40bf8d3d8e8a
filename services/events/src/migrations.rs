//! The tables of the log, and of the requests.

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

/// Requests, many together, and counted by minute, hour and day. A nil id is none, so that it can stand in a key. `request_refusal` gathers
/// what was refused in a minute until one event tells of it. `platform` names the one group that is nobody's tenant. `request_source` is what makes a batch count once.
pub(crate) const REQUESTS: Migration = Migration {
    version: 3,
    name: "requests",
    min_reader: 0,
    sql: &[
        "create table request_source (gateway_id uuid primary key, batch bigint not null, update_time timestamptz not null)",
        "create index request_source_time on request_source (update_time)",
        "create table request_block (
            group_id uuid not null,
            slot bigint not null,
            block_id uuid not null,
            requests bytea not null,
            primary key (group_id, slot, block_id)
        )",
        "create table usage (
            group_id uuid not null,
            span bigint not null,
            start_time timestamptz not null,
            key_id uuid not null,
            rpc text not null,
            route text not null,
            code text not null,
            requests bigint not null,
            cost bigint not null,
            latency bigint not null,
            bytes_in bigint not null,
            bytes_out bigint not null,
            bucket_0 bigint not null,
            bucket_1 bigint not null,
            bucket_2 bigint not null,
            bucket_3 bigint not null,
            bucket_4 bigint not null,
            bucket_5 bigint not null,
            bucket_6 bigint not null,
            bucket_7 bigint not null,
            bucket_8 bigint not null,
            bucket_9 bigint not null,
            bucket_10 bigint not null,
            bucket_11 bigint not null,
            bucket_12 bigint not null,
            bucket_13 bigint not null,
            bucket_14 bigint not null,
            bucket_15 bigint not null,
            primary key (group_id, span, start_time, key_id, rpc, route, code)
        )",
        "create table retention (group_id uuid primary key, days bigint not null)",
        "create table platform (name text primary key, group_ref uuid not null)",
        "create table request_refusal (
            minute timestamptz not null,
            group_id uuid not null,
            type text not null,
            reason text not null,
            key_id uuid not null,
            address text not null,
            requests bigint not null,
            rpc text not null,
            limited_by text not null,
            seen_from text not null,
            call_id text not null,
            primary key (minute, group_id, type, reason, key_id, address)
        )",
    ],
};

/// Counts of minutes that have not yet been moved into `usage`: the same columns, of which `span` is always a minute. Few enough that all
/// tenants of a batch lie on some pages. `usage_turn` is locked by who moves them. A release before reads `usage` only: beside a newer one
/// it shows a minute late.
pub(crate) const RECENT: Migration = Migration {
    version: 4,
    name: "usage_recent",
    min_reader: 0,
    sql: &[
        "create table usage_recent (
            group_id uuid not null,
            span bigint not null,
            start_time timestamptz not null,
            key_id uuid not null,
            rpc text not null,
            route text not null,
            code text not null,
            requests bigint not null,
            cost bigint not null,
            latency bigint not null,
            bytes_in bigint not null,
            bytes_out bigint not null,
            bucket_0 bigint not null,
            bucket_1 bigint not null,
            bucket_2 bigint not null,
            bucket_3 bigint not null,
            bucket_4 bigint not null,
            bucket_5 bigint not null,
            bucket_6 bigint not null,
            bucket_7 bigint not null,
            bucket_8 bigint not null,
            bucket_9 bigint not null,
            bucket_10 bigint not null,
            bucket_11 bigint not null,
            bucket_12 bigint not null,
            bucket_13 bigint not null,
            bucket_14 bigint not null,
            bucket_15 bigint not null,
            primary key (group_id, span, start_time, key_id, rpc, route, code)
        )",
        "create index usage_recent_time on usage_recent (start_time, group_id)",
        "create table usage_turn (name text primary key, turn bigint not null)",
        "insert into usage_turn (name, turn) values ('recent', 0)",
    ],
};

//! The schema.

use store::{BASE, Migration};

/// The name of the service's schema, or file.
pub const SCHEMA: &str = "ontology";

/// All steps, in order.
pub const MIGRATIONS: &[Migration] = &[BASE, THINGS];

/// Every index begins with the group and ends in an order of ListThings, with the id to break ties, so that a page is a walk along one of
/// them that stops when it is full. `COLLATE "C"` is bytewise on both engines.
const THINGS: Migration = Migration {
    version: 2,
    name: "things",
    min_reader: 0,
    sql: &[
        "CREATE TABLE things (
            group_id UUID NOT NULL,
            id UUID NOT NULL,
            type TEXT NOT NULL,
            name TEXT COLLATE \"C\" NOT NULL,
            status TEXT NOT NULL,
            properties JSONB NOT NULL,
            revision BIGINT NOT NULL,
            creator_kind BIGINT NOT NULL,
            creator_id UUID,
            creator_key_id UUID,
            creator_on_behalf_of_id UUID,
            create_time TIMESTAMPTZ NOT NULL,
            update_time TIMESTAMPTZ NOT NULL,
            archive_time TIMESTAMPTZ,
            PRIMARY KEY (group_id, id)
        )",
        "CREATE INDEX things_create_time ON things (group_id, create_time, id)",
        "CREATE INDEX things_update_time ON things (group_id, update_time, id)",
        "CREATE INDEX things_name ON things (group_id, name, id)",
        "CREATE INDEX things_type ON things (group_id, type, create_time, id)",
        "CREATE INDEX things_status ON things (group_id, status, create_time, id)",
    ],
};

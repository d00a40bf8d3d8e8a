//! The schema of identity.
//!
//! Tables with a `group_id` are tenants' rows, and stand behind the second wall on Postgres. `group_line` has none: who is above whom is
//! what the wall's own groups are decided by, and it holds ids only.

use store::{BASE, Migration};

/// All steps, in order.
pub const MIGRATIONS: &[Migration] = &[BASE, IDENTITY];

/// Each list walks an index that begins with what it is of: the group above, the parent, a key's group.
const IDENTITY: Migration = Migration {
    version: 2,
    name: "identity",
    min_reader: 0,
    sql: &[
        "CREATE TABLE groups (
            group_id UUID PRIMARY KEY,
            parent_id UUID NOT NULL,
            root_id UUID NOT NULL,
            short_id TEXT NOT NULL,
            type TEXT NOT NULL,
            name TEXT COLLATE \"C\" NOT NULL,
            description TEXT NOT NULL,
            visibility TEXT NOT NULL,
            join_policy TEXT NOT NULL,
            allow_parent_access BOOLEAN NOT NULL,
            tier TEXT NOT NULL,
            limits JSONB NOT NULL,
            revision BIGINT NOT NULL,
            creator_kind BIGINT NOT NULL,
            creator_id UUID,
            creator_key_id UUID,
            creator_on_behalf_of_id UUID,
            create_time TIMESTAMPTZ NOT NULL,
            update_time TIMESTAMPTZ NOT NULL,
            archive_time TIMESTAMPTZ
        )",
        "CREATE UNIQUE INDEX groups_short_id ON groups (short_id)",
        // The parent of an organisation is the nil id: an index serves an equality with it in order, and NULL on SQLite only.
        "CREATE INDEX groups_parent_create_time ON groups (parent_id, create_time, group_id)",
        "CREATE INDEX groups_parent_update_time ON groups (parent_id, update_time, group_id)",
        "CREATE INDEX groups_parent_name ON groups (parent_id, name, group_id)",
        // Each group with itself (0) and all above it (1, 2, …): what is below a group is one range, and so is the way up. What lists are
        // ordered by stands here too (when the group was made and changed, and its name), so that any group's list walks one index.
        "CREATE TABLE group_line (
            below_id UUID NOT NULL,
            above_id UUID NOT NULL,
            distance BIGINT NOT NULL,
            made TIMESTAMPTZ NOT NULL,
            changed TIMESTAMPTZ NOT NULL,
            label TEXT COLLATE \"C\" NOT NULL,
            PRIMARY KEY (below_id, above_id)
        )",
        "CREATE INDEX group_line_made ON group_line (above_id, made, below_id)",
        "CREATE INDEX group_line_changed ON group_line (above_id, changed, below_id)",
        "CREATE INDEX group_line_label ON group_line (above_id, label, below_id)",
        "CREATE TABLE api_key (
            group_id UUID NOT NULL,
            id UUID NOT NULL,
            root_id UUID NOT NULL,
            handle TEXT NOT NULL,
            prefix TEXT NOT NULL,
            name TEXT COLLATE \"C\" NOT NULL,
            scopes TEXT NOT NULL,
            role TEXT NOT NULL,
            tag BIGINT NOT NULL,
            hash BYTEA NOT NULL,
            expire_time TIMESTAMPTZ,
            grace_time TIMESTAMPTZ,
            revoke_time TIMESTAMPTZ,
            revoke_reason TEXT NOT NULL,
            revision BIGINT NOT NULL,
            creator_kind BIGINT NOT NULL,
            creator_id UUID,
            creator_key_id UUID,
            creator_on_behalf_of_id UUID,
            create_time TIMESTAMPTZ NOT NULL,
            update_time TIMESTAMPTZ NOT NULL,
            PRIMARY KEY (group_id, id)
        )",
        // Whose a credential is: asked before the tenant is known.
        "CREATE UNIQUE INDEX api_key_handle ON api_key (handle)",
        "CREATE UNIQUE INDEX api_key_id ON api_key (id)",
        "CREATE INDEX api_key_create_time ON api_key (group_id, create_time, id)",
        "CREATE INDEX api_key_update_time ON api_key (group_id, update_time, id)",
        "CREATE INDEX api_key_name ON api_key (group_id, name, id)",
        // The change feed: one row whose lock gives the numbers, and the ids that changed. 0 is the question of who knows nothing yet.
        "CREATE TABLE change_head (id BIGINT PRIMARY KEY, position BIGINT NOT NULL, floor BIGINT NOT NULL)",
        "INSERT INTO change_head (id, position, floor) VALUES (1, 1, 1)",
        "CREATE TABLE change (position BIGINT PRIMARY KEY, subject UUID NOT NULL, create_time TIMESTAMPTZ NOT NULL)",
        // Which groups the first start made.
        "CREATE TABLE bootstrap (name TEXT PRIMARY KEY, group_ref UUID NOT NULL, key_ref UUID NOT NULL)",
    ],
};

//! The SQL of things.

use super::row::Stored;
use contract::id::{GroupId, ThingId};
use serde_json::Value;
use store::{Json, Result, Sql, Tx};

/// One thing as [`Stored`] reads it, archived or not.
pub(super) const GET: &str = "select id, type, name, status, properties, revision, creator_kind, creator_id, creator_key_id, \
    creator_on_behalf_of_id, create_time, update_time, archive_time from things where group_id = $1 and id = $2";

/// Adds a new thing.
pub(super) async fn insert(tx: &mut Tx, group: GroupId, thing: &Stored) -> Result<()> {
    let sql = tx.sql(
        "insert into things (group_id, id, create_time, type, creator_kind, creator_id, creator_key_id, creator_on_behalf_of_id, \
         name, status, properties, revision, update_time, archive_time) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    );
    let sql = thing.creator.bind(sql.bind(group).bind(thing.id).bind(thing.create_time).bind(thing.state.kind.as_str()));
    changing(sql, thing).later().await
}

/// The thing as the transaction sees it.
pub(super) async fn get(tx: &mut Tx, group: GroupId, id: ThingId) -> Result<Option<Stored>> {
    tx.sql(GET).bind(group).bind(id).opt().await
}

/// Writes the next revision over the one before it. False: somebody else has written in between, and nothing was done.
pub(super) async fn update(tx: &mut Tx, group: GroupId, thing: &Stored) -> Result<bool> {
    let sql = tx.sql(
        "update things set name = $4, status = $5, properties = $6, revision = $7, update_time = $8, archive_time = $9 \
         where group_id = $1 and id = $2 and revision = $3",
    );
    let sql = sql.bind(group).bind(thing.id).bind(thing.revision - 1);
    Ok(changing(sql, thing).run().await? == 1)
}

/// The values that a later revision may change.
fn changing<'c>(sql: Sql<'c>, thing: &Stored) -> Sql<'c> {
    sql.bind(thing.state.name.as_str())
        .bind(thing.state.status.as_str())
        .bind(Json(Value::Object(thing.state.properties.clone())))
        .bind(thing.revision)
        .bind(thing.update_time)
        .bind(thing.archive_time)
}

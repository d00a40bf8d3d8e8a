//! The SQL of groups.
//!
//! Who sees a group is part of each statement: the group's line holds the group that looks.

use super::row::{Stored, read_limits, write_limits};
use contract::{Refusal, id::GroupId, identity::v1::GroupLimits};
use serde_json::Value;
use store::{At, Db, Json, Record, Row, Tx, sqlx};

/// A group, if `above` stands in its line.
pub(crate) async fn get(db: &Db, id: GroupId, above: GroupId) -> Result<Option<Stored>, Refusal> {
    let select = db.group(id).sql(
        "select g.* from groups g
         join group_line l on l.below_id = g.group_id and l.above_id = $2
         where g.group_id = $1",
    );
    Ok(select.bind(id).bind(above).opt().await?)
}

/// A group, if `above` stands in its line; nobody else changes it before this transaction ends.
///
/// The update that changes nothing takes the row's lock on both engines; what it returns is what was committed last.
pub(crate) async fn lock(tx: &mut Tx, id: GroupId, above: GroupId) -> Result<Option<Stored>, Refusal> {
    tx.reach(&[id]).await?;
    let update = tx.sql(
        "update groups set revision = revision
         where group_id = $1 and exists (select 1 from group_line where below_id = $1 and above_id = $2)
         returning *",
    );
    Ok(update.bind(id).bind(above).opt().await?)
}

/// The group and all above it, up to its organisation; empty if there is no such group.
pub(crate) async fn line(tx: &mut Tx, id: GroupId) -> Result<Vec<GroupId>, Refusal> {
    let rows: Vec<(GroupId,)> = tx.sql("select above_id from group_line where below_id = $1 order by distance").bind(id).all().await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// What a new group must know of one above it.
pub(crate) struct Above {
    pub(crate) tier: String,
    pub(crate) limits: GroupLimits,
    pub(crate) archive_time: Option<At>,
}

impl Record for Above {
    fn read(row: &Row<'_>) -> sqlx::Result<Self> {
        let Json(limits) = row.get::<Json<Value>>("limits")?;
        Ok(Self { tier: row.get("tier")?, limits: read_limits(&limits), archive_time: row.get("archive_time")? })
    }
}

/// The rows of a line, in its order.
pub(crate) async fn above(tx: &mut Tx, id: GroupId) -> Result<Vec<Above>, Refusal> {
    let select = tx.sql(
        "select g.tier, g.limits, g.archive_time from group_line l
         join groups g on g.group_id = l.above_id
         where l.below_id = $1
         order by l.distance",
    );
    Ok(select.bind(id).all().await?)
}

/// A new group, and its line.
pub(crate) async fn insert(tx: &mut Tx, group: &Stored) -> Result<(), Refusal> {
    tx.reach(&[group.id]).await?;
    let insert = tx.sql(
        "insert into groups (group_id, parent_id, root_id, short_id, type, name, description, visibility, join_policy, allow_parent_access,
             tier, limits, revision, create_time, update_time, creator_kind, creator_id, creator_key_id, creator_on_behalf_of_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    );
    let insert = insert
        .bind(group.id)
        .bind(group.parent_id.unwrap_or_default())
        .bind(group.root_id)
        .bind(group.short_id.as_str())
        .bind(group.kind.as_str())
        .bind(group.name.as_str())
        .bind(group.description.as_str())
        .bind(group.visibility.as_str())
        .bind(group.join_policy.as_str())
        .bind(group.allow_parent_access)
        .bind(group.tier.as_str())
        .bind(Json(write_limits(&group.limits)))
        .bind(group.revision)
        .bind(group.create_time)
        .bind(group.update_time);
    group.creator.bind(insert).run().await?;
    let line = tx.sql(
        "insert into group_line (below_id, above_id, distance, made, changed, label)
         select $1, above_id, distance + 1, $3, $3, $4 from group_line where below_id = $2
         union all
         select $1, $1, 0, $3, $3, $4",
    );
    line.bind(group.id).bind(group.parent_id.unwrap_or_default()).bind(group.create_time).bind(group.name.as_str()).run().await?;
    Ok(())
}

/// What may change of a group whose row is locked.
pub(crate) async fn update(tx: &mut Tx, group: &Stored) -> Result<(), Refusal> {
    let update = tx.sql(
        "update groups set name = $2, description = $3, visibility = $4, join_policy = $5, allow_parent_access = $6, tier = $7, limits = $8,
             revision = $9, update_time = $10, archive_time = $11
         where group_id = $1",
    );
    update
        .bind(group.id)
        .bind(group.name.as_str())
        .bind(group.description.as_str())
        .bind(group.visibility.as_str())
        .bind(group.join_policy.as_str())
        .bind(group.allow_parent_access)
        .bind(group.tier.as_str())
        .bind(Json(write_limits(&group.limits)))
        .bind(group.revision)
        .bind(group.update_time)
        .bind(group.archive_time)
        .run()
        .await?;
    let line = tx.sql("update group_line set changed = $2, label = $3 where below_id = $1");
    line.bind(group.id).bind(group.update_time).bind(group.name.as_str()).run().await?;
    Ok(())
}

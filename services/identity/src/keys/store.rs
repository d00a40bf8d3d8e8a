//! The SQL of keys.

use super::row::{Made, Stored};
use contract::{
    Refusal,
    id::{GroupId, KeyId},
};
use store::{Db, Tx};

/// A key of a group.
pub(crate) async fn get(db: &Db, group: GroupId, id: KeyId) -> Result<Option<Stored>, Refusal> {
    let select = db.group(group).sql("select * from api_key where group_id = $1 and id = $2");
    Ok(select.bind(group).bind(*id).opt().await?)
}

/// What stands in the keys of a group.
pub(crate) async fn short_id(db: &Db, group: GroupId) -> Result<Option<String>, Refusal> {
    let row: Option<(String,)> = db.group(group).sql("select short_id from groups where group_id = $1").bind(group).opt().await?;
    Ok(row.map(|(short,)| short))
}

/// A key of a group; nobody else changes it before this transaction ends.
pub(crate) async fn lock(tx: &mut Tx, group: GroupId, id: KeyId) -> Result<Option<Stored>, Refusal> {
    let update = tx.sql("update api_key set revision = revision where group_id = $1 and id = $2 returning *");
    Ok(update.bind(group).bind(*id).opt().await?)
}

/// A new key.
pub(crate) async fn insert(tx: &mut Tx, key: &Stored, made: &Made) -> Result<(), Refusal> {
    tx.reach(&[key.group_id]).await?;
    let insert = tx.sql(
        "insert into api_key (group_id, id, root_id, handle, prefix, name, scopes, role, tag, hash, expire_time, revoke_reason, revision,
             create_time, update_time, creator_kind, creator_id, creator_key_id, creator_on_behalf_of_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    );
    let insert = insert
        .bind(key.group_id)
        .bind(*key.id)
        .bind(key.root_id)
        .bind(made.handle.as_str())
        .bind(key.prefix.as_str())
        .bind(key.name.as_str())
        .bind(key.scopes.join(" "))
        .bind(key.role.word())
        .bind(made.proof.tag)
        .bind(made.proof.hash.as_slice())
        .bind(key.times.expire)
        .bind(key.revoke_reason.as_str())
        .bind(key.revision)
        .bind(key.create_time)
        .bind(key.update_time);
    key.creator.bind(insert).run().await?;
    Ok(())
}

/// What a revocation changes of a key whose row is locked.
pub(crate) async fn revoke(tx: &mut Tx, key: &Stored) -> Result<(), Refusal> {
    let update = tx.sql(
        "update api_key set revoke_time = $3, revoke_reason = $4, revision = $5, update_time = $6
         where group_id = $1 and id = $2",
    );
    update
        .bind(key.group_id)
        .bind(*key.id)
        .bind(key.times.revoke)
        .bind(key.revoke_reason.as_str())
        .bind(key.revision)
        .bind(key.update_time)
        .run()
        .await?;
    Ok(())
}

//! The end of a key.

use super::{invalid, not_found, row::Stored, store};
use crate::{changes, state::Times};
use ::store::{NewEvent, Target, Tx, etag};
use chassis::principal::Principal;
use contract::{
    Refusal,
    id::KeyId,
    identity::v1::{Key, RevokeKeyRequest},
    json,
};
use serde_json::{Map, Value, json};

/// Revokes a key of the acting group, for good.
pub(crate) async fn revoke(principal: &Principal, tx: &mut Tx, input: RevokeKeyRequest) -> Result<Key, Refusal> {
    let id = KeyId::parse(&input.id).ok_or_else(|| invalid("id", "must be a UUID"))?;
    let old = store::lock(tx, principal.group, id).await?.ok_or_else(not_found)?;
    etag::check(&input.etag, old.revision)?;
    if old.times.revoke.is_some() {
        return Ok(old.message(tx.now()));
    }
    let new = Stored {
        times: Times { revoke: Some(tx.now()), ..old.times },
        revoke_reason: input.reason,
        revision: old.revision + 1,
        update_time: tx.now(),
        ..old.clone()
    };
    store::revoke(tx, &new).await?;
    tx.emit(event(&old, &new))?;
    changes::record(tx, &[*new.id]).await?;
    Ok(new.message(tx.now()))
}

fn event(old: &Stored, new: &Stored) -> NewEvent<'static> {
    let status = |key: &Stored| super::row::word(key.times.state(new.update_time));
    let mut metadata = Map::from_iter([
        ("keyId".to_owned(), Value::from(new.id.to_string())),
        ("changes".to_owned(), json!({ "status": status(new), "revokeReason": new.revoke_reason })),
        ("previousValues".to_owned(), json!({ "status": status(old), "revokeReason": old.revoke_reason })),
    ]);
    if !new.revoke_reason.is_empty() {
        metadata.insert("reason".to_owned(), new.revoke_reason.clone().into());
    }
    NewEvent {
        group: new.group_id,
        kind: "api_key_revoked",
        target: Target { kind: "key", id: *new.id, revision: new.revision },
        metadata: Some(json::to_struct(&metadata)),
    }
}

//! New keys: never more than their maker.

use super::{
    invalid,
    row::{Made, Stored},
    store,
};
use crate::{hash::Hasher, secret::Secret, state::Times};
use ::store::{At, Creator, Db, NewEvent, Target, Tx};
use chassis::principal::Principal;
use contract::{
    Reason, Refusal, Role, Scopes,
    id::{GroupId, KeyId},
    identity::v1::{CreateKeyRequest, CreateKeyResponse, Key},
    json, time,
};
use serde_json::{Map, Value};

/// A secret and its hash, made before the transaction: nobody waits behind a hash.
pub(crate) struct Prepared {
    pub(crate) id: KeyId,
    pub(crate) secret: Secret,
    pub(crate) made: Made,
}

impl Prepared {
    /// For a group with that `short_id`.
    ///
    /// # Errors
    /// `OVERLOADED` when too many hashes wait.
    pub(crate) async fn new(hasher: &Hasher, short_id: &str, micros: i64) -> Result<Self, Refusal> {
        let (id, secret) = (KeyId::new(micros), Secret::make(short_id).map_err(Refusal::internal)?);
        let proof = hasher.make(secret.proof(), *id.as_bytes()).await?;
        let made = Made { handle: secret.handle().to_owned(), proof };
        Ok(Self { id, secret, made })
    }

    /// For the acting group, if there is one.
    pub(crate) async fn of(hasher: &Hasher, db: &Db, group: GroupId) -> Result<Self, Refusal> {
        let short = store::short_id(db, group).await?.ok_or_else(chassis::acting::not_found)?;
        Self::new(hasher, &short, db.clock().micros()).await
    }
}

/// Creates a key in the acting group.
pub(crate) async fn create(principal: &Principal, tx: &mut Tx, input: CreateKeyRequest, prepared: Prepared) -> Result<CreateKeyResponse, Refusal> {
    let sent = input.key.unwrap_or_default();
    if !sent.group_id.is_empty() && GroupId::parse(&sent.group_id) != Some(principal.group) {
        return Err(crate::mismatch(&sent.group_id));
    }
    let key = Stored {
        group_id: principal.group,
        id: prepared.id,
        root_id: principal.root,
        prefix: prepared.secret.prefix().to_owned(),
        scopes: scopes(principal, &sent)?,
        role: role(principal, &sent)?,
        times: Times { expire: expire(&sent, tx.now())?, ..Times::default() },
        name: sent.name,
        revoke_reason: String::new(),
        revision: 1,
        creator: Creator::of(principal),
        create_time: tx.now(),
        update_time: tx.now(),
    };
    keep(tx, &key, &prepared.made).await?;
    let secret = prepared.secret.reveal().to_owned();
    Ok(CreateKeyResponse { key: Some(key.message(tx.now())), secret })
}

/// Writes a new key and tells of it.
pub(crate) async fn keep(tx: &mut Tx, key: &Stored, made: &Made) -> Result<(), Refusal> {
    store::insert(tx, key, made).await?;
    let changes = key.state(tx.now());
    let mut metadata: Map<String, Value> =
        ["scopes", "name", "expiresAt"].into_iter().filter_map(|name| Some((name.to_owned(), changes.get(name)?.clone()))).collect();
    metadata.retain(|_, value| !value.is_null());
    metadata.insert("keyId".to_owned(), key.id.to_string().into());
    metadata.insert("changes".to_owned(), changes.into());
    tx.emit(NewEvent {
        group: key.group_id,
        kind: "api_key_generated",
        target: Target { kind: "key", id: *key.id, revision: key.revision },
        metadata: Some(json::to_struct(&metadata)),
    })
}

/// The words as they are stored: canonical, each once, and none that the maker lacks.
fn scopes(principal: &Principal, sent: &Key) -> Result<Vec<String>, Refusal> {
    if sent.scopes.is_empty() {
        return Err(invalid("key.scopes", "at least one is needed"));
    }
    let (mut words, mut lacking) = (Vec::new(), Vec::new());
    for (place, word) in sent.scopes.iter().enumerate() {
        let canonical = Scopes::canonical(word);
        let unknown = || invalid(format!("key.scopes[{place}]"), format!("{word:?} is no scope; they read like things:read, things:* or *"));
        let meant = Scopes::parse(word).ok_or_else(unknown)?;
        // Only `*` grants `*`: it holds also what comes later.
        let is_held = if meant.has_star() { principal.scopes.has_star() } else { principal.scopes.has(meant) };
        if !is_held {
            lacking.push(canonical);
        } else if !words.contains(&canonical) {
            words.push(canonical);
        }
    }
    if lacking.is_empty() {
        return Ok(words);
    }
    let lacking = lacking.join(" ");
    Err(Refusal::new(Reason::ScopeNotHeld, format!("you cannot grant {lacking}: you do not hold it yourself")).with("scopes", lacking))
}

/// At most the maker's, and at most `group_owner` outside the platform's own group.
fn role(principal: &Principal, sent: &Key) -> Result<Role, Refusal> {
    let is_platform = principal.role == Role::PlatformOwner && principal.group == principal.home;
    let most = if is_platform { principal.role } else { lower(principal.role, Role::GroupOwner) };
    let asked = Role::parse(&sent.role).ok_or_else(|| invalid("key.role", "is no role"))?;
    match asked {
        Role::Unspecified => Ok(most),
        asked if asked as i32 <= most as i32 => Ok(asked),
        asked => {
            let sentence = format!("you cannot grant the role {} here: at most {}", asked.word(), most.word());
            Err(Refusal::new(Reason::RoleNotHeld, sentence).with("role", asked.word()))
        }
    }
}

fn lower(one: Role, other: Role) -> Role {
    if (one as i32) < other as i32 { one } else { other }
}

fn expire(sent: &Key, now: At) -> Result<Option<At>, Refusal> {
    let Some(sent) = &sent.expire_time else { return Ok(None) };
    let at = time::micros(sent).map(At).ok_or_else(|| invalid("key.expire_time", "must be a time between the years 1 and 9999"))?;
    if at <= now { Err(invalid("key.expire_time", "must be in the future")) } else { Ok(Some(at)) }
}

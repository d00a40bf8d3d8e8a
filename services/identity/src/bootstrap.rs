//! The first start: the platform's group and a first organisation, with a key each.
//!
//! Safe with several replicas at once and with a kill at any point: both keys are on the disk under temporary names before the one
//! transaction that makes everything, and are put in their place after it. Whoever starts later mends what was left: the store knows which
//! keys are real.

mod files;
#[cfg(test)]
mod tests;

use crate::{
    Identity,
    groups::{self, row::Stored as Group},
    keys::{
        create::{self, Prepared},
        row::Stored as Key,
    },
    secret::{self, Secret},
    state::Times,
    tiers::{Tier, UNLIMITED},
};
use chassis::principal::Principal;
use contract::{Refusal, Role, id::GroupId, identity::v1::GroupLimits};
use files::KeyFile;
use std::{io, path::Path};
use store::{Creator, Tx};

/// The file of the platform owner's key.
pub const PLATFORM_KEY: &str = "platform.key";
/// The file of the first organisation's key.
pub const OWNER_KEY: &str = "owner.key";

/// Why the first start did not come to its end. The next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key file cannot be written.
    #[error("the key files cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The store, or the operating system's randomness.
    #[error("the first groups cannot be made: {0}")]
    Refused(#[from] Refusal),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// What is made, by the name it has among what was made.
struct Start {
    name: &'static str,
    file: KeyFile,
    role: Role,
    group: Group,
    prepared: Prepared,
}

/// Makes [`PLATFORM_KEY`] and [`OWNER_KEY`] in `folder`, if no start has made the groups before. Gives the owner's key if it was made now.
///
/// The organisation stands on `tier`; on enterprise, a self-hoster's own, requests have no limit.
///
/// # Errors
/// As they say; what was begun is mended by the next start.
pub async fn bootstrap(identity: &Identity, folder: &Path, tier: Tier) -> Result<Option<String>, Error> {
    let (platform, owner) = (KeyFile::new(folder, PLATFORM_KEY), KeyFile::new(folder, OWNER_KEY));
    if is_done(identity).await? {
        return mend(identity, &[platform, owner]).await.map(|()| None);
    }
    let unlimited = Some(UNLIMITED).filter(|_| tier == Tier::Enterprise);
    let limits = GroupLimits {
        key_requests_per_minute: unlimited,
        key_requests_per_day: unlimited,
        requests_per_minute: unlimited,
        requests_per_day: unlimited,
        ..GroupLimits::default()
    };
    let starts = [
        start(identity, "platform", platform.clone(), Role::PlatformOwner, Tier::Enterprise, GroupLimits::default()).await?,
        start(identity, "organisation", owner.clone(), Role::GroupOwner, tier, limits).await?,
    ];
    for start in &starts {
        start.file.prepare(&start.prepared.secret)?;
    }
    let made = make(identity, &starts).await?;
    // Ours, or those of a replica that was quicker.
    mend(identity, &[platform, owner]).await?;
    Ok(made.then(|| starts[1].prepared.secret.reveal().to_owned()))
}

async fn is_done(identity: &Identity) -> Result<bool, Error> {
    let system = identity.db.system("the first groups are the platform's");
    let done: Option<(String,)> = system.sql("select name from bootstrap where name = $1").bind("platform").opt().await?;
    Ok(done.is_some())
}

async fn start(identity: &Identity, name: &'static str, file: KeyFile, role: Role, tier: Tier, limits: GroupLimits) -> Result<Start, Error> {
    let micros = identity.db.clock().micros();
    let short_id = secret::short_id().map_err(Refusal::internal)?;
    let prepared = Prepared::new(&identity.hasher, &short_id, micros).await?;
    let id = GroupId::new(micros);
    let group = Group {
        id,
        root_id: id,
        short_id,
        name: if role == Role::PlatformOwner { "platform".to_owned() } else { "First organisation".to_owned() },
        tier: tier.word().to_owned(),
        limits,
        ..Group::first(store::At(micros))
    };
    Ok(Start { name, file, role, group, prepared })
}

/// All in one transaction. False: somebody else has made them.
async fn make(identity: &Identity, starts: &[Start]) -> Result<bool, Error> {
    let mut tx = identity.db.system("the first groups are the platform's").begin().await?;
    for start in starts {
        // The first statement: of two replicas one waits here for the other's COMMIT, and then finds its row.
        let insert = tx.sql("insert into bootstrap (name, group_ref, key_ref) values ($1, $2, $3) on conflict (name) do nothing");
        if insert.bind(start.name).bind(start.group.id).bind(*start.prepared.id).run().await? == 0 {
            tx.undo().await?; // and the other's COMMIT is over
            return Ok(false);
        }
        keep(&mut tx, start).await?;
    }
    tx.commit().await?;
    Ok(true)
}

async fn keep(tx: &mut Tx, start: &Start) -> Result<(), Refusal> {
    let group = &start.group;
    tx.count("groups", group.id, 1, UNLIMITED).await?;
    groups::store::insert(tx, group).await?;
    tx.emit(groups::changed("group_created", group, group.state(), None))?;
    let key = Key {
        group_id: group.id,
        id: start.prepared.id,
        root_id: group.id,
        prefix: start.prepared.secret.prefix().to_owned(),
        name: format!("First key of {}", group.name),
        scopes: vec!["*".to_owned()],
        role: start.role,
        times: Times::default(),
        revoke_reason: String::new(),
        revision: 1,
        creator: Creator::of(&Principal::system()),
        create_time: group.create_time,
        update_time: group.create_time,
    };
    create::keep(tx, &key, &start.prepared.made).await
}

/// Puts real keys in their place, and takes away those that open nothing.
async fn mend(identity: &Identity, files: &[KeyFile]) -> Result<(), Error> {
    for file in files {
        for leftover in file.leftovers()? {
            match leftover.secret {
                Some(secret) if is_real(identity, &secret).await? => file.place(&secret)?,
                _ => files::remove(&leftover.path)?,
            }
        }
    }
    Ok(())
}

async fn is_real(identity: &Identity, secret: &Secret) -> Result<bool, Error> {
    match identity.verify(secret.reveal()).await {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.reason() == contract::Reason::InvalidApiKey => Ok(false),
        Err(refusal) => Err(refusal.into()),
    }
}

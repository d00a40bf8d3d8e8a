//! Identity: groups, keys, tiers, and what the gateways must know of them.
//!
//! * [`Identity`] is the service: `GroupService` and `KeyService` for callers, `AccessService` for gateways.
//! * A group is a tenant; groups nest (`groups`). A key belongs to the group it was made in (`keys`); its form stands in [`secret`], how
//!   it is kept in [`hash`], where it stands in [`state`], what its group's tier allows in [`tiers`].
//! * What the gateways cache is kept true by one feed of changes, numbered in the transactions that make them (`changes`), and asked
//!   for in `access`.
//! * The first start makes the platform's group and a first organisation ([`bootstrap()`]).
//!
//! An organisation's own numbers for requests and groups are the organisation's, those for keys and things the group's they stand on:
//! nothing is inherited but the tier, as `GroupLimits` says.

mod access;
pub mod bootstrap;
mod changes;
mod groups;
pub mod hash;
mod keys;
mod migrations;
mod retention;
pub mod secret;
pub mod state;
pub mod tiers;
#[cfg(test)]
mod world;

pub use bootstrap::bootstrap;
pub use migrations::MIGRATIONS;
pub use retention::Keeper;

use changes::Changes;
use chassis::secret::Secrets;
use contract::{
    Reason, Refusal,
    id::GroupId,
    identity::v1::{group_service_server::GroupServiceServer, key_service_server::KeyServiceServer},
    internal::v1::access_service_server::AccessServiceServer,
};
use hash::Hasher;
use std::time::Duration;
use store::{Append, Db, Relay};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// The service's own schema, and its audience.
pub const SCHEMA: &str = "identity";

/// The service. Clones are the same one.
#[derive(Clone)]
pub struct Identity {
    db: Db,
    hasher: Hasher,
    changes: Changes,
}

impl Identity {
    /// On this store, which was opened with [`SCHEMA`] and [`MIGRATIONS`]; time is the store's. The pepper is made of the root secrets.
    #[must_use]
    pub fn new(db: Db, secrets: &Secrets) -> Self {
        Self { changes: Changes::new(db.clone()), hasher: Hasher::new(secrets), db }
    }

    /// All its services, public and internal.
    #[must_use]
    pub fn routes(&self) -> Routes {
        Routes::new(GroupServiceServer::new(self.clone()))
            .add_service(KeyServiceServer::new(self.clone()))
            .add_service(AccessServiceServer::new(self.clone()))
    }

    /// Ships events to the log, forgets old changes, and tells `keeper` how long records are kept, until it is told to stop. `gather` is how
    /// long the relay waits for more after news.
    pub async fn run(self, log: impl Append, keeper: impl Keeper, gather: Duration, stop: CancellationToken) {
        let relay = Relay::new(self.db.clone(), log, gather);
        tokio::join!(relay.run(stop.clone()), self.tell_retention(&keeper, &stop), self.changes.clone().run(stop.clone()));
    }
}

/// The tenant comes from the credential and x-group-id; a body that names another would be ignored without a word otherwise.
fn mismatch(named: &str) -> Refusal {
    let refusal = Refusal::new(Reason::GroupMismatch, "the group_id in the body is not the acting group; leave it out, or send x-group-id");
    // Only what is an id: a field may hold by mistake what must not be repeated.
    match GroupId::parse(named) {
        Some(id) => refusal.with("group_id", id.to_string()),
        None => refusal,
    }
}

//! What a tenant's world is made of: types of things (from packs), and the things themselves.
//!
//! * [`Ontology`] is the service: its routes, and what runs behind them. Handlers are one line each; what they do stands below `things`
//!   as functions of (types, principal, transaction, input) that know no gRPC, so that batch and import can call them.
//! * A pack (`packs/*.yaml`) is read once at start into types (`pack` as it is written, `load` from texts to `types`); `check` holds a
//!   thing against its type. Only the core pack is on.
//!
//! A thing's state, its event and the remembered answer are one transaction (see [`store`]); this crate adds one read and one write to it.

mod check;
#[doc(hidden)]
pub mod fuzzing;
mod load;
mod migrations;
mod pack;
mod things;
mod types;

pub use migrations::{MIGRATIONS, SCHEMA};

use contract::ontology::v1::thing_service_server::ThingServiceServer;
use std::{collections::HashMap, time::Duration};
use store::{Append, Db, Relay};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use types::Types;

/// Other names of event types, to the names under which the log keeps them: what the events service is told of the packs.
pub fn event_aliases() -> HashMap<String, String> {
    load::core().event_aliases.clone()
}

/// The service. Clones are the same one.
#[derive(Clone)]
pub struct Ontology {
    db: Db,
    types: &'static Types,
}

impl Ontology {
    /// Over a store of [`SCHEMA`] and [`MIGRATIONS`]. The packs are read here, once a process.
    pub fn new(db: Db) -> Self {
        Self { db, types: load::core() }
    }

    /// Its gRPC services. They expect a verified principal with each call (`chassis::room`).
    pub fn routes(&self) -> Routes {
        Routes::new(ThingServiceServer::new(self.clone()))
    }

    /// Ships its changes to the log until `stop`, then what is left. `gather` is how long the relay waits for more after news.
    pub async fn run(self, log: impl Append, gather: Duration, stop: CancellationToken) {
        Relay::new(self.db, log, gather).run(stop).await;
    }
}

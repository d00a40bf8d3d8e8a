//! events: the log of all that changed.
//!
//! One way leads in: a service's relay calls `EventLogService.Append`. Three lead out: consumers read all groups by position
//! (`EventLogService.Read`), clients watch or list their group's (`EventService`). Everything about order and "once" is decided in [`log`];
//! the services only say it in messages.

mod event_service;
mod log;
mod log_service;
mod migrations;
#[cfg(test)]
mod tests;

use contract::{events::v1::event_service_server::EventServiceServer, id::GroupId, internal::v1::event_log_service_server::EventLogServiceServer};
use event_service::EventApi;
pub use log::Aliases;
use log::Log;
use log_service::LogApi;
use std::time::Duration;
use store::{At, Db, Migration};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// The service's schema, and its name as an audience.
pub const SCHEMA: &str = "events";

/// Its tables.
pub const MIGRATIONS: &[Migration] = &[store::BASE, migrations::LOG];

/// An append is at most 500 events and about 1 MiB by the relay's count; refusing one for its size would stop every tenant.
const LARGEST_APPEND: usize = 64 << 20;

/// A watch says at least so often that it lives, and where it stands.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The service. Clones are the same one.
#[derive(Clone)]
pub struct Events {
    log: Log,
    drain: CancellationToken,
    heartbeat: Duration,
}

impl Events {
    /// Over its schema; filters know types by their `aliases` too. When `drain` is cancelled, every watch ends with `SHUTTING_DOWN` and its last cursor, and every waiting read answers.
    #[must_use]
    pub fn new(db: Db, aliases: Aliases, drain: CancellationToken) -> Self {
        Self { log: Log::new(db, aliases), drain, heartbeat: HEARTBEAT }
    }

    /// With another heartbeat: a test does not wait 15 seconds.
    #[cfg(test)]
    fn with_heartbeat(self, heartbeat: Duration) -> Self {
        Self { heartbeat, ..self }
    }

    /// Its rpcs, public and internal.
    #[must_use]
    pub fn routes(&self) -> Routes {
        let public = EventServiceServer::new(EventApi::new(self.log.clone(), self.drain.clone(), self.heartbeat));
        let internal = EventLogServiceServer::new(LogApi::new(self.log.clone(), self.drain.clone()));
        Routes::new(public).add_service(internal.max_decoding_message_size(LARGEST_APPEND))
    }

    /// Tells watchers and consumers of news until `stop`. Without it they see only what was there when they came.
    pub async fn run(self, stop: CancellationToken) {
        self.log.tell(&stop).await;
    }

    /// Forgets what a group's log holds from before `keep_from`, a thousand events at most; true while there is more.
    ///
    /// # Errors
    /// The store's own; then nothing was forgotten.
    pub async fn retain(&self, group: GroupId, keep_from: At) -> store::Result<bool> {
        self.log.retain(group, keep_from).await
    }
}

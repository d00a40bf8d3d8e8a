//! events: the log of all that changed, and the log of all that was asked.
//!
//! One way leads into the first: a service's relay calls `EventLogService.Append`. Three lead out: consumers read all groups by position
//! (`EventLogService.Read`), clients watch or list their group's (`EventService`). Everything about order and "once" is decided in [`log`];
//! the services only say it in messages.
//!
//! Into the second the gateways write (`RequestLogService.AppendRequests`, [`request_log`]), and clients read it one by one or counted
//! (`UsageService`, [`usage`]). Refusals lead from there into the first ([`refusals`]): one event a minute at most, for what is refused is
//! no change, and strangers must not fill a log. Those without a known key are told of in the platform's log, by address and bounded: a
//! metric alone would not tell its owner who is guessing.
//!
//! Both forget what is older than a group's tier keeps ([`retention`]).

mod event_service;
mod log;
mod log_service;
mod migrations;
mod refusals;
mod request_log;
mod request_log_service;
mod retention;
#[cfg(test)]
mod tests;
mod usage;
mod usage_service;

use contract::{
    events::v1::{event_service_server::EventServiceServer, usage_service_server::UsageServiceServer},
    internal::v1::{
        event_log_service_server::EventLogServiceServer, request_log_service_server::RequestLogServiceServer,
        retention_service_server::RetentionServiceServer,
    },
};
use event_service::EventApi;
pub use log::Aliases;
use log::Log;
use log_service::LogApi;
use request_log::RequestLog;
use request_log_service::RequestLogApi;
use retention::Retention;
use std::time::Duration;
use store::{Db, Migration};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use usage_service::UsageApi;

/// The service's schema, and its name as an audience.
pub const SCHEMA: &str = "events";

/// Its tables.
pub const MIGRATIONS: &[Migration] = &[store::BASE, migrations::LOG, migrations::REQUESTS, migrations::RECENT];

/// An append is at most 500 events and about 1 MiB by the relay's count, or 4,096 requests and less than 4 MiB by the gateway's; refusing one for its
/// size would stop every tenant.
const LARGEST_APPEND: usize = 64 << 20;

/// A watch says at least so often that it lives, and where it stands.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The service. Clones are the same one.
#[derive(Clone)]
pub struct Events {
    db: Db,
    log: Log,
    requests: RequestLog,
    drain: CancellationToken,
    heartbeat: Duration,
}

impl Events {
    /// Over its schema; filters know types by their `aliases` too. When `drain` is cancelled, every watch ends with `SHUTTING_DOWN` and its last cursor, and every waiting read answers.
    #[must_use]
    pub fn new(db: Db, aliases: Aliases, drain: CancellationToken) -> Self {
        let log = Log::new(db.clone(), aliases);
        Self { requests: RequestLog::new(db.clone()), db, log, drain, heartbeat: HEARTBEAT }
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
        Routes::new(public)
            .add_service(internal.max_decoding_message_size(LARGEST_APPEND))
            .add_service(UsageServiceServer::new(UsageApi(self.requests.clone())))
            .add_service(RequestLogServiceServer::new(RequestLogApi(self.requests.clone())).max_decoding_message_size(LARGEST_APPEND))
            .add_service(RetentionServiceServer::new(self.retention()))
    }

    /// Until `stop`: tells watchers and consumers of news (without it they see only what was there when they came), tells of refusals, moves
    /// what was counted of requests, and forgets what is too old.
    pub async fn run(self, stop: CancellationToken) {
        let retention = self.retention();
        tokio::join!(self.log.tell(&stop), refusals::run(&self.db, &self.log, &stop), usage::fold::run(&self.db, &stop), retention.run(&stop));
    }

    fn retention(&self) -> Retention {
        Retention { db: self.db.clone(), log: self.log.clone(), requests: self.requests.clone() }
    }
}

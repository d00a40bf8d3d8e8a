//! Requests on record: what every gateway tells of each call, kept one by one, counted, and told of where something was refused.
//!
//! What is promised, and by what:
//! * Each batch counts once: a gateway numbers its batches and sends one until it is answered, so the number of the last one stands for all
//!   of them, and moves in the batch's own transaction.
//! * A request belongs to the group it acted in; refused before, to the credential's; without a credential, to the platform's own, for it
//!   has no tenant. Strangers can fill nobody's log with it: of theirs only refusals are kept one by one, [`STRANGERS`] a minute, and the
//!   rest is counted.
//! * Content is never refused: what no engine could keep is cut.

mod append;
mod block;
mod list;
mod retain;
mod row;
mod shown;
mod strangers;

pub(crate) use row::{Row, code, reason, route};
pub(crate) use shown::{address, duration, text};

use contract::{Reason, Refusal, id::GroupId};
use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use store::Db;
use strangers::Strangers;

/// Requests without a credential that are kept one by one, in a minute.
const STRANGERS: usize = 100;

/// The requests of all groups. Clones are the same log.
#[derive(Clone)]
pub(crate) struct RequestLog {
    pub(crate) db: Db,
    platform: Arc<OnceLock<GroupId>>,
    strangers: Arc<Mutex<Strangers>>,
}

impl RequestLog {
    /// Over its schema.
    pub(crate) fn new(db: Db) -> Self {
        Self { db, platform: Arc::default(), strangers: Arc::default() }
    }

    /// The group of those who have none. It never changes.
    ///
    /// # Errors
    /// `IDENTITY_UNAVAILABLE`: identity has not told yet which one it is.
    async fn platform(&self) -> Result<GroupId, Refusal> {
        if let Some(known) = self.platform.get() {
            return Ok(*known);
        }
        let system = self.db.system("the platform's group is nobody's tenant");
        let told: Option<(GroupId,)> = system.sql("select group_ref from platform where name = $1").bind("platform").opt().await?;
        let unknown = || Refusal::new(Reason::IdentityUnavailable, "the platform's group is not known yet").retry(Duration::from_millis(500));
        let (platform,) = told.ok_or_else(unknown)?;
        Ok(*self.platform.get_or_init(|| platform))
    }
}

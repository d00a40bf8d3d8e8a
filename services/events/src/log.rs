//! The log: appended to by relays, read by consumers and watchers.
//!
//! What is promised, and by what:
//! * Each event once: (group, event id) is unique; what is known is skipped.
//! * A reader may trust its cursor: `position` and `sequence` are given under the head row's lock, held to COMMIT, so the order of numbers
//!   is the order in which they become visible.
//! * Sequences have no gaps, so a reader of one group sees by itself that something is missing. Nobody has to tell it.
//! * Below a floor something may be gone; retention moves it in the transaction that takes the rows.

mod append;
mod batcher;
mod cursor;
mod error;
mod feed;
mod filter;
mod hub;
mod list;
mod logged;
mod read;
mod retain;
mod watch;

pub(crate) use error::{Error, shutting_down};
pub(crate) use filter::Filter;
pub(crate) use logged::Logged;
pub(crate) use read::Part;
pub(crate) use watch::{From, Watch};

use batcher::Batcher;
use chassis::clock::Clock;
use contract::id::GroupId;
use error::Result;
use futures::FutureExt;
use hub::Hub;
use std::{collections::HashMap, sync::Arc};
use store::Db;

/// One head orders all groups today; with more of them the log can be distributed.
const PARTITION: i64 = 0;
/// A page for readers of the log.
const PAGE_BYTES: usize = 1 << 20;

/// The log of all groups. Clones are the same log.
#[derive(Clone)]
pub(crate) struct Log {
    db: Db,
    clock: Clock,
    hub: Arc<Hub>,
    batcher: Batcher,
    aliases: Arc<Aliases>,
}

/// Other names of event types, and the names under which events are kept.
pub type Aliases = HashMap<String, String>;

/// How far a group's log reaches, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reach {
    /// The last number that was given.
    sequence: i64,
    /// What is kept stands after this one.
    floor: i64,
}

store::record!(Reach { sequence, floor });

impl Log {
    pub(crate) fn new(db: Db, aliases: Aliases) -> Self {
        let (clock, hub) = (db.clock().clone(), Arc::<Hub>::default());
        let (store, news) = (db.clone(), hub.hint());
        let batcher = Batcher::start(move |events| append::keep(store.clone(), news.clone(), events).boxed());
        Self { db, clock, hub, batcher, aliases: Arc::new(aliases) }
    }

    /// The name under which events of a type are kept.
    fn canonical(&self, kind: &str) -> String {
        self.aliases.get(kind).map_or(kind, String::as_str).to_owned()
    }

    /// How many pages were read.
    #[cfg(test)]
    pub(crate) fn reads(&self) -> u64 {
        self.hub.reads()
    }

    async fn group(&self, group: GroupId) -> Result<Reach> {
        let reach = self.db.group(group).sql("select sequence, floor from log_group where group_id = $1").bind(group).opt().await?;
        Ok(reach.unwrap_or_default())
    }

    /// A group's events after a number.
    async fn page_of(&self, group: GroupId, after: i64) -> Result<Vec<Logged>> {
        self.hub.count();
        let rows = self
            .db
            .group(group)
            .sql("select * from event where group_id = $1 and sequence > $2 order by sequence limit 500")
            .bind(group)
            .bind(after)
            .page(PAGE_BYTES)
            .await?;
        Ok(rows)
    }
}

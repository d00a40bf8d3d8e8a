//! A change: state, counters, events and the remembered answer, kept together or not at all.

use crate::{
    At, Db, Result, Sql,
    db::Shared,
    engine::{Dialect, On, Scope, Transaction, words},
    remember::Claim,
};
use bytes::Bytes;
use chassis::{principal::Principal, telemetry::Step};
use contract::{id::GroupId, identity::v1::ActorKind, internal::v1::LogEvent};
use futures::{FutureExt, future::BoxFuture};
use std::sync::Arc;
use tokio::sync::Notify;

/// An open transaction. Dropped: it never was.
pub struct Tx {
    pub(crate) transaction: Transaction,
    pub(crate) author: Author,
    /// What [`Tx::emit`] took; written together with the answer, just before COMMIT, while the targets' rows are still locked.
    pub(crate) events: Vec<LogEvent>,
    scope: Scope,
    now: At,
    shared: Arc<Shared>,
    wakes: Vec<Arc<Notify>>,
}

/// Who makes a change, as its events tell it: ids as 16 bytes, or empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Author {
    pub(crate) kind: ActorKind,
    pub(crate) id: Bytes,
    pub(crate) key: Bytes,
    pub(crate) on_behalf_of: Bytes,
    pub(crate) call_id: String,
    pub(crate) traceparent: String,
}

impl Author {
    pub(crate) fn system() -> Self {
        Self { kind: ActorKind::System, ..Self::default() }
    }

    pub(crate) fn of(principal: &Principal) -> Self {
        let bytes = |id: uuid::Uuid| if id.is_nil() { Bytes::new() } else { Bytes::copy_from_slice(id.as_bytes()) };
        let actor = &principal.actor;
        Self {
            kind: actor.kind,
            id: bytes(*actor.id),
            key: actor.key_id.map(|id| bytes(*id)).unwrap_or_default(),
            on_behalf_of: actor.on_behalf_of.map(|id| bytes(*id)).unwrap_or_default(),
            call_id: principal.call_id.clone(),
            traceparent: principal.traceparent.clone(),
        }
    }
}

impl Tx {
    /// Waits its turn, first come first served.
    pub(crate) async fn begin(db: &Db, scope: Scope, author: Author) -> Result<Self> {
        let mut tx = Self::late(db, scope, author).await?;
        tx.transaction.start().await?;
        Ok(tx)
    }

    /// On SQLite it waits its turn when it first reads, or not at all.
    pub(crate) async fn late(db: &Db, scope: Scope, author: Author) -> Result<Self> {
        let transaction = db.engine().begin(&scope).await?;
        let (now, shared) = (At(db.0.clock.micros()), db.0.clone());
        Ok(Self { transaction, author, events: Vec::new(), scope, now, shared, wakes: Vec::new() })
    }

    /// A statement of this transaction. Await it at once.
    pub fn sql(&mut self, text: &'static str) -> Sql<'_> {
        Sql::new(On::Transaction(&mut self.transaction), text, self.shared.texts.as_ref())
    }

    /// When it began: the one time of everything in it.
    #[must_use]
    pub fn now(&self) -> At {
        self.now
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Rows of these groups too. A handler's transaction reaches the rows of the acting group; who writes a row of another one (a new
    /// group's own) says so here. On Postgres the wall then lets it through; SQLite has no such wall.
    ///
    /// # Errors
    /// The statement did not run.
    pub async fn reach(&mut self, more: &[GroupId]) -> Result<()> {
        let Scope::Groups(groups) = &self.scope else { return Ok(()) };
        if more.iter().all(|group| groups.contains(group)) {
            return Ok(());
        }
        let all: Vec<GroupId> = groups.iter().chain(more).copied().collect();
        if self.transaction.dialect() == Dialect::Postgres {
            self.sql("select set_config('one.group_ids', $1, true)").bind(words(&all)).run().await?;
        }
        self.scope = Scope::Groups(all.into());
        Ok(())
    }

    /// Notified after a COMMIT that succeeded.
    pub fn wake(&mut self, who: Arc<Notify>) {
        self.wakes.push(who);
    }

    /// Ok: synced to disk. Err: nothing was kept (but for [`Error::Unknown`](crate::Error::Unknown)).
    ///
    /// # Errors
    /// As they say what to do next.
    pub async fn commit(self) -> Result<()> {
        self.finish(None).await
    }

    /// Runs what was put off.
    pub(crate) fn settle(&mut self) -> BoxFuture<'_, Result<()>> {
        self.transaction.settle().boxed()
    }

    /// Writes the events and the answer, then commits.
    pub(crate) fn finish<'a>(mut self, answer: Option<(&'a Claim, Vec<u8>)>) -> BoxFuture<'a, Result<()>> {
        async move {
            let _step = Step::begin("store.commit", self.transaction.dialect().system());
            self.flush(answer).await?;
            self.transaction.commit().await?;
            self.wakes.iter().for_each(|who| who.notify_one());
            Ok(())
        }
        .boxed()
    }

    /// Rolls back, and returns when what was read is true: a neighbour's row is visible before its COMMIT.
    ///
    /// # Errors
    /// Those neighbours were not kept, so what was read is worth nothing.
    pub async fn undo(self) -> Result<()> {
        self.transaction.undo().await
    }
}

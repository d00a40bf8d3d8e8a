//! Readers of the event log that do something with what they read, in their own schema.
//!
//! The cursor moves with `where position = old` in the same transaction as the effect: that is the fence, whoever holds the lease.

use crate::{At, Db, Lease, Result, Tx, lease::PARTITION};
use contract::{Refusal, internal::v1::Entry};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// `EventLogService.Read`, here or at the end of a channel.
pub trait Source: Send + Sync + 'static {
    /// Entries after a position, in order; waits a while for news before it answers with none. `floor` is that of the first batch, the one
    /// after 0.
    fn read(&self, after: i64, floor: i64) -> impl Future<Output = Result<Batch, Status>> + Send;
}

/// A part of the log.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In order of position; none when nothing came.
    pub entries: Vec<Entry>,
    /// Up to there something may be gone.
    pub floor: i64,
}

/// Where a consumer stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The last position it has had.
    after: i64,
    /// Up to there something was gone when it began, which it does not miss: tiers differ in how long they keep, so the log thins out
    /// before it ends. It stands beside the cursor, for who has forgotten it could not tell the old holes from new ones.
    floor: i64,
}

/// What a consumer does with entries, in the transaction that moves its cursor.
pub trait Effect: Send + 'static {
    /// Applies them. After an error nothing of it is kept, and they come again.
    fn apply(&mut self, tx: &mut Tx, entries: &[Entry]) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// Moves through the log with a cursor of its own.
pub struct Consumer<S, E> {
    db: Db,
    source: S,
    effect: E,
    lease: Lease,
}

/// Where the floor of a consumer's beginning stands among its partitions.
const FLOOR: i64 = -1;
/// After an error.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a batch had no effect.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] crate::Error),
    #[error("the log did not answer: {0}")]
    Log(#[from] Box<Status>),
    #[error("the effect refused: {0}")]
    Effect(#[from] Refusal),
}

impl<S: Source, E: Effect> Consumer<S, E> {
    /// Its cursor stands in `db` under `name`; `life` is how long other replicas wait for one that died.
    pub fn new(db: Db, name: &'static str, source: S, effect: E, life: Duration) -> Self {
        Self { db, source, effect, lease: Lease::new(name, life) }
    }

    /// Until it is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(step) = stop.run_until_cancelled(self.step()).await {
            if let Err(error) = step {
                tracing::warn!(consumer = self.lease.name(), %error, "consumer");
                stop.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
    }

    /// One batch.
    async fn step(&mut self) -> Result<(), Error> {
        let Place { after: at, floor } = self.place().await?;
        let Batch { entries, floor: begun } = self.source.read(at, floor).await.map_err(Box::new)?;
        let Some(last) = entries.last().map(|entry| entry.position) else { return Ok(()) };
        if !self.lease.taken(&self.db).await? {
            sleep(self.lease.life() / 5).await;
            return Ok(());
        }
        let asked = self.db.clock().now();
        let mut tx = self.db.system("a consumer reads every tenant's events").begin().await?;
        if !self.fence(&mut tx, at, last).await? {
            self.lease.lost();
            return Ok(()); // dropped: rolled back
        }
        if at == 0 {
            self.begin(&mut tx, begun).await?;
        }
        self.effect.apply(&mut tx, &entries).await?;
        tx.commit().await?;
        self.lease.prolonged(asked);
        Ok(())
    }

    async fn place(&self) -> Result<Place> {
        let rows: Vec<(i64, i64)> = self
            .db
            .system("a consumer's cursor is the service's own")
            .sql("select partition, position from worker where name = $1 and partition in ($2, $3)")
            .bind(self.lease.name())
            .bind(PARTITION)
            .bind(FLOOR)
            .all()
            .await?;
        let of = |partition| rows.iter().find(|row| row.0 == partition).map_or(0, |row| row.1);
        Ok(Place { after: of(PARTITION), floor: of(FLOOR) })
    }

    /// Keeps the floor of the beginning, in a row of its own that nobody holds.
    async fn begin(&self, tx: &mut Tx, floor: i64) -> Result<()> {
        tx.sql(
            "insert into worker (name, partition, position, holder, held_until) values ($1, $2, $3, $4, $5)
             on conflict (name, partition) do update set position = excluded.position",
        )
        .bind(self.lease.name())
        .bind(FLOOR)
        .bind(floor)
        .bind(self.lease.me())
        .bind(At(0))
        .run()
        .await
        .map(drop)
    }

    /// The fence is `position = at`; the lease moves along for nothing.
    async fn fence(&self, tx: &mut Tx, at: i64, to: i64) -> Result<bool> {
        let until = At(self.db.clock().micros()).later(self.lease.life());
        let moved = tx
            .sql("update worker set position = $1, held_until = $2 where name = $3 and partition = $4 and position = $5 and holder = $6")
            .bind(to)
            .bind(until)
            .bind(self.lease.name())
            .bind(PARTITION)
            .bind(at)
            .bind(self.lease.me())
            .run()
            .await?;
        Ok(moved == 1)
    }
}

//! Work that one replica does at a time.
//!
//! A lease saves work and proves nothing: a replica that lost one without knowing repeats an append (known ids), a delete (gone rows) or a
//! batch of effects (its cursor moved: rolled back). It is taken when there is work and renewed in the work's own transaction: an idle
//! house writes nothing.

use crate::{At, Db, Result, Tx};
use std::time::Duration;
use uuid::Uuid;

/// The one partition of the log there is today. It stands in keys already, because one global head cannot be distributed.
pub(crate) const PARTITION: i64 = 0;

/// A claim on a piece of work, by its name.
pub struct Lease {
    name: &'static str,
    me: Uuid,
    life: Duration,
    /// By the monotonic clock.
    until: Option<Duration>,
}

impl Lease {
    /// Not held yet. `life` is how long the others wait for one who died.
    #[must_use]
    pub fn new(name: &'static str, life: Duration) -> Self {
        Self { name, me: Uuid::new_v4(), life, until: None }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn me(&self) -> Uuid {
        self.me
    }

    pub(crate) fn life(&self) -> Duration {
        self.life
    }

    pub(crate) fn held(&self, db: &Db) -> bool {
        self.until.is_some_and(|until| db.clock().now() < until)
    }

    /// Ours ends sooner than the others' view of it.
    pub(crate) fn prolonged(&mut self, from: Duration) {
        self.until = Some(from + self.life / 2);
    }

    pub(crate) fn lost(&mut self) {
        self.until = None;
    }

    /// Takes it or prolongs it; false while it is another's.
    pub(crate) async fn take(&mut self, db: &Db, tx: &mut Tx) -> Result<bool> {
        let (asked, now) = (db.clock().now(), At(db.clock().micros()));
        let taken = tx
            .sql(
                "insert into worker (name, partition, position, holder, held_until) values ($1, $2, 0, $3, $4)
                 on conflict (name, partition) do update set holder = excluded.holder, held_until = excluded.held_until
                 where worker.holder = excluded.holder or worker.held_until < $5",
            )
            .bind(self.name)
            .bind(PARTITION)
            .bind(self.me)
            .bind(now.later(self.life))
            .bind(now)
            .run()
            .await?;
        self.lost();
        if taken == 1 {
            self.prolonged(asked);
        }
        Ok(taken == 1)
    }

    /// Leaves it to the others at once: without this a restart would wait out its predecessor's life.
    pub(crate) async fn leave(&mut self, db: &Db) -> Result<()> {
        self.lost();
        let mut tx = db.system("a lease is the service's own").begin().await?;
        let ended = At(db.clock().micros()).earlier(Duration::from_micros(1));
        let leave = tx.sql("update worker set held_until = $1 where name = $2 and partition = $3 and holder = $4 and held_until > $1");
        leave.bind(ended).bind(self.name).bind(PARTITION).bind(self.me).run().await?;
        tx.commit().await
    }

    /// One point read, so that those who wait do not write.
    pub(crate) async fn taken(&mut self, db: &Db) -> Result<bool> {
        if self.held(db) {
            return Ok(true);
        }
        let system = db.system("a lease is the service's own");
        let other: Option<(i64,)> = system
            .sql("select position from worker where name = $1 and partition = $2 and holder <> $3 and held_until > $4")
            .bind(self.name)
            .bind(PARTITION)
            .bind(self.me)
            .bind(At(db.clock().micros()))
            .opt()
            .await?;
        if other.is_some() {
            return Ok(false);
        }
        let mut tx = system.begin().await?;
        let taken = self.take(db, &mut tx).await?;
        tx.commit().await?;
        Ok(taken)
    }
}

//! The feed's head row, read once for all who wait for it.

use contract::Refusal;
use store::{Db, record};
use tokio::{sync::Mutex, time::Instant};

/// How far the feed reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last number that was given.
    pub(crate) position: i64,
    /// The last number that was thrown away.
    pub(crate) floor: i64,
}
record!(Head { position, floor });

impl Head {
    /// All after that position is there.
    pub(crate) fn reaches(self, after: i64) -> bool {
        (self.floor..=self.position).contains(&after)
    }
}

/// The last read, and when it began.
#[derive(Default)]
pub(crate) struct Reads(Mutex<Option<(Instant, Head)>>);

impl Reads {
    /// The head, from a read that began at that time or later. Those who come while one runs wait for it, and need at most one more.
    pub(crate) async fn since(&self, db: &Db, begun: Instant) -> Result<Head, Refusal> {
        let mut last = self.0.lock().await;
        if let Some((_, head)) = last.filter(|(at, _)| *at >= begun) {
            return Ok(head);
        }
        let at = Instant::now();
        let head = read(db).await?;
        *last = Some((at, head));
        Ok(head)
    }
}

/// One indexed row.
pub(crate) async fn read(db: &Db) -> Result<Head, Refusal> {
    let system = db.system("the change feed is the platform's");
    Ok(system.sql("select position, floor from change_head where id = 1").one().await?)
}

//! Counters that have a limit.

use crate::{Error, Tx};
use contract::{Reason, Refusal, id::GroupId};

impl Tx {
    /// Counts `n` more (or fewer) of a kind in a group, and refuses what would pass the limit; -1 is no limit.
    ///
    /// The counter's row stays locked until COMMIT, so two callers can't take the last place both.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`, or the store's own; on SQLite with the next statement that reads, or at COMMIT.
    pub async fn count(&mut self, kind: &'static str, group: GroupId, n: i64, limit: i64) -> Result<(), Refusal> {
        // A first row may not pass the limit either, and the statement below asks that of existing rows only.
        if limit >= 0 && n > limit {
            return Err(exceeded(kind, group, limit));
        }
        self.reach(&[group]).await?;
        let no = move || Error::Refused(Box::new(exceeded(kind, group, limit)));
        self.sql(
            "insert into counter (group_id, kind, n) values ($1, $2, $3)
                 on conflict (group_id, kind) do update set n = counter.n + excluded.n
                 where $4 < 0 or excluded.n <= 0 or counter.n + excluded.n <= $4",
        )
        .bind(group)
        .bind(kind)
        .bind(n)
        .bind(limit)
        .later_or(no)
        .await
        .map_err(Refusal::from)
    }

    /// What [`Tx::count`] has counted.
    ///
    /// # Errors
    /// The store's own.
    pub async fn counted(&mut self, kind: &'static str, group: GroupId) -> Result<i64, Refusal> {
        self.reach(&[group]).await?;
        let row: Option<(i64,)> = self.sql("select n from counter where group_id = $1 and kind = $2").bind(group).bind(kind).opt().await?;
        Ok(row.map_or(0, |(n,)| n))
    }
}

fn exceeded(kind: &'static str, group: GroupId, limit: i64) -> Refusal {
    Refusal::new(Reason::QuotaExceeded, format!("this group may have at most {limit} {kind}, archived ones included; ask for a higher tier"))
        .with("kind", kind)
        .with("limit", limit.to_string())
        .quota(format!("group:{group}"), format!("at most {limit} {kind}"))
}

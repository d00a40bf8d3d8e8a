//! Forgetting what is older than a tier keeps.

use super::{Log, PARTITION};
use contract::id::GroupId;
use store::{At, Result, Tx};

/// So many rows a transaction: others wait behind it.
const BATCH: i64 = 1000;

impl Log {
    /// Forgets what a group's log holds from before that time, a thousand rows at most; true while there is more. The floors move with the
    /// rows, so that no reader takes the hole for the log.
    ///
    /// Only a beginning of the log goes: an event that arrived late, and is older than the one before it, stays until that one goes.
    pub(crate) async fn retain(&self, group: GroupId, keep_from: At) -> Result<bool> {
        let mut tx = self.db.system("retention moves the floor of all groups").begin().await?;
        let Some((sequence, position)) = oldest(&mut tx, group, keep_from).await? else { return Ok(false) };
        raise(&mut tx, group, sequence, position).await?;
        let gone = tx.sql("delete from event where group_id = $1 and sequence <= $2").bind(group).bind(sequence).run().await?;
        tx.commit().await?;
        Ok(gone >= BATCH.unsigned_abs())
    }
}

/// The highest numbers of those that may go: of the oldest thousand, all before the first that is young enough to stay.
async fn oldest(tx: &mut Tx, group: GroupId, keep_from: At) -> Result<Option<(i64, i64)>> {
    let found: (Option<i64>, Option<i64>) = tx
        .sql(
            "with page as (select sequence, position, create_time from event where group_id = $1 order by sequence limit 1000) \
             select max(sequence), max(position) from page \
             where sequence < (select coalesce(min(sequence), 9223372036854775807) from page where create_time >= $2)",
        )
        .bind(group)
        .bind(keep_from)
        .one()
        .await?;
    Ok(found.0.zip(found.1))
}

/// First the head, as [`Log::append`] does: whoever locks both locks them in one order.
async fn raise(tx: &mut Tx, group: GroupId, sequence: i64, position: i64) -> Result<()> {
    tx.sql("update log_head set floor = $1 where partition = $2 and floor < $1").bind(position).bind(PARTITION).run().await?;
    tx.sql("update log_group set floor = $1 where group_id = $2 and floor < $1").bind(sequence).bind(group).run().await?;
    Ok(())
}

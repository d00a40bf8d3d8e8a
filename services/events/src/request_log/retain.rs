//! Forgetting what is older than a tier keeps.

use super::{RequestLog, block::slot};
use crate::usage::SPANS;
use contract::id::GroupId;
use std::time::Duration;
use store::{At, Result, Tx};

/// A gateway that was silent for so long has ended: nothing of it is on its way any more.
const SILENT: Duration = Duration::from_secs(7 * 86_400);

impl RequestLog {
    /// Forgets what is on record of a group from before that time, about two hundred blocks and a thousand counts; true while there is more.
    pub(crate) async fn retain(&self, group: GroupId, keep_from: At) -> Result<bool> {
        let mut tx = self.db.group(group).begin().await?;
        let mut more = requests(&mut tx, group, keep_from).await?;
        for span in SPANS {
            more |= counts(&mut tx, group, span, keep_from).await?;
        }
        tx.commit().await?;
        Ok(more)
    }

    /// Forgets gateways that have ended.
    pub(crate) async fn retain_sources(&self) -> Result<()> {
        let mut tx = self.db.system("gateways are nobody's").begin().await?;
        let before = tx.now().earlier(SILENT);
        tx.sql("delete from request_source where update_time < $1").bind(before).run().await?;
        tx.commit().await
    }
}

async fn requests(tx: &mut Tx, group: GroupId, keep_from: At) -> Result<bool> {
    let first = slot(keep_from);
    let far: Option<(i64,)> = tx
        .sql("select slot from request_block where group_id = $1 and slot < $2 order by slot limit 1 offset 200")
        .bind(group)
        .bind(first)
        .opt()
        .await?;
    // At least the oldest one, be it of two hundred blocks.
    let until = far.map_or(first, |(slot,)| slot + 1);
    tx.sql("delete from request_block where group_id = $1 and slot < $2").bind(group).bind(until).run().await?;
    Ok(far.is_some())
}

async fn counts(tx: &mut Tx, group: GroupId, span: i64, keep_from: At) -> Result<bool> {
    let far: Option<(At,)> = tx
        .sql("select start_time from usage where group_id = $1 and span = $2 and start_time < $3 order by start_time limit 1 offset 1000")
        .bind(group)
        .bind(span)
        .bind(keep_from)
        .opt()
        .await?;
    // At least the oldest one, be it of a thousand rows.
    let until = far.map_or(keep_from, |(at,)| At(at.0 + 1));
    tx.sql("delete from usage where group_id = $1 and span = $2 and start_time < $3").bind(group).bind(span).bind(until).run().await?;
    Ok(far.is_some())
}

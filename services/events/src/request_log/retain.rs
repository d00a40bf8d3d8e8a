//! Forgetting what is older than a tier keeps.

use super::RequestLog;
use crate::usage::SPANS;
use contract::id::GroupId;
use std::time::Duration;
use store::{At, Result, Tx};
use uuid::Uuid;

/// A gateway that was silent for so long has ended: nothing of it is on its way any more.
const SILENT: Duration = Duration::from_secs(7 * 86_400);

impl RequestLog {
    /// Forgets what is on record of a group from before that time, about a thousand rows of each kind; true while there is more.
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
    let first = Uuid::from_u128(u128::from(keep_from.millis()) << 80); // a UUIDv7 begins with its milliseconds
    let far: Option<(Uuid,)> = tx
        .sql("select request_id from request where group_id = $1 and request_id < $2 order by request_id limit 1 offset 1000")
        .bind(group)
        .bind(first)
        .opt()
        .await?;
    let until = far.map_or(first, |(id,)| id);
    tx.sql("delete from request where group_id = $1 and request_id < $2").bind(group).bind(until).run().await?;
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

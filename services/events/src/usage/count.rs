//! Adding a batch to the counts.

use super::{
    counts::{Counts, Of, RECENT, add},
    fold::wait_if_late,
};
use crate::request_log::Row;
use store::{Result, Tx};

/// Adds these requests to their minutes.
pub(crate) async fn count(tx: &mut Tx, rows: &[Row]) -> Result<()> {
    let mut minutes = Counts::new();
    for row in rows {
        minutes.entry(Of::new(row)).or_default().count(row);
    }
    wait_if_late(tx, &minutes).await?;
    add(tx, RECENT, minutes).await
}

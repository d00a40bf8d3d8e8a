//! Adding to the log.

use super::{Log, PARTITION};
use contract::internal::v1::LogEvent;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};
use store::{At, Db, Result, Tx, powers};
use tokio::sync::Notify;
use uuid::Uuid;

/// The end of the year 9999: what no calendar knows Postgres would refuse.
const LAST: i64 = 253_402_300_799_999_999;

/// An event on its way in, its ids read.
struct Fresh<'e> {
    group: Uuid,
    id: Uuid,
    event: &'e LogEvent,
}

/// A fresh event and the numbers it was given.
struct Numbered<'e> {
    sequence: i64,
    position: i64,
    fresh: Fresh<'e>,
}

impl Log {
    /// Known ids are skipped, the rest is numbered in the order given. Refuses no content: one poison row would stop every tenant.
    pub(crate) async fn append(&self, events: Vec<LogEvent>) -> Result<()> {
        self.batcher.append(events).await
    }
}

/// Keeps these, in one transaction; notifies `news` then.
pub(super) async fn keep(db: Db, news: Arc<Notify>, events: Vec<LogEvent>) -> Result<()> {
    let events: Vec<Fresh<'_>> = events.iter().filter_map(readable).collect();
    if events.is_empty() {
        return Ok(());
    }
    let mut tx = db.system("the log is of all groups").begin().await?;
    let before = lock(&mut tx, events.len()).await?;
    let fresh = unknown(&mut tx, events).await?;
    let mut numbered = number(&mut tx, before, fresh).await?;
    // Each index but one begins with the group: its neighbours go into pages that are at hand, twice as fast as from page to page.
    numbered.sort_unstable_by_key(|numbered| (numbered.fresh.group, numbered.sequence));
    insert(&mut tx, &numbered).await?;
    tx.wake(news);
    tx.commit().await
}

/// Ids are what "once" and "whose" hang on. Without them an event can be nobody's, and repeating it would not help.
fn readable(event: &LogEvent) -> Option<Fresh<'_>> {
    match (Uuid::from_slice(&event.group_id), Uuid::from_slice(&event.id)) {
        (Ok(group), Ok(id)) => Some(Fresh { group, id, event }),
        _ => {
            tracing::error!(r#type = event.r#type, call_id = event.call_id, "an event without a group or an id is left out of the log");
            None
        }
    }
}

/// Locks the head, and with it the whole partition, to the end of the transaction; makes room for all and tells the position before them.
/// Steps in `position` mean nothing to anyone.
async fn lock(tx: &mut Tx, room: usize) -> Result<i64> {
    let room = i64::try_from(room).unwrap_or(i64::MAX);
    let (head,): (i64,) =
        tx.sql("update log_head set position = position + $1 where partition = $2 returning position").bind(room).bind(PARTITION).one().await?;
    Ok(head - room)
}

/// Those that are not in the log yet, each once.
///
/// A subquery per row, which neither engine turns into a join: with statistics from when the log was small, Postgres would read all of it.
async fn unknown<'e>(tx: &mut Tx, events: Vec<Fresh<'e>>) -> Result<Vec<Fresh<'e>>> {
    let mut known = HashSet::new();
    for some in powers(&events) {
        let rows: Vec<(Uuid, Uuid)> = tx
            .sql("select column1, column2 from (values ")
            .rows(some, 2, |sql, fresh| sql.bind(fresh.group).bind(fresh.id))
            .push(") as page where (select event_id from event where group_id = column1 and event_id = column2) is not null")
            .all()
            .await?;
        known.extend(rows);
    }
    Ok(events.into_iter().filter(|fresh| known.insert((fresh.group, fresh.id))).collect())
}

async fn number<'e>(tx: &mut Tx, before: i64, fresh: Vec<Fresh<'e>>) -> Result<Vec<Numbered<'e>>> {
    let mut last = count(tx, &fresh).await?;
    let numbers = fresh.into_iter().zip(before + 1..).map(|(fresh, position)| {
        let sequence = last.get_mut(&fresh.group).expect("each group was just counted");
        *sequence += 1;
        Numbered { sequence: *sequence, position, fresh }
    });
    Ok(numbers.collect())
}

/// Moves the counters of the groups on, and tells where each stood before.
async fn count(tx: &mut Tx, fresh: &[Fresh<'_>]) -> Result<HashMap<Uuid, i64>> {
    let mut counts = BTreeMap::<Uuid, i64>::new();
    for fresh in fresh {
        *counts.entry(fresh.group).or_default() += 1;
    }
    let rows: Vec<(Uuid, i64)> = counts.iter().map(|(group, count)| (*group, *count)).collect();
    let mut before = HashMap::with_capacity(rows.len());
    for some in powers(&rows) {
        let moved: Vec<(Uuid, i64)> = tx
            .sql("insert into log_group (group_id, sequence, floor) values ")
            .rows(some, 3, |sql, (group, count)| sql.bind(*group).bind(*count).bind(0i64))
            .push(" on conflict (group_id) do update set sequence = log_group.sequence + excluded.sequence returning group_id, sequence")
            .all()
            .await?;
        before.extend(moved.into_iter().map(|(group, sequence)| (group, sequence - counts[&group])));
    }
    Ok(before)
}

async fn insert(tx: &mut Tx, events: &[Numbered<'_>]) -> Result<()> {
    for some in powers(events) {
        tx.sql(
            "insert into event (group_id, sequence, partition, position, event_id, type, actor_kind, actor_id, key_id, on_behalf_of_id, \
             target_kind, target_id, revision, create_time, call_id, traceparent, metadata) values ",
        )
        .rows(some, 17, |sql, numbered| {
            let Fresh { group, id, event } = &numbered.fresh;
            sql.bind(*group)
                .bind(numbered.sequence)
                .bind(PARTITION)
                .bind(numbered.position)
                .bind(*id)
                .bind(event.r#type.as_str())
                .bind(i64::from(event.actor_kind))
                .bind(optional(&event.actor_id).unwrap_or_default())
                .bind(optional(&event.key_id))
                .bind(optional(&event.on_behalf_of_id))
                .bind(event.target_kind.as_str())
                .bind(optional(&event.target_id).unwrap_or_default())
                .bind(event.revision)
                .bind(At(event.create_micros.clamp(0, LAST)))
                .bind(event.call_id.as_str())
                .bind(event.traceparent.as_str())
                .bind(event.metadata.as_deref())
        })
        .run()
        .await?;
    }
    Ok(())
}

fn optional(bytes: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(bytes).ok()
}

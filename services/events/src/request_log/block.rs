//! Requests as they stand in the table: those of one group, one batch and one quarter of a second are one row. A row for
//! each would cost several times the processor's time.
//!
//! Nothing about a request is a column. What a filter says of it is asked in memory, within the bounds that hold for any page.

use super::row::Row;
use contract::{
    id,
    internal::v1::{RequestBlock, RequestRecord},
};
use prost::Message;
use std::collections::BTreeMap;
use store::{At, Result, Tx, Weight, powers};
use uuid::Uuid;

/// How long a slot is, in milliseconds. Slots are in the order of time; within one, requests are put in order when they are read.
const SLOT: i64 = 250;

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) slot: i64,
    pub(super) block_id: Uuid,
    requests: Vec<u8>,
}

store::record!(Block { slot, block_id, requests });

impl Weight for Block {
    fn weight(&self) -> usize {
        64 + self.requests.len()
    }
}

/// A request that was kept. Its id is its millisecond, then its block's, then its place in it: made when it is read, the same each time.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: Uuid,
    pub(super) record: RequestRecord,
}

impl Block {
    /// Its requests. Bytes that are none are a bug of whoever wrote them; the rest of the log is still true.
    pub(super) fn requests(&self) -> impl Iterator<Item = Kept> {
        let block = RequestBlock::decode(self.requests.as_slice());
        let block = block.inspect_err(|error| tracing::error!(%error, block_id = %self.block_id, "a block holds no requests"));
        let records = block.unwrap_or_default().records.into_iter().zip(0..=u16::MAX);
        records.map(|(record, place)| Kept { id: request_id(record.time_micros, self.block_id, place), record })
    }
}

/// The slot of a time.
pub(super) fn slot(at: At) -> i64 {
    at.0.div_euclid(SLOT * 1_000)
}

/// The slot of a request's id: it begins with its milliseconds.
pub(super) fn slot_of(id: Uuid) -> i64 {
    i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX) / SLOT
}

fn request_id(micros: i64, block_id: Uuid, place: u16) -> Uuid {
    let mut rest = [0; 10];
    rest[..8].copy_from_slice(&block_id.as_bytes()[8..]);
    rest[8..].copy_from_slice(&place.to_be_bytes());
    id::with(micros, rest)
}

/// Keeps the requests of a batch.
pub(super) async fn insert(tx: &mut Tx, rows: Vec<Row>) -> Result<()> {
    let mut blocks = BTreeMap::<(Uuid, i64), RequestBlock>::new();
    for row in rows {
        blocks.entry((row.group_id, slot(row.time()))).or_default().records.push(row.record);
    }
    let blocks: Vec<((Uuid, i64), RequestBlock)> = blocks.into_iter().collect();
    for some in powers(&blocks) {
        tx.sql("insert into request_block (group_id, slot, block_id, requests) values ")
            .rows(some, 4, |sql, ((group, slot), block)| sql.bind(*group).bind(*slot).bind(Uuid::new_v4()).bind(block.encode_to_vec()))
            .run()
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_lies_in_the_slot_of_its_id() {
        for micros in [0, 249_999, 250_000, 1_700_000_000_123_456, 253_402_300_799_999_999] {
            assert_eq!(slot(At(micros)), slot_of(request_id(micros, Uuid::max(), u16::MAX)), "{micros}");
        }
    }

    #[test]
    fn ids_tell_apart_what_ended_at_once() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let ids = [(one, 0), (one, 1), (one, 256), (other, 0), (other, 1)].map(|(block, place)| request_id(5_000, block, place));
        assert!(ids.is_sorted_by(|before, after| before < after), "{ids:?}");
        assert!(ids[4] < request_id(6_000, one, 0) && ids.iter().all(|id| id.get_version_num() == 7));
    }
}

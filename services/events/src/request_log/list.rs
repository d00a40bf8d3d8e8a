//! A page of requests.

use super::{
    RequestLog,
    block::{Block, Kept, slot_of},
    row, shown,
};
use contract::{
    Refusal,
    events::v1::{ListRequestsRequest, ListRequestsResponse, Request},
    id::GroupId,
};
use std::mem::take;
use store::{
    Tenant, Value, Weight,
    list::{Column, Kind, Listing, Walk},
};
use uuid::Uuid;

/// A request's id stands for its time, as an event's does.
static REQUESTS: Listing = Listing {
    table: "request_block",
    group: Some("group_id"),
    id: "request_id",
    columns: &[
        Column::new("key_id", Kind::Id),
        Column::new("rpc", Kind::Text),
        Column::new("route", Kind::Text),
        Column::new("code", Kind::Text),
        Column::new("reason", Kind::Text),
        Column::new("cost", Kind::Int),
        Column::new("latency_micros", Kind::Int),
        Column::new("address", Kind::Text),
        Column::new("user_agent", Kind::Text),
        Column::new("actor_id", Kind::Id),
        Column::new("asked_group_id", Kind::Id),
        Column::new("call_id", Kind::Text),
        Column::new("trace_id", Kind::Text),
        Column::new("create_time", Kind::Time).sorted_by("request_id"),
    ],
    order: "create_time desc",
    archived: None,
};
/// Bytes of blocks that are read at once.
const STRETCH: usize = 256 << 10;

/// Where a block stands.
type Place = (i64, Uuid);

impl RequestLog {
    /// A page of this group's requests.
    pub(crate) async fn list(&self, group: GroupId, asked: &ListRequestsRequest) -> Result<ListRequestsResponse, Refusal> {
        let query = REQUESTS.query(asked)?.equals("key_id", &asked.key_id)?.equals("rpc", &asked.rpc)?;
        let tenant = self.db.group(group);
        let mut walk = query.walk(&tenant)?;
        fill(&mut walk, &tenant, group).await?;
        let page = walk.page();
        let requests = page.rows.iter().map(|kept: &Kept| kept.shown(group)).collect();
        Ok(ListRequestsResponse { requests, next_page_token: page.next, total_size: None })
    }
}

/// Walks along the blocks, in whole slots, until the page is full or there are no more.
async fn fill(walk: &mut Walk<'_, Kept>, tenant: &Tenant<'_>, group: GroupId) -> store::Result<()> {
    let (lowest, highest) = walk.range();
    // Both excluded; no block's id is one of these.
    let (mut low, mut high) = ((slot_of(lowest), Uuid::nil()), (slot_of(highest), Uuid::max()));
    let mut slot = Slot::default();
    loop {
        let blocks = stretch(tenant, group, low, high, walk.is_down()).await?;
        let Some(last) = blocks.last() else { break };
        *(if walk.is_down() { &mut high } else { &mut low }) = (last.slot, last.block_id);
        for block in blocks {
            if block.slot != slot.number && !slot.offer(walk) {
                return Ok(());
            }
            slot.number = block.slot;
            slot.requests.extend(block.requests());
        }
    }
    slot.offer(walk);
    Ok(())
}

async fn stretch(tenant: &Tenant<'_>, group: GroupId, low: Place, high: Place, down: bool) -> store::Result<Vec<Block>> {
    tenant
        .sql(
            "select slot, block_id, requests from request_block \
             where group_id = $1 and (slot, block_id) > ($2, $3) and (slot, block_id) < ($4, $5)",
        )
        .bind(group)
        .bind(low.0)
        .bind(low.1)
        .bind(high.0)
        .bind(high.1)
        .push(if down { " order by slot desc, block_id desc limit 200" } else { " order by slot, block_id limit 200" })
        .page(STRETCH)
        .await
}

/// What of a slot was read.
#[derive(Default)]
struct Slot {
    number: i64,
    requests: Vec<Kept>,
}

impl Slot {
    /// In the list's order. False: the page is full.
    fn offer(&mut self, walk: &mut Walk<'_, Kept>) -> bool {
        let mut requests = take(&mut self.requests);
        requests.sort_unstable_by_key(|kept| kept.id);
        if walk.is_down() {
            requests.reverse();
        }
        requests.into_iter().all(|kept| walk.offer(kept.id, |field| kept.field(field), || kept.clone()))
    }
}

impl Weight for Kept {
    fn weight(&self) -> usize {
        let record = &self.record;
        // The rpc twice: its route is made of it.
        400 + [&record.rpc, &record.rpc, &record.user_agent, &record.call_id].iter().map(|text| text.len()).sum::<usize>()
    }
}

impl Kept {
    /// As [`REQUESTS`] names it.
    fn field(&self, name: &'static str) -> Option<Value> {
        let record = &self.record;
        let text = |text: &str| Value::Text(text.to_owned());
        Some(match name {
            "key_id" => Value::Id(row::uuid(&record.key_id)),
            "rpc" => text(&record.rpc),
            "route" => text(&row::route(&record.rpc, &record.route)),
            "code" => text(row::code(record)),
            "reason" => text(row::reason(record)),
            "cost" => Value::Int(record.cost),
            "latency_micros" => Value::Int(record.latency_micros),
            "address" => text(&shown::address(&record.address)),
            "user_agent" => text(&record.user_agent),
            "actor_id" => Value::Id(row::uuid(&record.actor_id)),
            "asked_group_id" => Value::Id(row::uuid(&record.asked_group_id)),
            "call_id" => text(&record.call_id),
            "trace_id" => text(&shown::trace(&record.trace_id)),
            "create_time" => Value::At(record.time_micros),
            _ => return None,
        })
    }

    fn shown(&self, group: GroupId) -> Request {
        shown::request(self.id, group, &self.record)
    }
}

//! A page of requests.

use super::{RequestLog, row::Row};
use contract::{
    Refusal,
    events::v1::{ListRequestsRequest, ListRequestsResponse, Request},
    id::GroupId,
};
use store::list::{Column, Kind, Listing};

/// A request's id stands for its time, as an event's does.
static REQUESTS: Listing = Listing {
    table: "request",
    group: Some("group_id"),
    id: "request_id",
    columns: &[
        Column::new("key_id", Kind::Id).indexed_by("request_key"),
        Column::new("rpc", Kind::Text).indexed_by("request_rpc"),
        Column::new("route", Kind::Text),
        Column::new("code", Kind::Text),
        Column::new("reason", Kind::Text),
        Column::new("cost", Kind::Int),
        Column::new("latency_micros", Kind::Int).of("latency"),
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

impl RequestLog {
    /// A page of this group's requests.
    pub(crate) async fn list(&self, group: GroupId, asked: &ListRequestsRequest) -> Result<ListRequestsResponse, Refusal> {
        // The first of them is walked, so the one that holds the fewest requests stands first.
        let query = REQUESTS.query(asked)?.equals("key_id", &asked.key_id)?.equals("rpc", &asked.rpc)?;
        let page = query.page::<Row>(self.db.group(group)).await?;
        Ok(ListRequestsResponse { requests: page.rows.iter().map(Request::from).collect(), next_page_token: page.next, total_size: None })
    }
}

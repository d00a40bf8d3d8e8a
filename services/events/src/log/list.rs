//! One event, or a page of them.

use super::{Log, Logged, error::Result};
use contract::{
    Refusal,
    events::v1::{Event, ListEventsRequest, ListEventsResponse},
    id::{EventId, GroupId},
};
use store::list::{Column, Kind, Listing};

/// An event's id stands for its time, so each filter, alone or within bounds of time, runs along one index without a sort.
pub(super) static EVENTS: Listing = Listing {
    table: "event",
    group: Some("group_id"),
    id: "event_id",
    columns: &[
        Column::new("type", Kind::Text).indexed_by("event_type"),
        Column::new("actor_id", Kind::Id).indexed_by("event_actor"),
        Column::new("target_id", Kind::Id).indexed_by("event_target"),
        Column::new("target_kind", Kind::Text),
        Column::new("create_time", Kind::Time).sorted_by("event_id"),
    ],
    order: "create_time desc",
    archived: None,
};

impl Log {
    /// An event of this group.
    pub(crate) async fn get(&self, group: GroupId, id: EventId) -> Result<Option<Logged>> {
        let sql = self.db.group(group).sql("select * from event where group_id = $1 and event_id = $2");
        Ok(sql.bind(group).bind(*id).opt().await?)
    }

    /// A page of this group's events. One that arrives late may land in a page already given: who needs all of them watches.
    pub(crate) async fn list(&self, group: GroupId, asked: &ListEventsRequest) -> std::result::Result<ListEventsResponse, Refusal> {
        // The first of them is walked, so the one that holds the fewest events stands first.
        let query = EVENTS.query(asked)?.equals("target_id", &asked.target_id)?.equals("actor_id", &asked.actor_id)?.equals("type", &asked.r#type)?;
        let query = query.spelled("type", |kind| self.canonical(kind));
        let page = query.page::<Logged>(self.db.group(group)).await?;
        Ok(ListEventsResponse { events: page.rows.iter().map(Event::from).collect(), next_page_token: page.next, total_size: None })
    }
}

//! Lists of groups: one index for each, from the group they are of.

use super::{not_found, row::Stored, sees_all};
use chassis::principal::Principal;
use contract::{
    Refusal,
    id::GroupId,
    identity::v1::{ListGroupsRequest, ListGroupsResponse},
};
use store::{
    Db, Value,
    list::{Column, Kind, Listing},
};

/// All below a group, itself too: along its line, which keeps what groups are ordered by.
static BELOW: Listing = Listing {
    table: "group_line join groups on groups.group_id = group_line.below_id",
    group: None,
    id: "below_id",
    columns: &columns("made", "changed", "label"),
    order: "create_time desc",
    archived: Some("archive_time"),
};

/// The children of a group; those of the nil id are the organisations.
static CHILDREN: Listing = Listing {
    table: "groups",
    group: None,
    id: "group_id",
    columns: &columns("create_time", "update_time", "name"),
    order: "create_time desc",
    archived: Some("archive_time"),
};

const fn columns(made: &'static str, changed: &'static str, label: &'static str) -> [Column; 6] {
    [
        Column::new("type", Kind::Text),
        Column::new("status", Kind::Text).of("(case when archive_time is null then 'active' else 'archived' end)"),
        Column::new("tier", Kind::Text),
        Column::new("name", Kind::Text).of(label).sorted(),
        Column::new("create_time", Kind::Time).of(made).sorted(),
        Column::new("update_time", Kind::Time).of(changed).sorted(),
    ]
}

/// A page of the groups that this caller sees.
pub(crate) async fn list(principal: &Principal, db: &Db, input: ListGroupsRequest) -> Result<ListGroupsResponse, Refusal> {
    let query = if input.parent_id.is_empty() && !sees_all(principal) {
        BELOW.query(&input)?.within("above_id = ", Some(Value::Id(*principal.group)))
    } else {
        let parent = parent(principal, db, &input.parent_id).await?;
        CHILDREN.query(&input)?.within("parent_id = ", Some(Value::Id(*parent)))
    };
    let page = query.page::<Stored>(db.system("each group below the acting one is a tenant of its own")).await?;
    Ok(ListGroupsResponse { groups: page.rows.iter().map(Stored::message).collect(), next_page_token: page.next, total_size: None })
}

/// Whose children are meant, if this caller sees it.
async fn parent(principal: &Principal, db: &Db, id: &str) -> Result<GroupId, Refusal> {
    if id.is_empty() {
        return Ok(GroupId::default());
    }
    let id = GroupId::parse(id).ok_or_else(|| super::invalid("parent_id", "must be a UUID"))?;
    let found = super::store::get(db, id, super::above(principal, id)).await?;
    found.map(|group| group.id).ok_or_else(not_found)
}

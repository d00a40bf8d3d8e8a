//! Reads of things.

use super::{invalid, not_found, row::Stored, store};
use crate::types::{ARCHIVED, Types};
use ::store::{
    Db,
    list::{Column, Kind, Listing},
};
use chassis::principal::Principal;
use contract::{
    Refusal,
    id::ThingId,
    ontology::v1::{GetThingRequest, ListThingsRequest, ListThingsResponse, Thing},
};

/// A thing of the acting group, archived or not.
pub(crate) async fn get(types: &Types, principal: &Principal, db: &Db, input: GetThingRequest) -> Result<Thing, Refusal> {
    let id = ThingId::parse(&input.id).ok_or_else(|| invalid("id", "must be a UUID"))?;
    let found: Option<Stored> = db.group(principal.group).sql(store::GET).bind(principal.group).bind(id).opt().await?;
    Ok(found.ok_or_else(|| not_found(id))?.message(types, principal.group))
}

/// How things are listed; each order and each equality stands for an index of the schema.
static THINGS: Listing = Listing {
    table: "things",
    group: Some("group_id"),
    id: "id",
    columns: &[
        Column::new("type", Kind::Text).indexed(),
        Column::new("status", Kind::Text).indexed(),
        Column::new("name", Kind::Text).sorted(),
        Column::new("create_time", Kind::Time).sorted(),
        Column::new("update_time", Kind::Time).sorted(),
        Column::new("properties", Kind::Json),
    ],
    order: "create_time desc",
    archived: Some("archive_time"),
};

/// A page of the acting group's things.
pub(crate) async fn list(types: &Types, principal: &Principal, db: &Db, input: ListThingsRequest) -> Result<ListThingsResponse, Refusal> {
    let group = principal.group;
    let query = THINGS.query(&input)?.equals("type", &input.r#type)?.equals("status", &input.status)?;
    let query = query.spelled("type", |name| types.canonical(name).to_owned()).archived_by("status", ARCHIVED);
    let page = query.page::<Stored>(db.group(group)).await?;
    let things = page.rows.into_iter().map(|thing| thing.message(types, group)).collect();
    Ok(ListThingsResponse { things, next_page_token: page.next, total_size: None })
}

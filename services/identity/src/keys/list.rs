//! Lists of keys.

use super::row::Stored;
use chassis::principal::Principal;
use contract::{
    Refusal,
    identity::v1::{ListKeysRequest, ListKeysResponse},
};
use store::{
    At, Db,
    list::{Column, Kind, Listing},
};

static KEYS: Listing = Listing {
    table: "api_key",
    group: Some("group_id"),
    id: "id",
    columns: &[
        Column::new("name", Kind::Text).sorted(),
        Column::new("prefix", Kind::Text),
        Column::new("role", Kind::Text),
        Column::new("create_time", Kind::Time).sorted(),
        Column::new("update_time", Kind::Time).sorted(),
        Column::new("expire_time", Kind::Time).nullable(),
    ],
    order: "create_time desc",
    archived: Some("revoke_time"),
};

/// A page of the acting group's keys.
pub(crate) async fn list(principal: &Principal, db: &Db, input: ListKeysRequest) -> Result<ListKeysResponse, Refusal> {
    let page = KEYS.query(&input)?.page::<Stored>(db.group(principal.group)).await?;
    let now = At(db.clock().micros());
    Ok(ListKeysResponse { keys: page.rows.iter().map(|key| key.message(now)).collect(), next_page_token: page.next, total_size: None })
}

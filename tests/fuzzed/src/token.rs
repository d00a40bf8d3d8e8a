//! Page tokens and cursors: opaque to clients, so whatever they send must be refused or be ours.

use crate::text;
use chassis::secret::{Sealer, Secrets};
use contract::{Reason, id::GroupId, ontology::v1::ListThingsRequest};
use std::sync::LazyLock;
use store::{
    Dialect, Value, fuzzing,
    list::{Column, Kind, Listing},
};

static SEALER: LazyLock<Sealer> = LazyLock::new(|| Secrets::of(&[[7; 32]]).expect("32 bytes are enough").sealer("fuzzed"));

static LISTING: Listing = Listing {
    table: "thing",
    group: Some("group_id"),
    id: "id",
    columns: &[Column::new("name", Kind::Text).sorted(), Column::new("create_time", Kind::Time).sorted()],
    order: "create_time desc",
    archived: None,
};

/// What a client sends, and what an older release may have sealed.
pub fn token(data: &[u8]) {
    let (sealer, group, text) = (&*SEALER, GroupId::default(), text(data));
    let refused = fuzzing::page_token(sealer, &LISTING, group, text).expect_err("nobody forges a seal");
    assert_eq!(refused.reason(), Reason::InvalidPageToken);
    assert_eq!(fuzzing::cursor(sealer, group, text).expect_err("nobody forges a seal").reason(), Reason::InvalidCursor);
    if let Some(number) = data.first_chunk() {
        let number = i64::from_be_bytes(*number);
        assert_eq!(fuzzing::cursor(sealer, group, &fuzzing::write_cursor(sealer, group, number)).ok(), Some(number));
    }
    let Ok(key) = serde_json::from_slice::<Vec<Value>>(data) else { return };
    let sealed = fuzzing::write_page_token(sealer, &LISTING, group, &key);
    let opened = fuzzing::page_token(sealer, &LISTING, group, &sealed).expect("it is ours");
    let (again, before) = (serde_json::to_string(&opened).ok(), serde_json::to_string(&key).ok());
    assert_eq!(again, before, "a row's values come back");
    let request = ListThingsRequest::default();
    let query = LISTING.query(&request).expect("it asks for nothing");
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        // Values of another list, or of another release: refused, or a statement, and no panic.
        let _ = fuzzing::statement(&query, dialect, group, Some(&opened));
    }
}

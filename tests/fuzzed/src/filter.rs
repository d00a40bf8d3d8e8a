//! Filters and orders of lists.

use crate::text;
use contract::{Reason, id::GroupId, ontology::v1::ListThingsRequest};
use store::{
    Dialect, Value, fuzzing,
    list::{Column, Kind, Listing, filter::parse},
};

static LISTING: Listing = Listing {
    table: "thing",
    group: Some("group_id"),
    id: "id",
    columns: &[
        Column::new("type", Kind::Text).indexed(),
        Column::new("name", Kind::Text).sorted(),
        Column::new("create_time", Kind::Time).sorted(),
        Column::new("revision", Kind::Int),
        Column::new("inherited", Kind::Bool),
        Column::new("creator", Kind::Id),
        Column::new("properties", Kind::Json),
    ],
    order: "create_time desc",
    archived: Some("archive_time"),
};

/// A watch's, asked of rows in memory.
static WATCHED: Listing = Listing {
    table: "log",
    group: Some("group_id"),
    id: "id",
    columns: &[Column::new("type", Kind::Text), Column::new("create_time", Kind::Time), Column::new("sequence", Kind::Int)],
    order: "create_time desc",
    archived: None,
};

/// The first line is a filter, the second an order.
pub fn filter(data: &[u8]) {
    let (filter, order_by) = text(data).split_once('\n').unwrap_or((text(data), ""));
    if let Err(fault) = parse(filter) {
        assert!(filter.is_char_boundary(fault.at.min(filter.len())), "a fault stands at a letter: {}", fault.at);
        assert!(fault.at <= filter.len(), "and within the text");
    }
    if let Ok(watched) = WATCHED.filter(filter) {
        let row = |name: &'static str| match name {
            "type" => Some(Value::Text("entity_created".into())),
            "sequence" => Some(Value::Int(7)),
            _ => None,
        };
        assert_eq!(watched.holds(row), watched.clone().spelled("type", str::to_owned).holds(row));
    }
    let request = ListThingsRequest { filter: filter.to_owned(), order_by: order_by.to_owned(), ..Default::default() };
    let texts = [Dialect::Sqlite, Dialect::Postgres].map(|dialect| {
        let query = LISTING.query(&request)?;
        fuzzing::statement(&query, dialect, GroupId::default(), None)
    });
    for text in &texts {
        match text {
            // What a client wrote is bound: a word of its own in the statement would be an injection.
            Ok(sql) => assert!(sql.is_ascii() && !sql.replace("\"C\"", "").contains(['"', ';', '\\']), "{sql}"),
            Err(refusal) => assert!(matches!(refusal.reason(), Reason::InvalidFilter | Reason::InvalidOrderBy), "{refusal:?}"),
        }
    }
    assert_eq!(texts[0].is_ok(), texts[1].is_ok(), "one engine takes what the other does not");
}

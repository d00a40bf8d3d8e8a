//! Lists: a request of AIP-158, AIP-160 and AIP-132 becomes one bounded statement.
//!
//! ```
//! use store::list::{Column, Kind, Listing};
//!
//! static THINGS: Listing = Listing {
//!     table: "thing",
//!     group: Some("group_id"),
//!     id: "id",
//!     columns: &[
//!         Column::new("type", Kind::Text).indexed(),
//!         Column::new("name", Kind::Text).sorted(),
//!         Column::new("create_time", Kind::Time).sorted(),
//!         Column::new("properties", Kind::Json),
//!     ],
//!     order: "create_time desc",
//!     archived: Some("archive_time"),
//! };
//! ```
//!
//! and in the handler
//!
//! ```text
//! let page = THINGS.query(&input)?.equals("type", &input.r#type)?.page::<Row>(&self.db.group(principal.group)).await?;
//! Ok(ListThingsResponse { things: page.rows.into_iter().map(Thing::from).collect(), next_page_token: page.next, total_size: None })
//! ```
//!
//! How it stays bounded: the inner select walks one index of the table, in the list's order, at most 10,000 rows far; what has no index of
//! its own is asked of those rows only. The last of the 10,000 is answered whether it fits or not, so a page that found nothing still
//! knows where it ended. That number and the rows come from one statement, thus from one state of the table.

pub mod filter;
mod order;
mod page;
mod page_token;
mod query;
mod walk;
mod writer;

pub use order::{Direction, Order};
pub use page::Page;
pub use query::Query;
pub use walk::Walk;

pub(crate) use page_token::Bound as PageToken;

use contract::{Paged, Refusal};

/// What can be listed, and how.
#[derive(Debug)]
pub struct Listing {
    /// The table.
    pub table: &'static str,
    /// The column of its tenant; `None` for a table that is bounded by [`Query::within`] alone.
    pub group: Option<&'static str>,
    /// The column that breaks ties.
    pub id: &'static str,
    /// What filters and orders may name.
    pub columns: &'static [Column],
    /// What an empty `order_by` means.
    pub order: &'static str,
    /// The column that says when a row was archived; such rows hide, unless `show_archived`.
    pub archived: Option<&'static str>,
}

/// A field of the resource that filters may name.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// As clients call it; may have dots.
    pub(crate) name: &'static str,
    /// As the table calls it.
    pub(crate) sql: &'static str,
    pub(crate) kind: Kind,
    /// The column whose index gives the order of this one.
    pub(crate) sort: Option<&'static str>,
    pub(crate) indexed: bool,
    /// That index' name.
    pub(crate) index: Option<&'static str>,
    pub(crate) nullable: bool,
}

/// What a column holds: it decides which literals it can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TEXT.
    Text,
    /// BIGINT.
    Int,
    /// BOOLEAN.
    Bool,
    /// TIMESTAMPTZ.
    Time,
    /// UUID.
    Id,
    /// JSONB: the literal decides the type, `properties.n > 5` matches JSON numbers only.
    Json,
}

impl Column {
    /// A column that is called alike by clients and by the table.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, sql: name, kind, sort: None, indexed: false, index: None, nullable: false }
    }

    /// The table calls it otherwise.
    #[must_use]
    pub const fn of(self, sql: &'static str) -> Self {
        Self { sql, ..self }
    }

    /// `order_by` may name it. There is an index (group, this, id); it is never NULL; a text is declared `COLLATE "C"`.
    #[must_use]
    pub const fn sorted(self) -> Self {
        Self { sort: Some(self.sql), ..self }
    }

    /// `order_by` may name it, and the order is that of another column: the time of a UUIDv7 is the id's own.
    #[must_use]
    pub const fn sorted_by(self, sort: &'static str) -> Self {
        Self { sort: Some(sort), ..self }
    }

    /// There is an index (group, this, then the default order, id): an equality with it is walked, not asked of each row.
    #[must_use]
    pub const fn indexed(self) -> Self {
        Self { indexed: true, ..self }
    }

    /// As [`Column::indexed`], and SQLite is told to walk that index. Left alone it takes the list's own as soon as a filter bounds the
    /// order from both sides (without statistics it cannot tell them apart), and asks the equality of rows that nobody counts.
    #[must_use]
    pub const fn indexed_by(self, index: &'static str) -> Self {
        Self { indexed: true, index: Some(index), ..self }
    }

    /// It may be NULL.
    #[must_use]
    pub const fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }
}

impl Listing {
    /// Reads the request: filter, order, size. Its token is read with the page, when the tenant is known.
    ///
    /// # Errors
    /// `INVALID_FILTER`, `INVALID_ORDER_BY`, or `INVALID_FIELD` for a negative size.
    pub fn query<'a, R: Paged>(&'static self, request: &'a R) -> Result<Query<'a>, Refusal> {
        Query::new(self, request.page())
    }

    pub(crate) fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

//! What fuzz targets feed and nobody else sees: tokens, cursors, and the statement of a list.

use crate::{
    Dialect, Value, cursor,
    list::{Listing, PageToken, Query},
};
use chassis::secret::Sealer;
use contract::{Page, Refusal, id::GroupId};

/// The row values in a page token of this list, as this group asked for it.
///
/// # Errors
/// `INVALID_PAGE_TOKEN`
pub fn page_token(sealer: &Sealer, listing: &Listing, group: GroupId, token: &str) -> Result<Vec<Value>, Refusal> {
    PageToken::of(listing, &[group], &Page::default(), &[]).open(sealer, token)
}

/// A page token that [`page_token`] reads.
#[must_use]
pub fn write_page_token(sealer: &Sealer, listing: &Listing, group: GroupId, key: &[Value]) -> String {
    PageToken::of(listing, &[group], &Page::default(), &[]).seal(sealer, key)
}

/// The number in a cursor.
///
/// # Errors
/// `INVALID_CURSOR`
pub fn cursor(sealer: &Sealer, group: GroupId, text: &str) -> Result<i64, Refusal> {
    cursor::read(sealer, group, text)
}

/// A cursor that [`cursor`] reads.
#[must_use]
pub fn write_cursor(sealer: &Sealer, group: GroupId, sequence: i64) -> String {
    cursor::write(sealer, group, sequence)
}

/// The text of a list's statement, for whatever its filter and order are, after a row with these values.
///
/// # Errors
/// What is wrong with the filter, the order or the values.
pub fn statement(query: &Query<'_>, dialect: Dialect, group: GroupId, after: Option<&[Value]>) -> Result<String, Refusal> {
    let (writer, _) = query.statement(dialect, &[group], after)?;
    Ok(writer.text)
}

//! A page: rows, and where the next one begins.

use super::{
    Kind, Query,
    order::Term,
    query::{EXAMINED, FITS, NUMBER},
};
use crate::{At, Record, Row, Tenant, Value, Weight};
use contract::{Reason, Refusal};

/// Bytes of an answer.
pub(crate) const BYTES: usize = 2 << 20;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// May be fewer than asked for, even none, while there is a next page.
    pub rows: Vec<T>,
    /// The next page's token; empty at the end only.
    pub next: String,
}

/// A row as the statement gives it.
struct Seen<T> {
    /// `None`: the last row that was looked at, which did not fit.
    row: Option<T>,
    key: Vec<Value>,
    last: bool,
}

impl<T: Weight> Weight for Seen<T> {
    fn weight(&self) -> usize {
        self.row.as_ref().map_or(0, Weight::weight)
    }
}

impl Query<'_> {
    /// The page of these tenants' rows.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`, or the store's own.
    pub async fn page<T: Record + Weight>(&self, tenant: impl AsRef<Tenant<'_>>) -> Result<Page<T>, Refusal> {
        let tenant = tenant.as_ref();
        let (bound, sealer) = (self.bound(tenant), &tenant.db().0.sealers.pages);
        let after = self.token().map(|token| bound.open(sealer, token)).transpose()?;
        if after.as_ref().is_some_and(|key| key.len() != self.order.terms.len()) {
            return Err(Refusal::new(Reason::InvalidPageToken, "this page_token is of another release; begin without one"));
        }
        let dialect = tenant.db().engine().dialect();
        let (statement, numbered) = self.statement(dialect, tenant.groups(), after.as_deref())?;
        let sql = tenant.composed("".into()).composed(&statement.text, statement.values);
        let terms = &self.order.terms;
        let (seen, cut) = sql.bounded(BYTES, |row| read(row, terms, numbered)).await?;
        Ok(self.ended(seen, cut, |key| bound.seal(sealer, key)))
    }

    /// Where it ended: at its size, its bytes, the rows it may look at, or at the end of the list.
    fn ended<T>(&self, seen: Vec<Seen<T>>, cut: bool, seal: impl FnOnce(&[Value]) -> String) -> Page<T> {
        let (mut rows, mut key, mut more) = (Vec::with_capacity(seen.len().min(self.size)), None, cut);
        for one in seen {
            if rows.len() == self.size {
                more = true;
                break;
            }
            rows.extend(one.row);
            (key, more) = (Some(one.key), more || one.last);
        }
        let next = key.filter(|_| more).map(|key| seal(&key)).unwrap_or_default();
        Page { rows, next }
    }
}

fn read<T: Record>(row: &Row<'_>, terms: &[Term], numbered: bool) -> sqlx::Result<Seen<T>> {
    let key = terms.iter().map(|term| value(row, term)).collect::<sqlx::Result<_>>()?;
    let (fits, last) = if numbered { (row.get(FITS)?, row.get::<i64>(NUMBER)? == EXAMINED) } else { (true, false) };
    let row = if fits { Some(T::read(row)?) } else { None };
    Ok(Seen { row, key, last })
}

fn value(row: &Row<'_>, term: &Term) -> sqlx::Result<Value> {
    Ok(match term.kind {
        Kind::Text => Value::Text(row.get(term.sql)?),
        Kind::Int => Value::Int(row.get(term.sql)?),
        Kind::Bool => Value::Bool(row.get(term.sql)?),
        Kind::Time => Value::At(row.get::<At>(term.sql)?.0),
        Kind::Id => Value::Id(row.get(term.sql)?),
        Kind::Json => return Err(sqlx::Error::ColumnNotFound(format!("{}: no order goes by JSON", term.sql))),
    })
}

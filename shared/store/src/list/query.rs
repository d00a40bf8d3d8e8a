//! A request for a list, read.

use super::{
    Column, Kind, Listing, Order,
    filter::{self, Bounds, Comparison, Expression, Literal, Operator},
    order::{Direction, Term},
    page_token::Bound,
    writer::Writer,
};
use crate::{Dialect, Tenant, Value};
use contract::{Page, Reason, Refusal, id::GroupId};

/// Rows on a page when none are asked for, and at most.
const SIZE: usize = 50;
const LARGEST: usize = 1000;
/// Rows a page may look at.
pub(crate) const EXAMINED: i64 = 10_000;
/// Its number, where a statement gives it.
pub(crate) const NUMBER: &str = "examined_";
/// Whether it is a row of the list, there.
pub(crate) const FITS: &str = "fits_";

/// A list that was asked for: what, in which order, from where.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    pub(crate) listing: &'static Listing,
    pub(crate) order: Order,
    pub(crate) size: usize,
    page: Page<'a>,
    /// All of them must be true.
    pub(crate) parts: Vec<Expression>,
    /// Walked by an index of the listing: text, and a value if it ends in an operator.
    within: Vec<(&'static str, Option<Value>)>,
    /// What the token is bound to besides the request's own fields.
    extra: Vec<String>,
}

impl<'a> Query<'a> {
    pub(crate) fn new(listing: &'static Listing, page: Page<'a>) -> Result<Self, Refusal> {
        let size = usize::try_from(page.size)
            .map_err(|_| Refusal::new(Reason::InvalidField, "page_size cannot be negative; 0 means 50").field("page_size", "at least 0"))?;
        let size = if size == 0 { SIZE } else { size.min(LARGEST) };
        let order = Order::read(listing, page.order_by)?;
        let filter = filter::parse(page.filter)?;
        if let Some(expression) = &filter {
            filter::check(listing, expression)?;
        }
        let parts = filter.map(Expression::conjuncts).unwrap_or_default();
        Ok(Self { listing, order, size, page, parts, within: Vec::new(), extra: Vec::new() })
    }

    /// A field of the request that means the same as `field = value` in its filter; empty means nothing.
    ///
    /// # Errors
    /// `INVALID_FIELD`: the field cannot be that.
    pub fn equals(mut self, field: &'static str, value: &str) -> Result<Self, Refusal> {
        if value.is_empty() {
            return Ok(self);
        }
        let path = field.split('.').map(str::to_owned).collect();
        let literal = Literal::Text(value.to_owned());
        let part = Expression::Compare(Comparison { path, operator: Operator::Equal, literal, at: 0, literal_at: 0 });
        filter::check(self.listing, &part)
            .map_err(|fault| Refusal::new(Reason::InvalidField, format!("{field}: {}", fault.problem)).field(field, fault.problem.to_string()))?;
        self.parts.push(part);
        self.extra.extend([field.to_owned(), value.to_owned()]);
        Ok(self)
    }

    /// Other spellings of a field's values, as aliases: what was asked becomes what the table holds.
    #[must_use]
    pub fn spelled<'s>(mut self, field: &str, spell: impl Fn(&str) -> String + 's) -> Self {
        self.parts.iter_mut().for_each(|part| part.spelled(field, &spell));
        self
    }

    /// Who asks for archived rows by such a field sees them: `status = "archived"`.
    #[must_use]
    pub fn archived_by(mut self, field: &str, value: &str) -> Self {
        self.page.show_archived |= self.parts.iter().any(|part| {
            let Expression::Compare(Comparison { path, operator: Operator::Equal, literal: Literal::Text(text), .. }) = part else { return false };
            path.len() == 1 && path[0] == field && text == value
        });
        self
    }

    /// A condition that an index of the listing begins with: `"parent_id = "` with its value, or a whole one without.
    #[must_use]
    pub fn within(mut self, text: &'static str, value: Option<Value>) -> Self {
        self.extra.push(format!("{text}{value:?}"));
        self.within.push((text, value));
        self
    }

    pub(crate) fn bound(&self, tenant: &Tenant<'_>) -> Bound {
        Bound::of(self.listing, tenant.groups(), &self.page, &self.extra)
    }

    pub(crate) fn token(&self) -> Option<&'a str> {
        Some(self.page.token).filter(|token| !token.is_empty())
    }

    /// The statement, and whether it numbers the rows it examined.
    pub(crate) fn statement(&self, dialect: Dialect, groups: &[GroupId], after: Option<&[Value]>) -> Result<(Writer, bool), Refusal> {
        let (walked, asked) = self.split();
        let hides = self.listing.archived.filter(|_| !self.page.show_archived);
        let numbered = !asked.is_empty() || hides.is_some();
        let mut out = Writer::new(dialect);
        if numbered {
            out.text("select * from (select seen_.*, row_number() over () as ").text(NUMBER).text(", ");
            self.ask(&asked, hides, &mut out)?;
            out.text(" as ").text(FITS).text(" from (");
        }
        self.along(groups, &walked, &asked, after, &mut out)?;
        let rows = i64::try_from(self.size).unwrap_or(i64::MAX) + 1;
        out.text(" limit ").value(Value::Int(if numbered { EXAMINED } else { rows }));
        if numbered {
            out.text(") seen_) page_ where ")
                .text(FITS)
                .text(" or ")
                .text(NUMBER)
                .text(" = ")
                .value(Value::Int(EXAMINED))
                .text(" limit ")
                .value(Value::Int(rows));
        }
        Ok((out, numbered))
    }

    /// The inner select: along one index.
    fn along(
        &self,
        groups: &[GroupId],
        walked: &[&Expression],
        asked: &[&Expression],
        after: Option<&[Value]>,
        out: &mut Writer,
    ) -> Result<(), Refusal> {
        out.text("select * from ").text(self.listing.table);
        if let (Dialect::Sqlite, Some(index)) = (out.dialect, walked.iter().find_map(|part| self.index(part))) {
            out.text(" indexed by ").text(index);
        }
        let mut words = Words(" where ");
        if let Some(column) = self.listing.group
            && !groups.is_empty()
        {
            of_groups(column, groups, words.next(out));
        }
        for (text, value) in &self.within {
            words.next(out).text(text);
            value.iter().fold(&mut *out, |out, value| out.value(value.clone()));
        }
        for part in walked {
            filter::write(self.listing, part, words.next(out))?;
        }
        for (sign, id) in asked.iter().filter_map(|part| self.ids(part)).flatten() {
            words.next(out).text(self.listing.id).text(sign).value(Value::Id(id));
        }
        if let Some(key) = after {
            keyset(&self.order.terms, key, words.next(out));
        }
        out.text(&self.order.text());
        Ok(())
    }

    /// The outer conditions: of each row that was walked over.
    fn ask(&self, asked: &[&Expression], hides: Option<&str>, out: &mut Writer) -> Result<(), Refusal> {
        out.text("(");
        let mut words = Words("");
        if let Some(archived) = hides {
            words.next(out).text(archived).text(" is null");
        }
        for part in asked {
            filter::write(self.listing, part, words.next(out))?;
        }
        out.text(")");
        Ok(())
    }

    /// What an index walks, and what is asked of each row. One equality at most is walked: with two, the engine would walk one index and
    /// ask the other of rows that nobody counts.
    fn split(&self) -> (Vec<&Expression>, Vec<&Expression>) {
        let mut free = self.order.default;
        self.parts.iter().partition(|part| {
            let Expression::Compare(comparison) = part else { return false };
            let ranged = matches!(filter::bounds(self.listing, comparison, self.order.terms[0].sql), Bounds::Whole);
            let equal = free && self.is_indexed(comparison);
            free &= !equal;
            ranged || equal
        })
    }

    fn is_indexed(&self, comparison: &Comparison) -> bool {
        self.equal(comparison).is_some()
    }

    /// The column of an equality that an index walks.
    fn equal(&self, comparison: &Comparison) -> Option<&'static Column> {
        let column = self.listing.column(&comparison.path.join("."))?;
        let walks = comparison.operator == Operator::Equal && comparison.literal != Literal::Null && column.indexed && !column.nullable;
        walks.then_some(column)
    }

    /// The index to walk for a part that [`Query::split`] has chosen, where the listing names it.
    fn index(&self, part: &Expression) -> Option<&'static str> {
        let Expression::Compare(comparison) = part else { return None };
        self.equal(comparison).filter(|_| self.order.default)?.index
    }

    /// Bounds of the id that all rows of the list keep.
    pub(crate) fn times(&self) -> impl Iterator<Item = Vec<(&'static str, uuid::Uuid)>> {
        self.parts.iter().filter_map(|part| self.ids(part))
    }

    /// Bounds of the id, when the order is that of ids and the part is about their time.
    fn ids(&self, part: &Expression) -> Option<Vec<(&'static str, uuid::Uuid)>> {
        let Expression::Compare(comparison) = part else { return None };
        match filter::bounds(self.listing, comparison, self.order.terms[0].sql) {
            Bounds::Ids(ids) if self.order.terms[0].kind == Kind::Id => Some(ids),
            _ => None,
        }
    }
}

/// What stands before the next condition.
struct Words(&'static str);

impl Words {
    fn next<'w>(&mut self, out: &'w mut Writer) -> &'w mut Writer {
        out.text(std::mem::replace(&mut self.0, " and "))
    }
}

fn of_groups(column: &str, groups: &[GroupId], out: &mut Writer) {
    out.text(column);
    if let [group] = groups {
        out.text(" = ").value(Value::Id(**group));
        return;
    }
    for (place, group) in groups.iter().enumerate() {
        out.text(if place == 0 { " in (" } else { ", " }).value(Value::Id(**group));
    }
    out.text(")");
}

/// Rows after one with these values. As a row-value where all columns run the same way, for an index takes that as it is.
fn keyset(terms: &[Term], key: &[Value], out: &mut Writer) {
    let direction = terms[0].direction;
    if terms.iter().all(|term| term.direction == direction) {
        let names: Vec<&str> = terms.iter().map(|term| term.sql).collect();
        out.text("(").text(&names.join(", ")).text(")").text(direction.after()).text("(");
        for (place, value) in key.iter().enumerate() {
            out.text(if place == 0 { "" } else { ", " }).value(value.clone());
        }
        out.text(")");
        return;
    }
    // The first column alone bounds the walk; the ladder says the rest.
    let places: Vec<usize> = key.iter().map(|value| out.bound(value.clone())).collect();
    let bound = if direction == Direction::Up { " >= " } else { " <= " };
    out.text("(").text(terms[0].sql).text(bound).again(places[0]).text(" and ");
    ladder(terms, &places, out);
    out.text(")");
}

/// `a < $1 or (a = $1 and (b > $2 or (b = $2 and …)))`
fn ladder(terms: &[Term], places: &[usize], out: &mut Writer) {
    let ([term, below @ ..], [place, rest @ ..]) = (terms, places) else { return };
    out.text("(").text(term.sql).text(term.direction.after()).again(*place);
    if !below.is_empty() {
        out.text(" or (").text(term.sql).text(" = ").again(*place).text(" and ");
        ladder(below, rest, out);
        out.text(")");
    }
    out.text(")");
}

//! A list whose rows are no rows of a table: kept many together, they are offered one by one, in the list's order, and asked in memory.

use super::{Page, Query, filter, order::Direction, page::BYTES, page_token::Bound, query::EXAMINED};
use crate::{Tenant, Value, Weight};
use chassis::secret::Sealer;
use contract::{Reason, Refusal};
use uuid::Uuid;

/// A page that is being filled. The list goes by ids alone, which stand for the time.
pub struct Walk<'q, T> {
    query: &'q Query<'q>,
    bound: Bound,
    sealer: &'q Sealer,
    /// Both are still in it.
    lowest: Uuid,
    highest: Uuid,
    rows: Vec<T>,
    weight: usize,
    examined: i64,
    /// Where the next page goes on.
    last: Option<Uuid>,
    more: bool,
}

impl<'a> Query<'a> {
    /// Begins a page of these tenants' rows.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub fn walk<'q, T: Weight>(&'q self, tenant: &'q Tenant<'_>) -> Result<Walk<'q, T>, Refusal> {
        let (bound, sealer) = (self.bound(tenant), &tenant.db().0.sealers.pages);
        let (lowest, highest) = (Uuid::nil(), Uuid::max());
        let mut walk = Walk { query: self, bound, sealer, lowest, highest, rows: Vec::new(), weight: 0, examined: 0, last: None, more: false };
        for (sign, id) in self.times().flatten() {
            match sign {
                " < " => walk.until(id),
                _ => walk.lowest = walk.lowest.max(id),
            }
        }
        match self.token().map(|token| bound.open(sealer, token)).transpose()?.as_deref() {
            None => {}
            Some([Value::Id(after)]) if walk.is_down() => walk.until(*after),
            Some([Value::Id(after)]) => walk.lowest = walk.lowest.max(Uuid::from_u128(after.as_u128().saturating_add(1))),
            Some(_) => return Err(Refusal::new(Reason::InvalidPageToken, "this page_token is of another release; begin without one")),
        }
        Ok(walk)
    }
}

impl<T: Weight> Walk<'_, T> {
    /// The lowest and the highest id that the page may hold.
    #[must_use]
    pub fn range(&self) -> (Uuid, Uuid) {
        (self.lowest, self.highest)
    }

    /// The highest id comes first.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.query.order.terms[0].direction == Direction::Down
    }

    /// The next row in the list's order; `field` gives its columns, as the table would call them. False: the page is full, or has looked at
    /// as many rows as it may.
    pub fn offer(&mut self, id: Uuid, field: impl Fn(&'static str) -> Option<Value>, row: impl FnOnce() -> T) -> bool {
        if id < self.lowest || id > self.highest {
            return true;
        }
        let is_full = self.rows.len() == self.query.size;
        if self.query.holds(&field) {
            let row = row();
            self.weight += row.weight();
            self.more = is_full || (self.weight > BYTES && !self.rows.is_empty());
            if self.more {
                return false;
            }
            self.rows.push(row);
        }
        if !is_full {
            self.last = Some(id);
        }
        self.examined += 1;
        self.more = self.examined == EXAMINED;
        !self.more
    }

    /// The page.
    #[must_use]
    pub fn page(self) -> Page<T> {
        let next = self.last.filter(|_| self.more).map(|id| self.bound.seal(self.sealer, &[Value::Id(id)])).unwrap_or_default();
        Page { rows: self.rows, next }
    }

    fn until(&mut self, id: Uuid) {
        self.highest = self.highest.min(Uuid::from_u128(id.as_u128().saturating_sub(1)));
    }
}

impl Query<'_> {
    /// Whether all of its parts hold for a row in memory.
    fn holds(&self, field: &impl Fn(&'static str) -> Option<Value>) -> bool {
        self.parts.iter().all(|part| filter::holds(self.listing, part, field))
    }
}

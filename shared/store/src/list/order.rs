//! `order_by`, as AIP-132 writes it: `create_time desc, name`.

use super::{Column, Kind, Listing};
use contract::{Reason, Refusal};

/// Which way a column runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Up,
    /// Largest first.
    Down,
}

/// The order of a list: the columns asked for, then the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub(crate) terms: Vec<Term>,
    /// It is the list's own, or that one backwards: its indexes are made for it.
    pub(crate) default: bool,
}

/// A column of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// As the client named it; empty for the id that breaks ties.
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    pub(crate) kind: Kind,
    pub(crate) direction: Direction,
}

/// More columns than this order nothing that a person asked for.
const TERMS: usize = 3;

impl Order {
    /// # Errors
    /// `INVALID_ORDER_BY`, with what the list can be ordered by.
    pub(crate) fn read(listing: &'static Listing, text: &str) -> Result<Self, Refusal> {
        let own = terms(listing, listing.order)?;
        if text.trim().is_empty() {
            return Ok(Self { terms: own, default: true });
        }
        let terms = terms(listing, text)?;
        let default = terms == own || terms.iter().copied().eq(own.into_iter().map(Term::reversed));
        Ok(Self { terms, default })
    }

    /// ` order by …`
    pub(crate) fn text(&self) -> String {
        let words: Vec<String> = self.terms.iter().map(|term| format!("{}{}", term.sql, term.direction.word())).collect();
        format!(" order by {}", words.join(", "))
    }
}

fn terms(listing: &'static Listing, text: &str) -> Result<Vec<Term>, Refusal> {
    let mut terms: Vec<Term> = Vec::new();
    for part in text.split(',') {
        let term = Term::read(listing, part).ok_or_else(|| refused(listing))?;
        if terms.len() == TERMS || terms.iter().any(|before| before.name == term.name) {
            return Err(refused(listing));
        }
        terms.push(term);
    }
    // Rows that are equal in all of them come in the order of their ids, in the direction of the last one: one index serves both.
    let direction = terms.last().map_or(Direction::Up, |last| last.direction);
    if terms.iter().all(|term| term.sql != listing.id) {
        terms.push(Term { name: "", sql: listing.id, kind: Kind::Id, direction });
    }
    Ok(terms)
}

impl Term {
    fn reversed(self) -> Self {
        Self { direction: self.direction.reversed(), ..self }
    }

    fn read(listing: &'static Listing, part: &str) -> Option<Self> {
        let mut words = part.split_ascii_whitespace();
        let column: &Column = listing.column(words.next()?)?;
        let direction = match (words.next(), words.next()) {
            (None, None) | (Some("asc"), None) => Direction::Up,
            (Some("desc"), None) => Direction::Down,
            _ => return None,
        };
        let sql = column.sort?;
        let kind = if sql == listing.id { Kind::Id } else { column.kind };
        Some(Self { name: column.name, sql, kind, direction })
    }
}

impl Direction {
    fn reversed(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Up => "",
            Self::Down => " desc",
        }
    }

    /// How rows after a given one compare with it.
    pub(crate) fn after(self) -> &'static str {
        match self {
            Self::Up => " > ",
            Self::Down => " < ",
        }
    }
}

/// Does not repeat what was sent, which may be there by mistake.
fn refused(listing: &Listing) -> Refusal {
    let names: Vec<&str> = listing.columns.iter().filter(|column| column.sort.is_some()).map(|column| column.name).collect();
    let names = names.join(", ");
    let sentence = format!("the list cannot be ordered so; use up to {TERMS} of {names}, each once, with desc for largest first");
    Refusal::new(Reason::InvalidOrderBy, sentence).with("allowed", names).field("order_by", "a field of this list, each once, with asc or desc")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    static LISTING: Listing = Listing {
        table: "thing",
        group: Some("group_id"),
        id: "id",
        columns: &[
            Column::new("name", Kind::Text).sorted(),
            Column::new("create_time", Kind::Time).sorted(),
            Column::new("seen", Kind::Time).sorted_by("id"),
            Column::new("status", Kind::Text),
        ],
        order: "create_time desc",
        archived: None,
    };

    #[test]
    fn orders_are_columns_with_the_id_last() {
        for (asked, text) in [
            ("", " order by create_time desc, id desc"),
            ("create_time", " order by create_time, id"),
            (" create_time  desc , name", " order by create_time desc, name, id"),
            ("name asc", " order by name, id"),
            ("seen desc", " order by id desc"),
        ] {
            assert_eq!(Order::read(&LISTING, asked).unwrap().text(), text, "{asked}");
        }
        for (asked, default) in [("create_time  desc", true), ("create_time", true), ("create_time desc, name desc", false), ("name", false)] {
            assert_eq!(Order::read(&LISTING, asked).unwrap().default, default, "{asked}");
        }
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for asked in [
            "status",
            "nope",
            "name up",
            "name desc desc",
            "name,",
            ",",
            "name; drop table thing",
            "name, name desc",
            "create_time, name, seen, name",
        ] {
            let refusal = Order::read(&LISTING, asked).unwrap_err();
            assert_eq!(refusal.reason(), Reason::InvalidOrderBy, "{asked}");
        }
    }
}

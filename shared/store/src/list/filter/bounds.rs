//! What an index can walk, so that it need not be asked of each row.

use super::{
    Comparison, Operator,
    compile::{column, value},
};
use crate::{Value, list::Listing};
use uuid::Uuid;

/// What a part of a filter means to an index.
pub(crate) enum Bounds {
    /// Nothing: it is asked of each row.
    None,
    /// All of it.
    Whole,
    /// These bounds of the id hold it; it is still asked of each row within.
    Ids(Vec<(&'static str, Uuid)>),
}

/// Whether an index in the order of `sort` bounds a comparison.
pub(crate) fn bounds(listing: &'static Listing, comparison: &Comparison, sort: &'static str) -> Bounds {
    let Ok((column, _)) = column(listing, comparison) else { return Bounds::None };
    if column.sort != Some(sort) || matches!(comparison.operator, Operator::Unequal | Operator::Has) {
        return Bounds::None;
    }
    match value(column.kind, comparison) {
        Ok(_) if column.sql == sort => Bounds::Whole,
        Ok(Value::At(micros)) => Bounds::Ids(ids(comparison.operator, micros)),
        _ => Bounds::None,
    }
}

/// A UUIDv7 begins with its milliseconds.
fn ids(operator: Operator, micros: i64) -> Vec<(&'static str, Uuid)> {
    let millis = micros.div_euclid(1000).max(0).unsigned_abs();
    let first = |millis: u64| Uuid::from_u128(u128::from(millis) << 80);
    let (from, until) = ((" >= ", first(millis)), (" < ", first(millis + 1)));
    match operator {
        Operator::More | Operator::AtLeast => vec![from],
        Operator::Less | Operator::AtMost => vec![until],
        Operator::Equal => vec![from, until],
        Operator::Unequal | Operator::Has => Vec::new(),
    }
}

//! A filter asked of a row in memory, as a watch does: the same answers as SQL's.

use super::{Comparison, Expression, Literal, Operator, check, compile, parse};
use crate::{Value, list::Listing};
use contract::Refusal;
use std::cmp::Ordering;

/// A filter of a listing, read and checked.
#[derive(Clone, Debug)]
pub struct Filter {
    listing: &'static Listing,
    /// `None` holds for all rows.
    expression: Option<Expression>,
}

impl Listing {
    /// Reads a filter by itself. The listing has no JSON columns: those are asked by the engines only.
    ///
    /// # Errors
    /// `INVALID_FILTER`
    pub fn filter(&'static self, text: &str) -> Result<Filter, Refusal> {
        let expression = parse(text)?;
        if let Some(expression) = &expression {
            check(self, expression)?;
        }
        Ok(Filter { listing: self, expression })
    }
}

impl Filter {
    /// Other spellings of a field's values, as aliases: what was asked becomes what the rows hold.
    #[must_use]
    pub fn spelled(mut self, field: &str, spell: impl Fn(&str) -> String) -> Self {
        if let Some(expression) = &mut self.expression {
            expression.spelled(field, &spell);
        }
        self
    }

    /// Whether it holds for the row whose columns, as the table calls them, `field` gives; `None` is NULL.
    pub fn holds(&self, field: impl Fn(&'static str) -> Option<Value>) -> bool {
        self.expression.as_ref().is_none_or(|expression| holds(self.listing, expression, &field))
    }
}

/// Whether it holds for a row whose columns `field` gives.
pub(crate) fn holds(listing: &'static Listing, expression: &Expression, field: &impl Fn(&'static str) -> Option<Value>) -> bool {
    match expression {
        Expression::And(parts) => parts.iter().all(|part| holds(listing, part, field)),
        Expression::Or(parts) => parts.iter().any(|part| holds(listing, part, field)),
        Expression::Not(part) => !holds(listing, part, field),
        Expression::Compare(comparison) => compare(listing, comparison, field),
    }
}

fn compare(listing: &'static Listing, comparison: &Comparison, field: &impl Fn(&'static str) -> Option<Value>) -> bool {
    let Ok((column, _)) = compile::column(listing, comparison) else { return false };
    let found = field(column.sql);
    match (&comparison.literal, comparison.operator) {
        (Literal::Null, Operator::Equal) => found.is_none(),
        (Literal::Any | Literal::Null, _) => found.is_some(),
        (_, operator) => match (found, compile::value(column.kind, comparison)) {
            (Some(found), Ok(asked)) => is(&found, operator, &asked),
            _ => false,
        },
    }
}

fn is(found: &Value, operator: Operator, asked: &Value) -> bool {
    if let (Operator::Has, Value::Text(found), Value::Text(asked)) = (operator, found, asked) {
        return found.contains(asked.as_str());
    }
    let Some(order) = order(found, asked) else { return false };
    match operator {
        Operator::Equal | Operator::Has => order.is_eq(),
        Operator::Unequal => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::AtMost => order.is_le(),
        Operator::More => order.is_gt(),
        Operator::AtLeast => order.is_ge(),
    }
}

/// Texts in the order of their bytes.
fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Text(one), Value::Text(other)) => Some(one.as_bytes().cmp(other.as_bytes())),
        (Value::Int(one), Value::Int(other)) | (Value::At(one), Value::At(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Id(one), Value::Id(other)) => Some(one.cmp(other)),
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        _ => None,
    }
}

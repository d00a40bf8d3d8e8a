//! From a filter to SQL. Every comparison is true or false, on both engines alike.

use super::{Comparison, Expression, Fault, Literal, Operator, Problem, json, literal};
use crate::{
    Dialect, Value,
    list::{Column, Kind, Listing, writer::Writer},
};
use uuid::Uuid;

/// Whether the listing has the fields of a filter, and they can be compared so.
pub(crate) fn check(listing: &'static Listing, expression: &Expression) -> Result<(), Fault> {
    match expression {
        Expression::And(parts) | Expression::Or(parts) => parts.iter().try_for_each(|part| check(listing, part)),
        Expression::Not(part) => check(listing, part),
        Expression::Compare(comparison) => write_comparison(listing, comparison, &mut Writer::new(Dialect::Sqlite)),
    }
}

/// The text and the values of a filter that was checked.
pub(crate) fn write(listing: &'static Listing, expression: &Expression, out: &mut Writer) -> Result<(), Fault> {
    match expression {
        Expression::And(parts) => joined(listing, parts, " and ", out),
        Expression::Or(parts) => joined(listing, parts, " or ", out),
        Expression::Not(part) => {
            out.text("not ");
            write(listing, part, out)
        }
        Expression::Compare(comparison) => {
            out.text("(");
            write_comparison(listing, comparison, out)?;
            out.text(")");
            Ok(())
        }
    }
}

fn joined(listing: &'static Listing, parts: &[Expression], word: &str, out: &mut Writer) -> Result<(), Fault> {
    out.text("(");
    for (place, part) in parts.iter().enumerate() {
        out.text(if place == 0 { "" } else { word });
        write(listing, part, out)?;
    }
    out.text(")");
    Ok(())
}

fn write_comparison(listing: &'static Listing, comparison: &Comparison, out: &mut Writer) -> Result<(), Fault> {
    let (column, keys) = column(listing, comparison)?;
    match column.kind {
        Kind::Json => json::write(column, keys, comparison, out),
        _ => plain(column, comparison, out),
    }
}

/// The column with the longest name that the path begins with; what is left are keys, for JSON only.
pub(crate) fn column<'c>(listing: &'static Listing, comparison: &'c Comparison) -> Result<(&'static Column, &'c [String]), Fault> {
    let path = &comparison.path;
    let found = (1..=path.len()).rev().find_map(|length| listing.column(&path[..length].join(".")).map(|column| (column, &path[length..])));
    match found {
        Some((column, keys)) if (column.kind == Kind::Json) != keys.is_empty() => Ok((column, keys)),
        _ => Err(Fault::new(comparison.at, Problem::Unknown(path.join(".")))),
    }
}

fn plain(column: &Column, comparison: &Comparison, out: &mut Writer) -> Result<(), Fault> {
    match (&comparison.literal, comparison.operator) {
        (Literal::Any, _) => out.text(column.sql).text(" is not null"),
        (Literal::Null, Operator::Equal) => out.text(column.sql).text(" is null"),
        (Literal::Null, Operator::Unequal) => out.text(column.sql).text(" is not null"),
        (Literal::Null, _) => return Err(Fault::new(comparison.literal_at, Problem::Operator("null"))),
        (_, operator) => {
            let value = value(column.kind, comparison)?;
            if column.nullable {
                out.text("coalesce(");
            }
            compared(column, operator, value, out);
            if column.nullable {
                out.text(", false)");
            }
            return Ok(());
        }
    };
    Ok(())
}

/// The literal as the column's type, if it can be that.
pub(crate) fn value(kind: Kind, comparison: &Comparison) -> Result<Value, Fault> {
    let fault = |problem| Err(Fault::new(comparison.literal_at, problem));
    let equal_only = !matches!(comparison.operator, Operator::Equal | Operator::Unequal);
    match (kind, &comparison.literal) {
        (Kind::Bool | Kind::Id, _) if equal_only => fault(Problem::Operator(if kind == Kind::Id { "an id" } else { "true or false" })),
        (Kind::Text, Literal::Text(text)) => text_value(text, comparison),
        (Kind::Int, Literal::Int(number)) => Ok(Value::Int(*number)),
        (Kind::Bool, Literal::Bool(truth)) => Ok(Value::Bool(*truth)),
        (Kind::Time, Literal::Time(micros, _)) => Ok(Value::At(*micros)),
        (Kind::Time, Literal::Text(text)) => match literal::time(text) {
            Some(micros) => Ok(Value::At(micros)),
            None => fault(Problem::Type(wanted(kind))),
        },
        (Kind::Id, Literal::Text(text)) => match Uuid::try_parse(text) {
            Ok(id) => Ok(Value::Id(id)),
            Err(_) => fault(Problem::Type(wanted(kind))),
        },
        _ => fault(Problem::Type(wanted(kind))),
    }
}

/// Postgres takes no NUL in a text.
pub(super) fn text_value(text: &str, comparison: &Comparison) -> Result<Value, Fault> {
    if text.contains('\0') {
        return Err(Fault::new(comparison.literal_at, Problem::Type("a text without NUL")));
    }
    Ok(Value::Text(text.to_owned()))
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text, in quotes",
        Kind::Int => "a whole number",
        Kind::Bool => "true or false",
        Kind::Time => "a time like 2026-01-31T12:00:00Z",
        Kind::Id => "an id, a UUID",
        Kind::Json => "a text, a number, true, false or null",
    }
}

fn compared(column: &Column, operator: Operator, value: Value, out: &mut Writer) {
    match (column.kind, operator) {
        (Kind::Text, Operator::Has) => {
            return contains(out, value, |out| {
                out.text(column.sql);
            });
        }
        // In the order of bytes on both engines, whatever the database's own is.
        (Kind::Text, Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast) => out.text(column.sql).text(" collate \"C\""),
        _ => out.text(column.sql),
    };
    out.text(sign(operator)).value(value);
}

/// A text has another in it. `replace` is the one function for it that both engines call alike; nothing is in every text.
pub(super) fn contains(out: &mut Writer, value: Value, mut subject: impl FnMut(&mut Writer)) {
    let place = out.bound(value);
    out.text("replace(");
    subject(out);
    out.text(", ").again(place).text(", '') <> ");
    subject(out);
    out.text(" or ").again(place).text(" = ''");
}

pub(super) fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal | Operator::Has => " = ",
        Operator::Unequal => " <> ",
        Operator::Less => " < ",
        Operator::AtMost => " <= ",
        Operator::More => " > ",
        Operator::AtLeast => " >= ",
    }
}

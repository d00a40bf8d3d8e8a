//! Filters, as AIP-160 writes them: `type = "person" AND (status = active OR properties.age >= 21)`.
//!
//! * OR binds tighter than AND, as AIP-160 says; terms side by side are an AND; `NOT` and `-` negate.
//! * Operators are `=`, `!=`, `<`, `<=`, `>`, `>=` and `:`, which is "has": a text contains, an array has, `x:*` is there at all.
//! * The literal decides the type: quoted or a bare word is a text, `5` a number, `true`, `null`; a time is RFC 3339, quoted or not.
//!   In JSON a number is compared with numbers only, a text with texts only, on both engines alike.
//! * A comparison is true or false, never unknown: `NOT (properties.n = 5)` is true of a row without `n`.
//!
//! Depth, terms and length are bounded, every error has its place, and what a client wrote is bound, never spliced.

mod bounds;
mod compile;
mod expression;
mod fault;
mod grammar;
mod holds;
mod json;
mod literal;
#[cfg(test)]
mod tests;

pub use expression::{Comparison, Expression, Literal, Operator};
pub use fault::{Fault, Problem};
pub use grammar::parse;
pub use holds::Filter;

pub(crate) use bounds::{Bounds, bounds};
pub(crate) use compile::{check, write};
pub(crate) use holds::holds;

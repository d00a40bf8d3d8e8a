//! What a filter says.

use std::fmt;

/// A filter, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// All of them.
    And(Vec<Expression>),
    /// One of them.
    Or(Vec<Expression>),
    /// Not this.
    Not(Box<Expression>),
    /// A field and a literal.
    Compare(Comparison),
}

/// A field, an operator, a literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// `properties.a.b` is three of them.
    pub path: Vec<String>,
    /// How they compare.
    pub operator: Operator,
    /// With what.
    pub literal: Literal,
    /// The byte where the field begins.
    pub at: usize,
    /// The byte where the literal begins.
    pub literal_at: usize,
}

/// How a field compares with a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `:`
    Has,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Quoted, or a bare word.
    Text(String),
    /// A whole number that fits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// `true`, `false`.
    Bool(bool),
    /// Unquoted RFC 3339: microseconds since 1970, and as it was written.
    Time(i64, String),
    /// `null`.
    Null,
    /// `*`, after `:` only.
    Any,
}

impl Expression {
    /// Other spellings of a field's values, as aliases: what was asked becomes what the table holds.
    pub(crate) fn spelled(&mut self, field: &str, spell: &impl Fn(&str) -> String) {
        self.each(&|comparison| {
            if let Literal::Text(text) = &mut comparison.literal
                && comparison.path.len() == 1
                && comparison.path[0] == field
            {
                *text = spell(text);
            }
        });
    }

    /// Does something to each comparison.
    pub(crate) fn each(&mut self, change: &impl Fn(&mut Comparison)) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter_mut().for_each(|part| part.each(change)),
            Self::Not(part) => part.each(change),
            Self::Compare(comparison) => change(comparison),
        }
    }

    /// The parts that must all be true.
    pub(crate) fn conjuncts(self) -> Vec<Self> {
        match self {
            Self::And(parts) => parts.into_iter().flat_map(Self::conjuncts).collect(),
            other => vec![other],
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => joined(f, parts, " AND "),
            Self::Or(parts) => joined(f, parts, " OR "),
            Self::Not(part) => write!(f, "NOT {part}"),
            Self::Compare(comparison) => write!(f, "{comparison}"),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Expression], word: &str) -> fmt::Result {
    f.write_str("(")?;
    for (place, part) in parts.iter().enumerate() {
        write!(f, "{}{part}", if place == 0 { "" } else { word })?;
    }
    f.write_str(")")
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.path.iter().enumerate() {
            match place {
                0 => f.write_str(part)?,
                _ => write!(f, ".{}", Quoted(part))?,
            }
        }
        write!(f, " {} {}", self.operator, self.literal)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Has => ":",
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", Quoted(text)),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Time(_, written) => f.write_str(written),
            Self::Null => f.write_str("null"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// In quotes, so that it reads back as itself.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

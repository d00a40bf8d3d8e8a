//! What is wrong with a filter, and where.

use contract::{Reason, Refusal};
use winnow::error::ParserError;

/// What is wrong, and the byte where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}, at byte {at}")]
pub struct Fault {
    /// Counted from 0.
    pub at: usize,
    /// What.
    pub problem: Problem,
}

/// What can be wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing in a filter begins so, or it ends too early.
    #[error("a field was expected, like name")]
    FieldExpected,
    /// A field stands alone.
    #[error("an operator was expected: one of = != < <= > >= :")]
    OperatorExpected,
    /// Nothing, or no literal, after an operator.
    #[error("a literal was expected: a quoted text, a word, a number, a time, true, false or null")]
    LiteralExpected,
    /// It goes on where it should end.
    #[error("AND, OR or the end was expected")]
    EndExpected,
    /// A parenthesis is open.
    #[error("a closing parenthesis was expected")]
    ParenthesisExpected,
    /// A quote is open.
    #[error("the closing quote is missing")]
    QuoteOpen,
    /// In a quoted text.
    #[error("a backslash stands before a quote or a backslash only")]
    Escape,
    /// AIP-160 has functions; we have none.
    #[error("functions are not supported")]
    Function,
    /// Too large for any number.
    #[error("this number is too large")]
    Number,
    /// The list has no such field.
    #[error("there is no field {0:?} to filter by")]
    Unknown(String),
    /// A key of a JSON object that cannot be named.
    #[error("a key cannot hold quotes, backslashes or control characters")]
    Key,
    /// The literal is of another type than the field.
    #[error("this field is compared with {0}")]
    Type(&'static str),
    /// The operator means nothing here.
    #[error("{0} cannot be used here: this compares with = and != only")]
    Operator(&'static str),
    /// `*` after another operator than `:`.
    #[error("* stands after : only")]
    Any,
    /// Nested too deep.
    #[error("parentheses and NOT nest too deep: at most {0}")]
    Depth(usize),
    /// Too many comparisons.
    #[error("too many comparisons: at most {0}")]
    Terms(usize),
    /// Too long.
    #[error("the filter is too long: at most {0} bytes")]
    Length(usize),
}

impl Fault {
    pub(crate) fn new(at: usize, problem: Problem) -> Self {
        Self { at, problem }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::new(Reason::InvalidFilter, format!("the filter cannot be read: {fault}"))
            .with("position", fault.at.to_string())
            .field("filter", fault.to_string())
    }
}

/// For what winnow itself expects; our grammar always says more than that.
impl<I: winnow::stream::Stream + winnow::stream::Location> ParserError<I> for Fault {
    type Inner = Self;

    fn from_input(input: &I) -> Self {
        Self::new(input.current_token_start(), Problem::FieldExpected)
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

//! A statement that is put together: text of our own, values that are bound.

use crate::{Dialect, Value};
use std::fmt::Write as _;

/// Text and the values of its `$n`, in step.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) dialect: Dialect,
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Writer {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::with_capacity(256), values: Vec::new() }
    }

    /// A word of ours: never a client's.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// The next `$n`.
    pub(crate) fn value(&mut self, value: Value) -> &mut Self {
        let place = self.bound(value);
        self.again(place)
    }

    /// A value without its place in the text yet; gives its number.
    pub(crate) fn bound(&mut self, value: Value) -> usize {
        self.values.push(value);
        self.values.len()
    }

    /// A value that was bound before.
    pub(crate) fn again(&mut self, place: usize) -> &mut Self {
        write!(self.text, "${place}").expect("a String takes everything");
        self
    }
}

//! The statements a store ran, for who wants to EXPLAIN them.

use super::Dialect;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// A statement that ran: its text, and the types of its values in Postgres' words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text {
    /// Where it ran.
    pub dialect: Dialect,
    /// As it was sent.
    pub text: String,
    /// One for each `$n`.
    pub types: Vec<&'static str>,
}

/// Collects each different statement of the stores it was given to; clones share the collection.
#[derive(Clone, Debug, Default)]
pub struct Texts(Arc<Mutex<BTreeSet<Text>>>);

impl Texts {
    pub(crate) fn note(&self, text: Text) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Text> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

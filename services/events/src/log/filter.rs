//! Which events a watch gives.

use super::{Log, Logged, list::EVENTS};
use contract::Refusal;
use store::{Value, list::filter};

/// The filter of a list, asked of rows in memory: watchers share a page, each with a filter of its own.
pub(crate) struct Filter(filter::Filter);

impl Log {
    /// Reads a filter.
    ///
    /// # Errors
    /// `INVALID_FILTER`, as a list of events would.
    pub(crate) fn filter(&self, text: &str) -> Result<Filter, Refusal> {
        Ok(Filter(EVENTS.filter(text)?.spelled("type", |kind| self.canonical(kind))))
    }
}

impl Filter {
    /// Whether a watch with this filter gives the row.
    pub(crate) fn takes(&self, row: &Logged) -> bool {
        self.0.holds(|column| match column {
            "type" => Some(Value::Text(row.kind.clone())),
            "target_kind" => Some(Value::Text(row.target_kind.clone())),
            "actor_id" => Some(Value::Id(row.actor_id)),
            "target_id" => Some(Value::Id(row.target_id)),
            "create_time" => Some(Value::At(row.create_time.0)),
            _ => None,
        })
    }
}

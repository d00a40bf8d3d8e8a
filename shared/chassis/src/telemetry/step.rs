//! A part of a call that is worth a span of its own.

use contract::id::GroupId;
use tracing::Span;

use super::{Trace, exports};

/// Lasts as long as it lives. Nothing, where nothing is exported, and outside of a call.
#[must_use = "it ends when it is dropped"]
#[derive(Debug)]
pub struct Step(#[expect(dead_code, reason = "held, not read")] Span);

impl Step {
    /// A part of the call this task works on, done in `system` (`sqlite`, `postgresql`).
    pub fn begin(name: &'static str, system: &'static str) -> Self {
        let group = if exports() { Trace::with_current(Trace::group) } else { None };
        Self(group.map_or_else(Span::none, |group| span(name, system, group)))
    }
}

fn span(name: &'static str, system: &'static str, group: Option<GroupId>) -> Span {
    tracing::info_span!("step", otel.name = name, otel.kind = "internal", db.system.name = system, group.id = group.map(|group| display(*group)))
}

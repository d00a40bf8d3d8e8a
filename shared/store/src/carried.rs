//! Spans of what happens to events after the calls that made them.

use chassis::telemetry::{Trace, exports};
use contract::{id::GroupId, internal::v1::LogEvent};
use std::collections::HashMap;

/// The spans of one step of a batch, one for each call whose events are in it. They end when it is dropped.
#[must_use = "the spans end when it is dropped"]
pub struct Carried(#[expect(dead_code, reason = "held, not read")] HashMap<String, Trace>);

impl Carried {
    /// Begins a span `name` below each call that is sampled. Its events hang below that span from now on: the trace goes on where they go.
    /// Where nothing is exported it leaves them as they are.
    pub fn all(name: &'static str, events: &mut [LogEvent]) -> Self {
        let mut spans = HashMap::new();
        for event in events.iter_mut().filter(|_| exports()) {
            if let Some(span) = span(&mut spans, name, event) {
                event.traceparent = span.parent().to_string();
            }
        }
        Self(spans)
    }
}

fn span<'s>(spans: &'s mut HashMap<String, Trace>, name: &'static str, event: &LogEvent) -> Option<&'s Trace> {
    if !spans.contains_key(&event.traceparent) {
        let group = GroupId::from_slice(&event.group_id)?;
        spans.insert(event.traceparent.clone(), Trace::later(name, &event.traceparent, group)?);
    }
    spans.get(&event.traceparent)
}

//! One log line: as text for people, as JSON for machines. Both carry `trace_id` and `group.id` of the call.

use std::fmt::{self, Debug, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Trace;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text: time, level, target, message, then `name=value`.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        Trace::with_current(|trace| fields.add_call(trace));
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
        let line = match self {
            Self::Pretty => fields.text(&time, level, target),
            Self::Json => fields.json(time, level, target),
        };
        writeln!(writer, "{line}")
    }
}

/// The fields of one event, in the order they were given.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(String, Value)>,
}

impl Fields {
    fn add_call(&mut self, trace: &Trace) {
        self.add("trace_id", trace.parent().trace_id());
        if let Some(group) = trace.group() {
            self.add("group.id", group.to_string());
        }
    }

    fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.others.push((name.to_owned(), value.into()));
    }

    fn text(&self, time: &str, level: &str, target: &str) -> String {
        let mut line = format!("{time} {level:>5} {target}: ");
        escape(&self.message, &mut line);
        for (name, value) in &self.others {
            let _ = write!(line, " {name}=");
            match value {
                Value::String(text) => escape(text, &mut line),
                other => line.push_str(&other.to_string()),
            }
        }
        line
    }

    fn json(self, time: String, level: &str, target: &str) -> String {
        let mut line = Map::from_iter(self.others);
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), level.into());
        line.insert("target".to_owned(), target.into());
        line.insert("message".to_owned(), self.message.into());
        Value::Object(line).to_string()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.add(name, value),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }
}

/// A logged value may be a stranger's: it begins no line, moves no cursor and turns no text around (RUSTSEC-2025-0055).
fn escape(text: &str, line: &mut String) {
    for letter in text.chars() {
        let turns = matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::telemetry::sink::Sink;

    fn logged(format: Format, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        tracing::subscriber::with_default(sink.subscriber(format), log);
        sink.text()
    }

    fn in_a_call(log: impl FnOnce()) -> String {
        let mut headers = http::HeaderMap::new();
        headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
        let trace = Trace::server("one.a.v1.A/Get", &headers);
        trace.in_group(contract::id::GroupId(uuid::Uuid::from_u128(7)));
        trace.within(log);
        trace.parent().trace_id()
    }

    #[test]
    fn a_line_of_a_call_names_its_trace_and_group() {
        let text = logged(Format::Pretty, || drop(in_a_call(|| tracing::info!(rows = 3, "listed"))));
        assert!(text.ends_with("listed rows=3 trace_id=4bf92f3577b34da6a3ce929d0e0e4736 group.id=00000000-0000-0000-0000-000000000007\n"), "{text}");
        let json = logged(Format::Json, || drop(in_a_call(|| tracing::warn!(slow = true, "late"))));
        let line: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&line["level"], &line["message"], &line["slow"]), (&"WARN".into(), &"late".into(), &true.into()));
        assert_eq!(
            (&line["trace_id"], &line["group.id"]),
            (&"4bf92f3577b34da6a3ce929d0e0e4736".into(), &"00000000-0000-0000-0000-000000000007".into())
        );
    }

    #[test]
    fn adv_rustsec_2025_0055_a_strangers_value_stays_in_its_field() {
        let evil = "a\n2026 ERROR forged: \u{1b}[2J\u{202e}\r\u{7}";
        for format in [Format::Pretty, Format::Json] {
            let line = logged(format, || tracing::info!(name = evil, shown = %evil, debugged = ?evil, "{evil}"));
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(!line.trim_end_matches('\n').chars().any(char::is_control), "{line:?}");
        }
        let line = logged(Format::Pretty, || tracing::info!(name = evil, "x"));
        assert!(!line.contains('\u{202e}'), "{line:?}");
    }
}

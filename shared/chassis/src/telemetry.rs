//! What a process tells its operators: logs, traces, metrics.
//!
//! Traces and metrics are exported only when the standard `OTEL_…` variables ask for it. Without an exporter a call
//! costs no span: its trace id is read from `traceparent` (or made), travels in a task-local ([`Trace`]) and stands in
//! every log line with the group. Metrics are always there for Prometheus ([`Metrics`]).

mod calls;
mod exporters;
mod line;
mod metrics;
mod outgoing;
#[cfg(test)]
pub(crate) mod sink;
mod step;
mod trace;
mod traceparent;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
};

pub use calls::{Calls, word as code_name};
pub use line::Format;
pub use metrics::Metrics;
pub use outgoing::Outgoing;
pub use step::Step;
pub use trace::{Kind, Trace};
pub use traceparent::TraceParent;

/// The name of every method that is not in our contract: each name is a series of its own, and a stranger's path could be anything.
pub const OTHER: &str = "_OTHER";

/// Whether calls become spans.
static EXPORTS: AtomicBool = AtomicBool::new(false);

/// Whether calls become spans: who does something for them alone asks first.
#[must_use]
pub fn exports() -> bool {
    EXPORTS.load(Relaxed)
}

/// What a process says, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `service.name`, when `OTEL_SERVICE_NAME` doesn't say otherwise.
    pub name: String,
    /// Which log lines are written: a level, or directives such as `info,gateway=debug`.
    pub filter: String,
    /// How they look.
    pub format: Format,
}

/// Why telemetry can't start. One sentence each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter of the log is not understood.
    #[error("the log filter `{0}` is not a level or a list of target=level")]
    Filter(String),
    /// The variables ask for what this build does not have.
    #[error("{0} is `{1}`, but this build exports {2} only")]
    Unsupported(String, String, &'static str),
    /// An exporter can't be built.
    #[error("the OpenTelemetry exporter cannot start: {0}")]
    Exporter(String),
    /// Telemetry was started before in this process.
    #[error("telemetry was started twice")]
    Twice,
}

/// The telemetry of this process, as long as it runs.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Metrics,
}

impl Telemetry {
    /// Starts what the settings and the `OTEL_…` variables ask for. Within a tokio runtime; once in a process.
    ///
    /// # Errors
    /// As a sentence for whoever set the variable.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        let filter = filter(&settings.filter)?;
        let exporters = exporters::Exporters::asked(|name| std::env::var(name).ok())?;
        let traces = exporters.traces(&settings.name)?;
        let metrics = exporters.metrics(&settings.name)?;
        let spans = traces.as_ref().map(|traces| {
            let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("onemesh"));
            // What the conventions know, and no more: each attribute is paid for with every span.
            let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
            layer.with_filter(quiet().with_target("opentelemetry", LevelFilter::OFF).with_default(LevelFilter::INFO))
        });
        let logs = tracing_subscriber::fmt::layer().event_format(settings.format).with_writer(std::io::stderr).with_filter(filter);
        tracing_subscriber::registry().with(spans).with(logs).try_init().map_err(|_| Error::Twice)?;
        EXPORTS.store(traces.is_some(), Relaxed);
        if exporters.exports_metrics() {
            outgoing::time(metrics.calls_made());
        }
        Ok(Self { traces, metrics })
    }

    /// The metrics, for the admin port and whoever counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sends what is left, for at most `patience`: a collector that is away must not hold up the end. On a thread of its
    /// own, since the exporters block and a runtime waits for its blocking tasks.
    pub async fn shutdown(self, patience: Duration) {
        EXPORTS.store(false, Relaxed);
        let (done, finished) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let traces = self.traces.map(|traces| traces.shutdown_with_timeout(patience));
            let _ = done.send((traces, self.metrics.shutdown()));
        });
        if tokio::time::timeout(patience, finished).await.is_err() {
            tracing::warn!("the last spans and metrics were not taken in time");
        }
    }
}

/// What is exported must not say how it is exported, or each span would make more.
fn quiet() -> Targets {
    let silent = ["h2", "hyper", "hyper_util", "tonic", "tower"].map(|library| (library, LevelFilter::OFF));
    Targets::new().with_targets(silent).with_target("opentelemetry", LevelFilter::ERROR)
}

/// The caller's directives over the quiet ones: who asks for `h2=debug` by name gets it.
fn filter(text: &str) -> Result<Targets, Error> {
    let wrong = || Error::Filter(text.to_owned());
    if text.split(',').any(|directive| directive.trim_start().starts_with('=')) {
        return Err(wrong()); // to Targets, a level for nobody
    }
    let asked: Targets = text.parse().map_err(|_| wrong())?;
    let default = asked.default_level().unwrap_or(LevelFilter::OFF);
    Ok(quiet().with_targets(asked).with_default(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_filter_is_a_level_or_directives() {
        for text in ["info", "warn,gateway=debug", "h2=trace", "off"] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in ["gateway=loud", "=", "a=b=c"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}

//! What is counted: read by Prometheus on the admin port, and sent by OTLP when asked.

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use super::Calls;

/// The metrics of one process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: Registry,
}

impl Metrics {
    pub(super) fn new(resource: Resource, exporter: Option<MetricExporter>) -> Self {
        let registry = Registry::new();
        let prometheus = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
        let prometheus = prometheus.build().expect("its collector is the first of this registry");
        let builder = SdkMeterProvider::builder().with_resource(resource).with_reader(prometheus);
        let builder = match exporter {
            Some(exporter) => builder.with_periodic_exporter(exporter),
            None => builder,
        };
        Self { provider: builder.build(), registry }
    }

    /// Where instruments are made.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.provider.meter("onemesh")
    }

    /// The durations of calls that are answered here.
    #[must_use]
    pub fn calls(&self) -> Calls {
        Calls::new(&self.meter(), "rpc.server.call.duration", "How long calls took until their last byte.")
    }

    /// The durations of calls that are made from here.
    #[must_use]
    pub fn calls_made(&self) -> Calls {
        Calls::new(&self.meter(), "rpc.client.call.duration", "How long calls to other services took.")
    }

    /// All of them as Prometheus reads them.
    ///
    /// # Errors
    /// When a family can't be written as text.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    pub(super) fn shutdown(&self) -> OTelSdkResult {
        self.provider.shutdown()
    }
}

/// Without a resource of its own; for tests.
impl Default for Metrics {
    fn default() -> Self {
        Self::new(Resource::builder_empty().build(), None)
    }
}

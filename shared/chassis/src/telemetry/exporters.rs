//! Which exporters the standard variables ask for.

use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::{Error, Metrics};

/// The signals that are exported by OTLP over gRPC. Endpoint, headers, time-outs, sampler and batches are read from their
/// own variables by OpenTelemetry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exporters {
    traces: bool,
    metrics: bool,
}

impl Exporters {
    /// An endpoint asks for its signal; `OTEL_…_EXPORTER=none` and `OTEL_SDK_DISABLED=true` say no.
    pub(super) fn asked(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if set("OTEL_SDK_DISABLED").is_some_and(|disabled| disabled.eq_ignore_ascii_case("true")) {
            return Ok(Self { traces: false, metrics: false });
        }
        Ok(Self { traces: is_asked("TRACES", &set)?, metrics: is_asked("METRICS", &set)? })
    }

    pub(super) fn exports_metrics(&self) -> bool {
        self.metrics
    }

    pub(super) fn traces(&self, name: &str) -> Result<Option<SdkTracerProvider>, Error> {
        if !self.traces {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_tonic().build().map_err(|error| Error::Exporter(error.to_string()))?;
        Ok(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(name)).build()))
    }

    pub(super) fn metrics(&self, name: &str) -> Result<Metrics, Error> {
        let build = || MetricExporter::builder().with_tonic().build().map_err(|error| Error::Exporter(error.to_string()));
        let exporter = if self.metrics { Some(build()?) } else { None };
        Ok(Metrics::new(resource(name), exporter))
    }
}

/// `name` is only the last word: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come before it.
fn resource(name: &str) -> Resource {
    let said = |variable: &str, part: &str| std::env::var(variable).is_ok_and(|value| value.contains(part) && !value.is_empty());
    let builder = Resource::builder();
    if said("OTEL_SERVICE_NAME", "") || said("OTEL_RESOURCE_ATTRIBUTES", "service.name=") {
        return builder.build();
    }
    builder.with_service_name(name.to_owned()).build()
}

fn is_asked(signal: &str, set: &impl Fn(&str) -> Option<String>) -> Result<bool, Error> {
    let either = |end: &str| {
        let names = [format!("OTEL_EXPORTER_OTLP_{signal}_{end}"), format!("OTEL_EXPORTER_OTLP_{end}")];
        names.into_iter().find_map(|name| set(&name).map(|value| (name, value)))
    };
    let exporter = format!("OTEL_{signal}_EXPORTER");
    let asked = match set(&exporter).as_deref() {
        None => either("ENDPOINT").is_some(),
        Some("none") => false,
        Some("otlp") => true,
        Some(other) => return Err(Error::Unsupported(exporter, other.to_owned(), "otlp")),
    };
    match either("PROTOCOL") {
        Some((name, protocol)) if asked && protocol != "grpc" => Err(Error::Unsupported(name, protocol, "grpc")),
        _ => Ok(asked),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(variables: &[(&str, &str)]) -> Result<Exporters, Error> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Exporters::asked(find)
    }

    #[test]
    fn an_endpoint_asks_and_none_or_disabled_say_no() {
        const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
        for (variables, traces, metrics) in [
            (&[][..], false, false),
            (&[ENDPOINT], true, true),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], false, false),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a")], true, false),
            (&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "none")], true, false),
            (&[("OTEL_METRICS_EXPORTER", "otlp")], false, true),
            (&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")], false, false),
            (&[ENDPOINT, ("OTEL_SDK_DISABLED", "false"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], true, true),
            (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], false, false),
        ] {
            assert_eq!(asked(variables).unwrap(), Exporters { traces, metrics }, "{variables:?}");
        }
    }

    #[test]
    fn what_this_build_has_not_is_refused_by_name() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a");
        let error = asked(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]).unwrap_err().to_string();
        assert_eq!(error, "OTEL_EXPORTER_OTLP_PROTOCOL is `http/protobuf`, but this build exports grpc only");
        let error = asked(&[("OTEL_TRACES_EXPORTER", "zipkin")]).unwrap_err().to_string();
        assert_eq!(error, "OTEL_TRACES_EXPORTER is `zipkin`, but this build exports otlp only");
    }
}

//! The duration of calls, named as OpenTelemetry's conventions say.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use tonic::Code;

/// Seconds. The conventions' own, and two below for calls that stay in the process.
const BOUNDS: [f64; 16] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A histogram of calls by method and status.
#[derive(Clone, Debug)]
pub struct Calls(Histogram<f64>);

impl Calls {
    pub(super) fn new(meter: &Meter, name: &'static str, meaning: &'static str) -> Self {
        Self(meter.f64_histogram(name).with_unit("s").with_description(meaning).with_boundaries(BOUNDS.to_vec()).build())
    }

    /// One call. `method` is `pkg.Service/Method`, out of the descriptor and never a client's text: each becomes a series
    /// of its own. `_OTHER` stands for all that are unknown.
    pub fn record(&self, method: &'static str, code: Code, took: Duration) {
        let attributes =
            [KeyValue::new("rpc.system.name", "grpc"), KeyValue::new("rpc.method", method), KeyValue::new("rpc.response.status_code", word(code))];
        self.0.record(took.as_secs_f64(), &attributes);
    }
}

/// As the conventions write a status.
#[must_use]
pub fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Metrics;
    use super::*;

    #[test]
    fn a_call_is_counted_by_method_and_status() {
        let metrics = Metrics::default();
        metrics.calls().record("one.a.v1.A/Get", Code::NotFound, Duration::from_millis(4));
        metrics.calls_made().record("one.b.v1.B/Get", Code::Ok, Duration::from_secs(1));
        let page = metrics.render().unwrap();
        for part in [
            "rpc_server_call_duration_seconds_bucket{",
            "rpc_method=\"one.a.v1.A/Get\"",
            "rpc_response_status_code=\"NOT_FOUND\"",
            "rpc_system_name=\"grpc\"",
            "le=\"0.005\"",
            "rpc_client_call_duration_seconds_sum{",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }
}

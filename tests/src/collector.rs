//! A collector of OpenTelemetry that keeps what it is sent.

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{HistogramDataPoint, Metric, metric::Data},
    resource::v1::Resource,
    trace::v1::Span,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Server, server::TcpIncoming},
};

/// A span, with who sent it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `service.name`.
    pub service: String,
    /// The span.
    pub span: Span,
}

impl Sent {
    /// An attribute that is a text; empty if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        text(&self.span.attributes, name)
    }
}

/// Calls of one kind, as a histogram counts them.
#[derive(Clone, Debug)]
pub struct Measured {
    /// In what it is measured.
    pub unit: String,
    /// How many.
    pub count: u64,
    attributes: Vec<KeyValue>,
}

impl Measured {
    /// An attribute that is a text; empty if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        text(&self.attributes, name)
    }
}

fn points(metric: &Metric) -> Vec<Measured> {
    let Some(Data::Histogram(histogram)) = &metric.data else { return Vec::new() };
    let point = |point: &HistogramDataPoint| Measured { unit: metric.unit.clone(), count: point.count, attributes: point.attributes.clone() };
    histogram.data_points.iter().map(point).collect()
}

/// Takes spans and metrics, as long as the runtime lives in which it was started. Clones are the same.
#[derive(Clone, Debug)]
pub struct Collector {
    addr: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Sent>,
    metrics: Vec<ExportMetricsServiceRequest>,
    heads: Vec<MetadataMap>,
}

impl Collector {
    /// One on a port of its own.
    pub async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let collector = Collector { addr: listener.local_addr().expect("it is bound"), kept: Arc::default() };
        let serving = Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(serving);
        collector
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The spans of a trace that have come so far.
    pub fn spans(&self, trace_id: &str) -> Vec<Sent> {
        self.kept().spans.iter().filter(|sent| hex(&sent.span.trace_id) == trace_id).cloned().collect()
    }

    /// The spans of that name that have come so far.
    pub fn named(&self, name: &str) -> Vec<Sent> {
        self.kept().spans.iter().filter(|sent| sent.span.name == name).cloned().collect()
    }

    /// What has come of a histogram so far.
    pub fn measured(&self, name: &str) -> Vec<Measured> {
        let kept = self.kept();
        let scopes = kept.metrics.iter().flat_map(|sent| &sent.resource_metrics).flat_map(|of| &of.scope_metrics);
        let metrics = scopes.flat_map(|of| &of.metrics).filter(|metric| metric.name == name);
        metrics.flat_map(points).collect()
    }

    /// All that has come, as text; without the headers, which are the sender's credentials.
    pub fn text(&self) -> String {
        let kept = self.kept();
        format!("{:?}{:?}", kept.spans, kept.metrics)
    }

    /// Whether all that has come, and something has, came with that header.
    pub fn was_told(&self, name: &str, value: &str) -> bool {
        let kept = self.kept();
        !kept.heads.is_empty() && kept.heads.iter().all(|head| head.get(name).is_some_and(|said| said == value))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(&self, request: Request<ExportTraceServiceRequest>) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.kept().heads.push(request.metadata().clone());
        for of in request.into_inner().resource_spans {
            let service = of.resource.as_ref().map(service_name).unwrap_or_default();
            let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.kept().spans.extend(spans.map(|span| Sent { service: service.clone(), span }));
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(&self, request: Request<ExportMetricsServiceRequest>) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut kept = self.kept();
        kept.heads.push(request.metadata().clone());
        kept.metrics.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

fn service_name(resource: &Resource) -> String {
    text(&resource.attributes, "service.name").to_owned()
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> &'a str {
    let found = attributes.iter().find(|attribute| attribute.key == name).and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
    match found {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

/// As in `traceparent`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

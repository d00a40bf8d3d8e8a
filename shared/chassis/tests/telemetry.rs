//! Spans and metrics arrive at a collector when the standard variables ask for one. The subscriber and the environment are
//! the process's, so the process under test is this binary once more.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use chassis::serve::{Guarded, Incoming, Limits, grpc, serve};
use chassis::telemetry::{Format, Settings, Telemetry, Trace};
use contract::id::GroupId;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::body::Body;
use tower::service_fn;

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const GROUP: &str = "0199a0d2-7a5c-7000-8000-000000000001";
const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

type Export = (String, Vec<u8>);

/// Takes every export and says thanks.
async fn collect(exports: UnboundedSender<Export>, request: Request<Guarded<Incoming>>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    exports.send((path, body.to_vec())).unwrap();
    let ok = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let thanks = Full::new(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(ok)) });
    let answer = Response::builder().header("content-type", "application/grpc");
    Ok(answer.body(Body::new(thanks)).unwrap())
}

async fn collector() -> (String, UnboundedReceiver<Export>) {
    let (exports, taken) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let limits = Limits::public();
    let app = grpc(service_fn(move |request| collect(exports.clone(), request)), &limits, []);
    tokio::spawn(serve(listener, app, limits, CancellationToken::new()));
    (endpoint, taken)
}

async fn process(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_process_that_answers_a_call", "--ignored", "--nocapture"]).envs(variables.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
#[ignore = "run by the tests beside it, with their variables"]
async fn a_process_that_answers_a_call() {
    let settings = Settings { name: "one-test".into(), filter: "info".into(), format: Format::Json };
    let telemetry = Telemetry::start(&settings).unwrap();
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), HeaderValue::from_static(SENT))]);
    let trace = Trace::server("one.test.v1.Test/Answer", &headers);
    trace.in_group(GroupId::parse(GROUP).unwrap());
    let parent = trace.parent();
    let asked = trace.clone().run(async {
        let made = Trace::client("one.test.v1.Test/Ask");
        tracing::info!("working");
        made.parent()
    });
    let asked = asked.await;
    assert_eq!(asked.trace_id(), parent.trace_id());
    println!("parent {parent} asked {asked}");
    trace.ended(Code::Internal);
    drop(trace);
    telemetry.metrics().calls().record("one.test.v1.Test/Answer", Code::Internal, Duration::from_millis(1));
    telemetry.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_gets_the_callers_trace_and_the_metrics() {
    let (endpoint, mut taken) = collector().await;
    let output = process(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_SERVICE_NAME", "renamed")]).await;
    let (log, said) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{said}{log}");
    let line: serde_json::Value = serde_json::from_str(log.lines().find(|line| line.contains("working")).unwrap()).unwrap();
    assert_eq!((&line["level"], &line["group.id"], &line["trace_id"]), (&"INFO".into(), &GROUP.into(), &format!("{TRACE:032x}").into()));
    assert!(!said.contains(&SENT[36..52]), "the spans have ids of their own: {said}");
    let (mut spans, mut metrics) = (Vec::new(), Vec::new());
    while let Ok((path, body)) = taken.try_recv() {
        let of = if path.contains("TraceService") { &mut spans } else { &mut metrics };
        of.extend(body);
    }
    for part in [&TRACE.to_be_bytes()[..], b"one.test.v1.Test/Answer", b"one.test.v1.Test/Ask", GROUP.as_bytes(), b"renamed", b"INTERNAL"] {
        assert!(contains(&spans, part), "{} is in no span", String::from_utf8_lossy(part));
    }
    assert!(contains(&spans, &0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()), "the caller's span is the parent");
    assert!(contains(&metrics, b"rpc.server.call.duration"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_or_when_disabled_nothing_is_sent_and_the_trace_passes() {
    let (endpoint, mut taken) = collector().await;
    for variables in [&[][..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_SDK_DISABLED", "true")]] {
        let output = process(variables).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(&format!("parent {SENT} asked {SENT}")), "{said}");
    }
    assert!(taken.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampler_of_the_environment_is_obeyed() {
    let (endpoint, mut taken) = collector().await;
    let off = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_TRACES_SAMPLER", "always_off")];
    let output = process(&off).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("parent 00-{TRACE:032x}-")) && said.contains("-00 asked"), "the trace goes on, unsampled: {said}");
    while let Ok((path, _)) = taken.try_recv() {
        assert!(!path.contains("TraceService"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nothing_up() {
    let output = process(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

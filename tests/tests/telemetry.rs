//! One trace from the client to the event, at a collector that is there, and none that is missed when it is not; and logs that name it.

use crate::support::{events_about, product};
use contract::{
    Reason,
    ontology::v1::{CreateThingRequest, GetThingRequest},
};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;
use std::time::Duration;
use tests::{
    Builder, Caller, Engine, Layout, Mesh, PASSWORD, Process, Refuses, Role,
    collector::{Collector, Sent, hex},
    eventually, run,
};
use tonic::IntoRequest;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn traced(caller: &Caller) -> Caller {
    caller.with("traceparent", &format!("00-{TRACE}-{SPAN}-01"))
}

/// Exports at once, and logs all there is to log.
fn exporting(layout: Layout, engine: Engine, collector: &Collector) -> Builder {
    let builder = Mesh::builder(layout, engine).set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    builder.set("OTEL_BSP_SCHEDULE_DELAY", "50").set("OTEL_METRIC_EXPORT_INTERVAL", "200").set("ONE_LOG_FILTER", "trace")
}

const CREATE: &str = "one.ontology.v1.ThingService/CreateThing";

/// The one span below a parent, once it has come.
fn child(spans: &[Sent], parent: &str, name: &str, kind: SpanKind) -> Option<Sent> {
    let fits = |sent: &&Sent| hex(&sent.span.parent_span_id) == parent && sent.span.name == name && sent.span.kind() == kind;
    let found: Vec<&Sent> = spans.iter().filter(fits).collect();
    assert!(found.len() <= 1, "{found:?}");
    found.first().map(|sent| (*sent).clone())
}

/// From the client's span to the log: gateway, its call, the service, its change and commit, the relay, the log.
fn way(spans: &[Sent]) -> Option<[Sent; 7]> {
    let below = |of: &Sent, name: &str, kind| child(spans, &hex(&of.span.span_id), name, kind);
    let gateway = child(spans, SPAN, CREATE, SpanKind::Server)?;
    let call = below(&gateway, CREATE, SpanKind::Client)?;
    let service = below(&call, CREATE, SpanKind::Server)?;
    let [change, commit, relay] = ["store.change", "store.commit", "relay"].map(|name| below(&service, name, SpanKind::Internal));
    let relay = relay?;
    let log = below(&relay, "log.append", SpanKind::Internal)?;
    Some([gateway, call, service, change?, commit?, relay, log])
}

async fn one_trace_leads_to_the_event(layout: Layout, engine: Engine) {
    let collector = Collector::start().await;
    let mesh = exporting(layout, engine, &collector).start().await;
    let _shown = mesh.show_logs_of_a_failure();
    let tenant = mesh.tenant().await;
    let thing = traced(&tenant).create("A").await;
    let [event] = events_about(&tenant, &thing.id, 1).await.try_into().unwrap();
    assert_eq!(event.trace_id, TRACE);

    let way = eventually("a span of each step", || async { way(&collector.spans(TRACE)) }).await;
    let parts = if layout == Layout::OneProcess {
        ["onemesh"; 7]
    } else {
        let [gateway, ontology, events] = ["onemesh-gateway", "onemesh-ontology", "onemesh-events"];
        [gateway, gateway, ontology, ontology, ontology, ontology, events]
    };
    let system = if engine == Engine::Sqlite { "sqlite" } else { "postgresql" };
    for (sent, part) in way.iter().zip(parts) {
        let is_call = sent.span.name == CREATE;
        let expected =
            if is_call { ["grpc", CREATE, "OK", ""] } else { ["", "", "", if sent.span.name.starts_with("store.") { system } else { "" }] };
        let attributes = ["rpc.system.name", "rpc.method", "rpc.response.status_code", "db.system.name"].map(|name| sent.attribute(name));
        assert_eq!((sent.service.as_str(), attributes, sent.attribute("group.id")), (part, expected, tenant.group.id.as_str()), "{sent:?}");
    }
    a_read_has_its_span(&collector, &tenant, &thing.id).await;
    measured(&collector, "rpc.server.call.duration").await;
    measured(&collector, "rpc.client.call.duration").await;
}

async fn a_read_has_its_span(collector: &Collector, tenant: &Caller, thing: &str) {
    const READ: &str = "7bf92f3577b34da6a3ce929d0e0e4736";
    const GET: &str = "one.ontology.v1.ThingService/GetThing";
    tenant.with("traceparent", &format!("00-{READ}-{SPAN}-01")).get(thing).await;
    eventually("a span of the read", || async {
        let spans = collector.spans(READ);
        let below = |of: &Sent, name: &str, kind| child(&spans, &hex(&of.span.span_id), name, kind);
        let call = below(&child(&spans, SPAN, GET, SpanKind::Server)?, GET, SpanKind::Client)?;
        below(&below(&call, GET, SpanKind::Server)?, "store.read", SpanKind::Internal)
    })
    .await;
}

/// Each call is in the histogram, by the conventions' names and in their unit.
async fn measured(collector: &Collector, name: &str) {
    let point = eventually(name, || async { collector.measured(name).into_iter().find(|point| point.attribute("rpc.method") == CREATE) }).await;
    let attributes = ["rpc.system.name", "rpc.response.status_code"].map(|name| point.attribute(name));
    assert_eq!((attributes, point.unit.as_str()), (["grpc", "OK"], "s"), "{point:?}");
    assert!(point.count >= 1, "{point:?}");
}

#[test]
fn one_trace_leads_to_the_event_in_one_process_on_sqlite() {
    run(Layout::OneProcess, Engine::Sqlite, |_| one_trace_leads_to_the_event(Layout::OneProcess, Engine::Sqlite));
}

#[test]
fn one_trace_leads_to_the_event_in_one_process_on_postgres() {
    run(Layout::OneProcess, Engine::Postgres, |_| one_trace_leads_to_the_event(Layout::OneProcess, Engine::Postgres));
}

#[test]
fn one_trace_leads_to_the_event_in_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| one_trace_leads_to_the_event(Layout::Split, Engine::Postgres));
}

/// Who does not sample sends no spans, and is not cut out of the event's trace.
async fn a_client_that_does_not_sample_is_obeyed(layout: Layout) {
    const UNSAMPLED: &str = "5bf92f3577b34da6a3ce929d0e0e4736";
    let collector = Collector::start().await;
    let mesh = exporting(layout, Engine::Postgres, &collector).start().await;
    let tenant = mesh.tenant().await;
    let quiet = tenant.with("traceparent", &format!("00-{UNSAMPLED}-{SPAN}-00")).create("A").await;
    let [event] = events_about(&tenant, &quiet.id, 1).await.try_into().unwrap();
    assert_eq!(event.trace_id, UNSAMPLED);
    let thing = traced(&tenant).create("B").await;
    events_about(&tenant, &thing.id, 1).await;
    eventually("the spans of the later call", || async { way(&collector.spans(TRACE)) }).await;
    assert!(collector.spans(UNSAMPLED).is_empty(), "{:?}", collector.spans(UNSAMPLED));
}

/// A gateway asks each service how it is, every second; that is nobody's call.
#[test]
fn questions_of_health_are_counted_and_have_no_span() {
    run(Layout::Split, Engine::Postgres, |_| async {
        const OTHER: &str = "_OTHER";
        let collector = Collector::start().await;
        let mesh = exporting(Layout::Split, Engine::Postgres, &collector).start().await;
        eventually("questions", || async {
            collector.measured("rpc.server.call.duration").into_iter().find(|point| point.attribute("rpc.method") == OTHER)
        })
        .await;
        let tenant = mesh.tenant().await;
        let thing = traced(&tenant).create("A").await;
        events_about(&tenant, &thing.id, 1).await;
        eventually("the spans of a later call", || async { way(&collector.spans(TRACE)) }).await;
        assert!(collector.named(OTHER).is_empty(), "{:?}", collector.named(OTHER));
    });
}

#[test]
fn a_client_that_does_not_sample_is_obeyed_in_one_process() {
    run(Layout::OneProcess, Engine::Postgres, |_| a_client_that_does_not_sample_is_obeyed(Layout::OneProcess));
}

#[test]
fn a_client_that_does_not_sample_is_obeyed_in_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| a_client_that_does_not_sample_is_obeyed(Layout::Split));
}

/// A collector that takes connections and never answers, and one that is not there, with room for eight spans: what finds no room is dropped.
async fn a_collector_that_does_not_answer_slows_nothing(url: &str) {
    const CALLS: usize = 400;
    let mesh = Mesh::builder(Layout::OneProcess, Engine::Sqlite)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        .set("OTEL_BSP_SCHEDULE_DELAY", "1")
        .set("OTEL_BSP_MAX_QUEUE_SIZE", "8")
        .set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
        .set("OTEL_METRIC_EXPORT_INTERVAL", "50")
        .start()
        .await;
    let tenant = mesh.tenant().await;
    let calls = futures::future::join_all((0..CALLS).map(|_| async {
        let mut request = CreateThingRequest { thing: Some(product("A")), ..Default::default() }.into_request();
        request.set_timeout(Duration::from_secs(10)); // an export is given as long: who waited for one would be late
        tenant.things().create_thing(request).await
    }));
    let late: Vec<_> = calls.await.into_iter().filter_map(Result::err).collect();
    assert!(late.is_empty(), "{} of {CALLS}: {:?}", late.len(), late.first());
    let exit = mesh.take(Role::Gateway, 0).terminate();
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
}

#[test]
fn a_collector_that_never_answers_slows_nothing() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        a_collector_that_does_not_answer_slows_nothing(&url).await;
        let took = tokio::time::timeout(Duration::from_secs(1), silent.accept()).await;
        assert!(took.is_ok(), "the mesh did try");
    });
}

#[test]
fn a_collector_that_is_not_there_slows_nothing() {
    run(Layout::OneProcess, Engine::Sqlite, |_| a_collector_that_does_not_answer_slows_nothing("http://127.0.0.1:1"));
}

/// An operator finds what broke by the trace that the caller was given.
async fn an_error_is_found_by_its_trace(layout: Layout) {
    let mesh = Mesh::start(layout, Engine::Postgres).await;
    let tenant = mesh.tenant().await;
    let thing = tenant.create("A").await;
    mesh.database().unwrap().ask("alter table ontology.things rename to elsewhere");
    let failed = traced(&tenant).things().get_thing(GetThingRequest { id: thing.id }).await.refused();
    assert_eq!(failed.reason, Reason::Internal);
    assert!(!failed.message.contains("relation") && !failed.message.contains("ontology"), "nothing internal: {failed:?}");
    assert!(failed.status.metadata().get("traceparent").is_some_and(|parent| parent.to_str().unwrap().contains(TRACE)), "{failed:?}");
    let line = eventually("a line about it", || async {
        let log = mesh.look(Role::Ontology, 0, Process::log);
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["level"] == "ERROR" && line["trace_id"] == TRACE)
    })
    .await;
    assert_eq!(line["group.id"], tenant.group.id.as_str(), "{line}");
    assert!(line["timestamp"].is_string() && line["target"].is_string() && line["message"].is_string(), "{line}");
}

#[test]
fn an_error_is_found_by_its_trace_in_one_process() {
    run(Layout::OneProcess, Engine::Postgres, |_| an_error_is_found_by_its_trace(Layout::OneProcess));
}

#[test]
fn an_error_is_found_by_its_trace_in_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| an_error_is_found_by_its_trace(Layout::Split));
}

#[test]
fn a_password_stands_in_no_sentence_about_a_database_that_is_away() {
    let folder = tempfile::TempDir::new().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = [
        ("ONE_DATA_DIR".to_owned(), folder.path().display().to_string()),
        ("ONE_DATABASE_URL".to_owned(), format!("postgres://one:{PASSWORD}@{nobody}/one")),
        ("ONE_GATEWAY_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
        ("ONE_ADMIN_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
        ("ONE_LOG_FILTER".to_owned(), "trace".to_owned()),
    ];
    let exit = Process::spawn("onemesh", &[], &settings).wait();
    assert!(exit.code.is_some_and(|code| code != 0) && !exit.stderr.is_empty(), "{exit:?}");
    assert!(!exit.stderr.contains(PASSWORD) && !exit.stdout.contains(PASSWORD), "{exit:?}");
}

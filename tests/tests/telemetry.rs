//! One trace from the client to the event; logs that name it; and no secret in any of it.

use crate::support::{create, events_about, never, product};
use contract::{Reason, identity::v1::GetCallerRequest, ontology::v1::GetThingRequest};
use http::Method;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;
use tests::{
    Builder, Caller, Engine, Layout, Mesh, PASSWORD, Process, Refuses, Role,
    collector::{Collector, Sent, hex},
    eventually,
    raw::Raw,
    run,
};

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

fn below<'a>(spans: &'a [Sent], parent: &str) -> Vec<&'a Sent> {
    spans.iter().filter(|sent| hex(&sent.span.parent_span_id) == parent).collect()
}

async fn one_trace_leads_to_the_event(layout: Layout, engine: Engine) {
    let collector = Collector::start().await;
    let mesh = exporting(layout, engine, &collector).start().await;
    let _shown = mesh.show_logs_of_a_failure();
    let tenant = mesh.tenant().await;
    let thing = traced(&tenant).create("A").await;
    let [event] = events_about(&tenant, &thing.id, 1).await.try_into().unwrap();
    assert_eq!(event.trace_id, TRACE);

    let method = "one.ontology.v1.ThingService/CreateThing";
    let servers = |spans: &[Sent]| spans.iter().filter(|sent| sent.span.name == method && sent.span.kind() == SpanKind::Server).count();
    let spans = eventually("the spans of gateway and service", || async {
        let spans = collector.spans(TRACE);
        (servers(&spans) == 2).then_some(spans)
    })
    .await;
    let [gateway] = below(&spans, SPAN).try_into().unwrap_or_else(|all| panic!("one span is the client's child: {all:?}"));
    assert_eq!((gateway.span.name.as_str(), gateway.span.kind()), (method, SpanKind::Server));
    let service =
        spans.iter().find(|sent| sent.span.name == method && sent.span.kind() == SpanKind::Server && sent.span.span_id != gateway.span.span_id);
    let service = service.expect("the second of two");
    assert!(descends(service, gateway, &spans), "{spans:?}");
    for sent in [gateway, service] {
        let attributes = ["rpc.system.name", "rpc.method", "rpc.response.status_code", "group.id"].map(|name| sent.attribute(name));
        assert_eq!(attributes, ["grpc", method, "OK", tenant.group.id.as_str()], "{sent:?}");
    }
    let names = if layout == Layout::OneProcess { ["onemesh"; 2] } else { ["onemesh-gateway", "onemesh-ontology"] };
    assert_eq!([gateway.service.as_str(), service.service.as_str()], names);
    eventually("the metrics", || async { collector.has_metric("rpc.server.call.duration").then_some(()) }).await;
    nothing_secret(&mesh, &tenant, &collector).await;
}

/// Whether the way up from one span leads to the other.
fn descends(sent: &Sent, to: &Sent, spans: &[Sent]) -> bool {
    let parent = &sent.span.parent_span_id;
    *parent == to.span.span_id || spans.iter().any(|other| other.span.span_id == *parent && descends(other, to, spans))
}

/// Uses keys in every way one can, and looks for them in all that the mesh says.
async fn nothing_secret(mesh: &Mesh, tenant: &Caller, collector: &Collector) {
    let made = tenant.create_key("a canary", "group_owner", &["*"]).await;
    let canary = mesh.stranger().with("x-api-key", &made.secret);
    create(&canary, product("A")).await.unwrap();
    create(&canary, product("")).await.refused();
    let twice = canary.with("authorization", &format!("Bearer {}", tenant.key()));
    twice.keys().get_caller(GetCallerRequest {}).await.refused();
    let wrong = format!("{}x", made.secret);
    mesh.stranger().with_key(&wrong).keys().get_caller(GetCallerRequest {}).await.refused();
    canary.acting_in(&never()).things().get_thing(GetThingRequest { id: never() }).await.refused();
    tenant.acting_in(&made.secret).keys().get_caller(GetCallerRequest {}).await.refused();
    let last = create(&traced(&canary), product("the last")).await.unwrap().into_inner();
    events_about(&canary, &last.id, 1).await;

    let owner = mesh.owner();
    let secrets = [&made.secret, &wrong, tenant.key(), owner.key(), mesh.platform().key()].map(|key| key[key.len() - 40..].to_owned());
    let root = std::fs::read_to_string(mesh.data(Role::Identity, 0).join("secret")).unwrap_or_else(|_| secrets[0].clone());
    let mut said: Vec<(&str, String)> = vec![("the log", mesh.said()), ("the collector", collector.text())];
    let pages = Raw::new(Method::GET, "/metrics", "").http1(mesh.admin(Role::Gateway, 0)).await;
    said.push(("the metrics", String::from_utf8_lossy(&pages.body).into_owned()));
    for (place, text) in said {
        // The first start announces its owner's key once, on standard output.
        let text: String = text.lines().filter(|line| !line.contains("\"owner_key\"")).collect();
        for secret in secrets.iter().map(String::as_str).chain([root.trim(), PASSWORD]) {
            assert!(!text.contains(secret), "{place} holds a secret");
        }
    }
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

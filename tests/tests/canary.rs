//! Secrets in every place where a client can put one, and none in anything that a mesh says: CVE-2026-40091 is a credential in a log.
//!
//! The fields are read from the descriptor, so a new rpc is covered without a line here.

use crate::support::{create, events_about, never, product};
use contract::{Access, Method, identity::v1::GetCallerRequest, methods, ontology::v1::GetThingRequest, pool};
use http::Method as Http;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use std::{collections::HashMap, process::Command};
use tests::{
    Caller, Engine, Layout, Mesh, PASSWORD, Redis, Refuses, Role, Tenant,
    collector::Collector,
    eventually,
    raw::{Answer, Raw, frame},
    run,
    tools::binary,
};

const TRACE: &str = "6bf92f3577b34da6a3ce929d0e0e4736";

/// Headers in which clients carry secrets, rightly or not.
const HEADERS: [&str; 9] =
    ["authorization", "x-api-key", "cookie", "proxy-authorization", "x-auth-token", "x-csrf-token", "referer", "x-secret-text", "baggage"];

/// What must not be said, each with where it was put.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// A secret that nothing else looks like.
    fn make(&mut self, place: &str) -> String {
        let secret = format!("canary{}", uuid::Uuid::new_v4().simple());
        self.know(place, &secret);
        secret
    }

    fn know(&mut self, place: &str, secret: &str) {
        self.0.push((place.to_owned(), secret.to_owned()));
    }

    fn assert_unsaid(&self, by: &str, text: &str) {
        let said: Vec<&str> = self.0.iter().filter(|(_, secret)| text.contains(secret.as_str())).map(|(place, _)| place.as_str()).collect();
        assert!(said.is_empty(), "{by} says the secret of: {said:?}");
    }
}

async fn nothing_says_a_secret(layout: Layout, engine: Engine) {
    let (collector, redis, mut secrets) = (Collector::start().await, Redis::start(), Secrets::default());
    let (token, password) = (secrets.make("the collector's token"), secrets.make("the password of Redis"));
    let builder = Mesh::builder(layout, engine).set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()).set("OTEL_BSP_SCHEDULE_DELAY", "50");
    let builder = builder.set("OTEL_EXPORTER_OTLP_HEADERS", &format!("x-token={token}")).set("ONE_REDIS_URL", &redis.protect(&password));
    let mesh = builder.set("OTEL_METRIC_EXPORT_INTERVAL", "200").set("ONE_LOG_FILTER", "trace").start().await;
    let tenant = mesh.tenant().await;
    in_headers(&mesh, &tenant, &mut secrets).await;
    in_fields(&tenant, &mut secrets).await;
    in_keys(&mesh, &tenant, &mut secrets).await;
    of_the_house(&mesh, &tenant, &mut secrets);

    let traced = tenant.with("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let last = create(&traced, product("the last")).await.unwrap().into_inner();
    events_about(&tenant, &last.id, 1).await;
    eventually("the last span", || async { collector.spans(TRACE).iter().any(|sent| sent.span.name == "log.append").then_some(()) }).await;
    assert!(collector.was_told("x-token", &token), "each export said the token");
    redis_is_lost(&mesh, &tenant, &redis).await;
    let metrics = Raw::new(Http::GET, "/metrics", "").http1(mesh.admin(Role::Gateway, 0)).await;
    // The first start announces its owner's key once, on standard output.
    let log: String = mesh.said().lines().filter(|line| !line.contains("\"owner_key\"")).collect();
    secrets.assert_unsaid("the log", &log);
    secrets.assert_unsaid("the collector", &collector.text());
    secrets.assert_unsaid("the page of metrics", &String::from_utf8_lossy(&metrics.body));
}

/// What an answer says besides a resource, with the details of an error decoded.
fn said(answer: &Answer) -> String {
    use base64::Engine;
    let details = base64::engine::general_purpose::STANDARD_NO_PAD.decode(answer.get("grpc-status-details-bin").trim_end_matches('=')).unwrap();
    let body = if answer.get("grpc-status") == "0" { "" } else { &*String::from_utf8_lossy(&answer.body) };
    format!("{:?} {:?} {} {body}", answer.headers, answer.trailers, String::from_utf8_lossy(&details))
}

/// In each header alone and beside a good key, in the query, and in a page's request.
async fn in_headers(mesh: &Mesh, tenant: &Tenant, secrets: &mut Secrets) {
    const PATH: &str = "/one.identity.v1.KeyService/GetCaller";
    for name in HEADERS {
        for (scheme, key) in [("", false), ("Bearer ", false), ("Basic ", false), ("", true), ("session=", true)] {
            let secret = secrets.make(&format!("header {name} {scheme}"));
            let call = Raw::call(PATH, frame(&[])).with(name, format!("{scheme}{secret}"));
            let call = if key && name != "authorization" { call.key(tenant.key()) } else { call };
            secrets.assert_unsaid("an answer", &said(&call.http2(mesh.gateway()).await));
        }
    }
    for path in [format!("{PATH}?key="), "/?api_key=".to_owned(), "/metrics?token=".to_owned(), "/".to_owned(), format!("{PATH}/")] {
        let secret = secrets.make(&format!("path {path}"));
        let path = format!("{path}{secret}");
        let calls = [Raw::call(&path, frame(&[])).key(tenant.key()), Raw::new(Http::GET, &path, ""), Raw::new(Http::POST, &path, secret)];
        for call in calls {
            let answer = call.http2(mesh.gateway()).await;
            if path.contains('?') {
                secrets.assert_unsaid("an answer", &said(&answer)); // but a path may be named to who asked for it
            }
        }
    }
    let secret = secrets.make("binary header");
    let call = Raw::call(PATH, frame(&[])).key(tenant.key()).with("x-secret-bin", &secret);
    secrets.assert_unsaid("an answer", &said(&call.http2(mesh.gateway()).await));
}

/// In each text of each request: alone, so that each is looked at; and all at once.
async fn in_fields(tenant: &Tenant, secrets: &mut Secrets) {
    for method in methods().iter().filter(|method| method.access != Access::Internal) {
        let request = request_of(method);
        let places = texts(&request, 3);
        for place in &places {
            let names: Vec<&str> = place.iter().map(FieldDescriptor::name).collect();
            let secret = secrets.make(&format!("{} {}", method.path, names.join(".")));
            let mut message = DynamicMessage::new(request.clone());
            put(&mut message, place, &secret);
            let answer = ask(tenant, method, &message).await;
            if answer.get("grpc-status") != "0" {
                secrets.assert_unsaid("an error", &said(&answer));
            }
        }
        let mut whole = DynamicMessage::new(request.clone());
        for place in &places {
            put(&mut whole, place, &secrets.make(&format!("{} whole", method.path)));
        }
        ask(tenant, method, &whole).await;
        let garbage = secrets.make(&format!("{} garbage", method.path));
        Raw::call(&method.path, frame(garbage.as_bytes())).key(tenant.key()).http2(tenant.gateway()).await;
    }
}

async fn ask(tenant: &Tenant, method: &Method, message: &DynamicMessage) -> Answer {
    let timeout = if method.server_streaming { "50m" } else { "20S" }; // a watch would go on for ever
    let call = Raw::call(&method.path, frame(&message.encode_to_vec())).key(tenant.key()).with("grpc-timeout", timeout);
    call.http2(tenant.gateway()).await
}

fn request_of(method: &Method) -> MessageDescriptor {
    let service = pool().get_service_by_name(&method.service).expect("an rpc of the descriptor");
    service.methods().find(|rpc| rpc.name() == method.name).expect("an rpc of the descriptor").input()
}

/// Where a message takes text, as the fields on the way.
fn texts(message: &MessageDescriptor, depth: usize) -> Vec<Vec<FieldDescriptor>> {
    let mut places = Vec::new();
    for field in message.fields() {
        match field.kind() {
            Kind::String | Kind::Bytes => places.push(vec![field]),
            Kind::Message(inner) if field.is_map() || inner.full_name() == "google.protobuf.Struct" => places.push(vec![field]),
            Kind::Message(inner) if depth > 0 => {
                places.extend(texts(&inner, depth - 1).into_iter().map(|place| [vec![field.clone()], place].concat()))
            }
            _ => {}
        }
    }
    places
}

fn put(message: &mut DynamicMessage, place: &[FieldDescriptor], secret: &str) {
    let (field, rest) = place.split_first().expect("a field");
    if rest.is_empty() {
        return message.set_field(field, text_of(field, secret));
    }
    if !field.is_list() {
        return put(message.get_field_mut(field).as_message_mut().expect("a message"), rest, secret);
    }
    let Kind::Message(inner) = field.kind() else { unreachable!("only messages have fields") };
    let mut element = DynamicMessage::new(inner);
    put(&mut element, rest, secret);
    message.set_field(field, Value::List(vec![Value::Message(element)]));
}

/// As the field takes it: also as name and value of a map or of properties.
fn text_of(field: &FieldDescriptor, secret: &str) -> Value {
    let text = || Value::String(secret.to_owned());
    match field.kind() {
        Kind::Bytes => Value::Bytes(secret.to_owned().into()),
        Kind::Message(entry) if field.is_map() => {
            let value = entry.map_entry_value_field();
            let value = if value.kind() == Kind::String { text() } else { Value::default_value(&value.kind()) };
            Value::Map(HashMap::from([(MapKey::String(secret.to_owned()), value)]))
        }
        Kind::Message(object) => {
            let sent = contract::json::to_struct(serde_json::json!({ secret: { secret: [secret] } }).as_object().expect("an object"));
            Value::Message(DynamicMessage::decode(object, sent.encode_to_vec().as_slice()).expect("it is a Struct"))
        }
        _ if field.is_list() => Value::List(vec![text()]),
        _ => text(),
    }
}

/// Real keys, used in every way one can, rightly and wrongly.
async fn in_keys(mesh: &Mesh, tenant: &Tenant, secrets: &mut Secrets) {
    let made = tenant.create_key("a canary", "group_owner", &["*"]).await;
    let wrong = format!("{}x", made.secret);
    let canary = mesh.stranger().with("x-api-key", &made.secret);
    create(&canary, product("A")).await.unwrap();
    create(&canary, product("")).await.refused();
    let refused =
        [canary.with("authorization", &format!("Bearer {}", tenant.key())), mesh.stranger().with_key(&wrong), tenant.acting_in(&made.secret)];
    for (caller, refused) in refused.iter().zip(["two", "a wrong one", "one as a group"]) {
        let refused = (refused, caller.keys().get_caller(GetCallerRequest {}).await.refused());
        secrets.know(refused.0, &tail(&made.secret));
        secrets.assert_unsaid("a refusal", &format!("{:?}", refused.1));
    }
    canary.acting_in(&never()).things().get_thing(GetThingRequest { id: never() }).await.refused();
    secrets.know("a wrong key", &tail(&wrong));
}

/// What the house itself knows.
fn of_the_house(mesh: &Mesh, tenant: &Caller, secrets: &mut Secrets) {
    for (place, key) in [("the tenant's key", tenant.key()), ("the owner's key", mesh.owner().key()), ("the platform's key", mesh.platform().key())] {
        secrets.know(place, &tail(key));
    }
    secrets.know("the database's password", PASSWORD);
    let data = mesh.data(Role::Identity, 0); // processes share what stands beside their folders
    let root = std::fs::read_to_string(data.join("secret")).or_else(|_| std::fs::read_to_string(data.with_file_name("secret")));
    secrets.know("the root secret", root.unwrap().trim());
}

/// The gateway was let in by Redis, loses it, and is not let in by the one that comes, which knows of no password.
async fn redis_is_lost(mesh: &Mesh, tenant: &Tenant, redis: &Redis) {
    let said = |what| mesh.look(Role::Gateway, 0, |process| process.log().lines().any(|line| line.contains("Redis") && line.contains(what)));
    assert!(said("gateways count together"));
    redis.kill();
    redis.start_again();
    eventually("the gateway to be refused by Redis", || async {
        tenant.who_am_i().await; // who asks notices
        said("uthentication").then_some(())
    })
    .await;
}

/// The secret part of a key.
fn tail(key: &str) -> String {
    key[key.len() - 40..].to_owned()
}

/// The hook for panics is the first thing of the process: here it can't write to its standard output.
#[test]
fn adv_cve_2026_40091_a_panic_says_where_and_not_what() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let mut onemesh = Command::new(binary());
    onemesh.env_clear().env("ONE_DATA_DIR", folder.path()).env("ONE_LOG_FORMAT", "json");
    onemesh.envs([("ONE_GATEWAY_ADDR", "127.0.0.1:0"), ("ONE_ADMIN_ADDR", "127.0.0.1:0")]);
    let output = onemesh.stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("\"message\":\"panicked\"") && !said.contains("No space left"), "{said}");
}

#[test]
fn adv_cve_2026_40091_nothing_says_a_secret_in_one_process_on_sqlite() {
    run(Layout::OneProcess, Engine::Sqlite, |_| nothing_says_a_secret(Layout::OneProcess, Engine::Sqlite));
}

#[test]
fn adv_cve_2026_40091_nothing_says_a_secret_in_one_process_on_postgres() {
    run(Layout::OneProcess, Engine::Postgres, |_| nothing_says_a_secret(Layout::OneProcess, Engine::Postgres));
}

#[test]
fn adv_cve_2026_40091_nothing_says_a_secret_in_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| nothing_says_a_secret(Layout::Split, Engine::Postgres));
}

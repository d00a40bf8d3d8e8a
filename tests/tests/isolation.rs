//! Another tenant's id gets the same bytes as an id that never was: for every rpc, every field that takes an id, and every kind of id.
//!
//! The rpcs and fields are read from the descriptor. A new rpc needs one row in [`valid`], if its request has fields that must be set.

use crate::support::{events_about, never, product};
use contract::{
    Access, Method, events, identity,
    identity::v1::{Group, Key},
    methods, ontology,
    ontology::v1::Thing,
    pool,
};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value};
use std::collections::BTreeSet;
use tests::{
    Caller, Mesh, Tenant, on_every_mesh,
    raw::{Answer, Raw, frame},
};

/// A request that would be answered, but for its ids.
fn valid(request: &MessageDescriptor, own: &Own) -> Vec<u8> {
    let thing = Thing { id: own.thing.clone(), ..product("A") };
    let group = Group { id: own.group.clone(), name: "A".to_owned(), ..Group::default() };
    let key = Key { name: "A".to_owned(), scopes: vec!["things:read".to_owned()], ..Key::default() };
    match request.name() {
        "CreateThingRequest" => ontology::v1::CreateThingRequest { thing: Some(thing), validate_only: true, ..Default::default() }.encode_to_vec(),
        "UpdateThingRequest" => ontology::v1::UpdateThingRequest { thing: Some(thing), validate_only: true, ..Default::default() }.encode_to_vec(),
        "CreateGroupRequest" => {
            identity::v1::CreateGroupRequest { group: Some(group), parent_id: own.group.clone(), validate_only: true, ..Default::default() }
                .encode_to_vec()
        }
        "UpdateGroupRequest" => identity::v1::UpdateGroupRequest { group: Some(group), validate_only: true, ..Default::default() }.encode_to_vec(),
        "CreateKeyRequest" => identity::v1::CreateKeyRequest { key: Some(key), validate_only: true, ..Default::default() }.encode_to_vec(),
        "WatchEventsRequest" => {
            // Ends at once: what can't be read is the answer.
            events::v1::WatchEventsRequest { from: Some(events::v1::watch_events_request::From::Cursor("x".to_owned())), ..Default::default() }
                .encode_to_vec()
        }
        _ => Vec::new(),
    }
}

/// Ids of the tenant that asks.
struct Own {
    group: String,
    thing: String,
}

/// Ids that are another tenant's.
async fn foreign(other: &Tenant) -> Vec<String> {
    let team = other.create_group("theirs", &other.group.id).await;
    let thing = other.create("theirs").await;
    let key = other.who_am_i().await.key.unwrap_or_default();
    let event = events_about(other, &thing.id, 1).await.remove(0);
    vec![other.group.id.clone(), team.id, thing.id, key.id, event.id]
}

/// Where a request takes an id, as the names of the fields on the way.
fn id_paths(message: &MessageDescriptor) -> Vec<Vec<FieldDescriptor>> {
    let mut paths = Vec::new();
    for field in message.fields().filter(|field| !field.is_list() && !field.is_map()) {
        match field.kind() {
            Kind::String if is_id(&field) => paths.push(vec![field]),
            Kind::Message(inner) if inner.package_name().starts_with("one.") => {
                paths.extend(id_paths(&inner).into_iter().map(|path| [vec![field.clone()], path].concat()));
            }
            _ => {}
        }
    }
    paths
}

/// `id`, `group_id`, `parent_id`, `actor.key_id`, …: also those that only the server writes, for nothing sent in them may count. Not what
/// the caller makes up.
fn is_id(field: &FieldDescriptor) -> bool {
    let name = field.name();
    (name == "id" || name.ends_with("_id")) && !["request_id", "short_id"].contains(&name)
}

fn set(message: &mut DynamicMessage, path: &[FieldDescriptor], id: &str) {
    let (field, rest) = path.split_first().expect("a field");
    if rest.is_empty() {
        message.set_field(field, Value::String(id.to_owned()));
    } else {
        set(message.get_field_mut(field).as_message_mut().expect("a message"), rest, id);
    }
}

/// The answer, with what may differ taken out.
fn masked(answer: Answer, asked: &str) -> String {
    use base64::Engine;
    let decode = |text: &str| base64::engine::general_purpose::STANDARD_NO_PAD.decode(text.trim_end_matches('=')).expect("base64");
    let mut text = format!("{}\n", answer.status);
    for (kind, headers) in [("header", &answer.headers), ("trailer", &answer.trailers)] {
        let mut lines: Vec<String> = Vec::new();
        for (name, value) in headers.iter().filter(|(name, _)| !["date", "ratelimit", "traceparent"].contains(&name.as_str())) {
            let value = if name.as_str().ends_with("-bin") { decode(value.to_str().expect("ASCII")) } else { value.as_bytes().to_vec() };
            lines.push(format!("{kind} {name}: {}", value.escape_ascii()));
        }
        lines.sort();
        text.push_str(&lines.join("\n"));
    }
    text.push_str(&answer.body.escape_ascii().to_string());
    text.replace(asked, "{asked}")
}

async fn ask(caller: &Caller, path: &str, body: &[u8], acting: Option<&str>, asked: &str) -> String {
    let mut call = Raw::call(path, frame(body)).key(caller.key());
    call = call.with("x-request-id", "the-same").with("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    if let Some(group) = acting {
        call = call.with("x-group-id", group);
    }
    masked(call.http2(caller.gateway()).await, asked)
}

fn public() -> impl Iterator<Item = &'static Method> {
    methods().iter().filter(|method| method.access != Access::Internal)
}

fn rpc_of(method: &Method) -> MethodDescriptor {
    let service = pool().get_service_by_name(&method.service).expect("an rpc of the descriptor");
    let rpc = service.methods().find(|rpc| rpc.name() == method.name);
    rpc.expect("an rpc of the descriptor")
}

fn request_of(method: &Method) -> MessageDescriptor {
    rpc_of(method).input()
}

async fn two_tenants(mesh: &Mesh) -> (Tenant, Own, Vec<String>) {
    let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
    let own = Own { group: tenant.group.id.clone(), thing: tenant.create("own").await.id };
    events_about(&tenant, &own.thing, 1).await; // lists of events do not grow between two questions
    events_about(&tenant, &tenant.group.id, 1).await;
    let theirs = foreign(&other).await;
    (tenant, own, theirs)
}

on_every_mesh![
    an_id_of_another_tenant_is_an_id_that_never_was,
    a_group_of_another_tenant_is_a_group_that_never_was,
    an_id_in_a_filter_is_an_id_that_never_was,
    a_token_of_another_tenant_is_a_token_that_never_was,
];

async fn an_id_of_another_tenant_is_an_id_that_never_was(mesh: Mesh) {
    let (tenant, own, theirs) = two_tenants(&mesh).await;
    let user = tenant.colleague("group_user", &["*"]).await;
    events_about(&tenant, &user.who_am_i().await.actor.unwrap().id, 1).await;
    let mut asked = 0;
    for method in public() {
        let request = request_of(method);
        for path in id_paths(&request) {
            let name = path.iter().map(|field| field.name().to_owned()).collect::<Vec<_>>().join(".");
            for caller in [tenant.owner(), &user] {
                let answer = async |id: &str| {
                    let mut message = DynamicMessage::decode(request.clone(), valid(&request, &own).as_slice()).expect("a valid request");
                    set(&mut message, &path, id);
                    let answer = ask(caller, &method.path, &message.encode_to_vec(), None, id).await;
                    // Tried with success, which gives it ids and times of its own.
                    let tried = !method.reads && answer.contains("trailer grpc-status: 0");
                    assert!(!tried || !answer.contains("{asked}"), "{name} of {} counts for something: {answer}", method.path);
                    if tried { "tried".to_owned() } else { answer }
                };
                let unknown = answer(&never()).await;
                assert!(!unknown.contains("INVALID_FIELD"), "{} of {} is not asked at all: {unknown}", name, method.path);
                for id in &theirs {
                    assert_eq!(answer(id).await, unknown, "{name} of {}", method.path);
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 100, "only {asked} questions: did the rules of the protos change?");
}

async fn a_group_of_another_tenant_is_a_group_that_never_was(mesh: Mesh) {
    let (tenant, own, theirs) = two_tenants(&mesh).await;
    let user = tenant.colleague("group_user", &["*"]).await;
    for method in public() {
        let body = valid(&request_of(method), &own);
        let unknown_group = never();
        for caller in [tenant.owner(), &user] {
            let unknown = ask(caller, &method.path, &body, Some(&unknown_group), &unknown_group).await;
            assert!(unknown.contains("GROUP_NOT_FOUND"), "{}: {unknown}", method.path);
            for group in &theirs {
                assert_eq!(ask(caller, &method.path, &body, Some(group), group).await, unknown, "{}", method.path);
            }
        }
    }
}

/// What each list compares with an id.
const FILTERS: &[(&str, &[&str])] = &[
    ("/one.events.v1.EventService/ListEvents", &["actor_id", "target_id"]),
    ("/one.events.v1.UsageService/ListRequests", &["key_id", "actor_id", "asked_group_id", "call_id"]),
    ("/one.ontology.v1.ThingService/ListThings", &["name", "properties.owner"]),
    ("/one.identity.v1.GroupService/ListGroups", &["name"]),
    ("/one.identity.v1.KeyService/ListKeys", &["name", "prefix"]),
];

fn lists() -> impl Iterator<Item = (&'static Method, MessageDescriptor)> {
    public().filter(|method| method.name.starts_with("List")).map(|method| (method, request_of(method)))
}

fn with(request: &MessageDescriptor, field: &str, text: &str) -> Vec<u8> {
    let mut message = DynamicMessage::new(request.clone());
    message.set_field_by_name(field, Value::String(text.to_owned()));
    message.encode_to_vec()
}

async fn an_id_in_a_filter_is_an_id_that_never_was(mesh: Mesh) {
    let (tenant, _, theirs) = two_tenants(&mesh).await;
    for (method, request) in lists() {
        let (_, columns) = FILTERS.iter().find(|(path, _)| *path == method.path).unwrap_or_else(|| panic!("{} has no row", method.path));
        for column in *columns {
            let filtered = async |id: &str| {
                let body = with(&request, "filter", &format!("{column} = \"{id}\""));
                ask(&tenant, &method.path, &body, None, id).await
            };
            let unknown = filtered(&never()).await;
            assert!(unknown.contains("trailer grpc-status: 0"), "{column} of {}: {unknown}", method.path);
            for id in &theirs {
                assert_eq!(filtered(id).await, unknown, "{column} of {}", method.path);
            }
        }
    }
}

/// Page tokens and cursors: another's is refused like one that was made up.
async fn a_token_of_another_tenant_is_a_token_that_never_was(mesh: Mesh) {
    let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
    for name in ["one", "two"] {
        other.create_group(name, &other.group.id).await;
        other.create_key(name, "group_user", &["things:read"]).await;
        let thing = other.create(name).await;
        events_about(&other, &thing.id, 1).await;
    }
    crate::requests::on_record(&other, 2).await;
    for (method, request) in lists() {
        let mut first = DynamicMessage::new(request.clone());
        first.set_field_by_name("page_size", Value::I32(1));
        let answer = Raw::call(&method.path, frame(&first.encode_to_vec())).key(other.key()).http2(other.gateway()).await;
        let page = DynamicMessage::decode(rpc_of(method).output(), &answer.body[5..]).expect("a page");
        let token = page.get_field_by_name("next_page_token").and_then(|token| token.as_str().map(str::to_owned)).unwrap_or_default();
        assert!(!token.is_empty(), "{} has a second page", method.path);
        let sent = async |token: &str| {
            let mut message = first.clone();
            message.set_field_by_name("page_token", Value::String(token.to_owned()));
            ask(&tenant, &method.path, &message.encode_to_vec(), None, token).await
        };
        let forged = sent("never-was").await;
        assert!(forged.contains("INVALID_PAGE_TOKEN"), "{}: {forged}", method.path);
        for wrong in [token.as_str(), &token[..token.len() - 1], &token[1..]] {
            assert_eq!(sent(wrong).await, forged, "{}", method.path);
        }
    }
    let cursor = other.watch(events::v1::watch_events_request::From::Now(true)).await.message().await.expect("an answer").expect("a cursor").cursor;
    let watch = request_of(methods().get("/one.events.v1.EventService/WatchEvents").expect("ours"));
    let sent = async |cursor: &str| ask(&tenant, "/one.events.v1.EventService/WatchEvents", &with(&watch, "cursor", cursor), None, cursor).await;
    let forged = sent("never-was").await;
    assert!(forged.contains("INVALID_CURSOR"), "{forged}");
    assert_eq!(sent(&cursor).await, forged);
}

#[test]
fn the_fields_that_take_an_id_are_found() {
    let paths = |request: &str| -> Vec<String> {
        let message = pool().get_message_by_name(request).expect("ours");
        id_paths(&message).iter().map(|path| path.iter().map(|field| field.name().to_owned()).collect::<Vec<_>>().join(".")).collect()
    };
    let thing = ["id", "group_id", "creator.id", "creator.key_id", "creator.on_behalf_of_id"].map(|field| format!("thing.{field}"));
    assert_eq!(paths("one.ontology.v1.UpdateThingRequest"), thing);
    assert_eq!(paths("one.ontology.v1.DeleteThingRequest"), ["id"]);
    assert_eq!(paths("one.events.v1.ListEventsRequest"), ["actor_id", "target_id"]);
    assert_eq!(paths("one.identity.v1.ListGroupsRequest"), ["parent_id"]);
    let group = paths("one.identity.v1.CreateGroupRequest");
    for field in ["group.id", "group.group_id", "group.parent_id", "group.root_id", "parent_id"] {
        assert!(group.iter().any(|path| path == field), "{field} is not in {group:?}");
    }
    let without: Vec<&str> = public().filter(|method| id_paths(&request_of(method)).is_empty()).map(|method| method.name.as_str()).collect();
    assert_eq!(without.into_iter().collect::<BTreeSet<_>>(), ["GetCaller", "ListKeys", "ListThings", "WatchEvents"].into(), "all others take an id");
}

//! The whole stack behind a real socket: a fake identity, a service that shows what reaches it.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    credential::tests::key,
    layer::testing::{Fake, text},
    limiter::Memory,
};
use chassis::principal;
use contract::{
    Reason,
    events::v1::{
        Event, GetEventRequest, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
        event_service_client::EventServiceClient,
        event_service_server::{EventService, EventServiceServer},
        watch_events_request::From,
    },
    ontology::v1::{
        CreateThingRequest, DeleteThingRequest, GetThingRequest, ListThingsRequest, ListThingsResponse, Thing, UpdateThingRequest,
        thing_service_client::ThingServiceClient,
        thing_service_server::{ThingService, ThingServiceServer},
    },
};
use futures::{Stream, StreamExt, stream};
use http_body_util::BodyExt;
use std::{collections::HashMap, pin::Pin};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Code, Request, Response, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

/// A thing's name is what the service saw of its caller; its etag, the headers.
#[derive(Clone, Default)]
struct Echo;

const ID: &str = "0190a3f0-0000-7000-8000-000000000001";

#[tonic::async_trait]
impl ThingService for Echo {
    async fn get_thing(&self, request: Request<GetThingRequest>) -> Result<Response<Thing>, Status> {
        let caller = principal::of(&request)?;
        let mut names: Vec<String> = request.metadata().as_ref().keys().map(ToString::to_string).collect();
        names.sort();
        let name = format!("{:?} in {} of {} from {}", caller.role, caller.group, caller.call_id, caller.address);
        Ok(Response::new(Thing { name, etag: names.join(" "), ..Thing::default() }))
    }

    async fn create_thing(&self, _: Request<CreateThingRequest>) -> Result<Response<Thing>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_things(&self, _: Request<ListThingsRequest>) -> Result<Response<ListThingsResponse>, Status> {
        Err(contract::Refusal::new(Reason::InvalidFilter, "a filter").into())
    }

    async fn update_thing(&self, _: Request<UpdateThingRequest>) -> Result<Response<Thing>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn delete_thing(&self, _: Request<DeleteThingRequest>) -> Result<Response<Thing>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl EventService for Echo {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(&self, _: Request<WatchEventsRequest>) -> Result<Response<Self::WatchEventsStream>, Status> {
        let first = WatchEventsResponse { cursor: "one".to_owned(), ..WatchEventsResponse::default() };
        Ok(Response::new(stream::iter([Ok(first)]).chain(stream::pending()).boxed()))
    }

    async fn get_event(&self, _: Request<GetEventRequest>) -> Result<Response<Event>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_events(&self, _: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

struct House {
    identity: Arc<Fake>,
    clock: Clock,
    records: Records,
    readiness: Readiness,
    channel: Channel,
    url: String,
    drain: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl House {
    async fn open() -> Self {
        Self::with(Limits::public()).await
    }

    async fn with(limits: Limits) -> Self {
        let (clock, identity, readiness) = (Clock::system(), Arc::new(Fake::default()), Readiness::default());
        let signer = Signer::new(&[9; 32], clock.clone());
        let here = |routes, audience| Upstream::here(Room::new(routes, audience, signer.clone()));
        let services = vec![
            Service {
                name: "one.ontology.v1.ThingService",
                audience: "ontology",
                upstream: here(Routes::new(ThingServiceServer::new(Echo)), "ontology"),
            },
            Service { name: "one.events.v1.EventService", audience: "events", upstream: here(Routes::new(EventServiceServer::new(Echo)), "events") },
        ];
        let options = Options {
            identity: identity.clone(),
            limiter: Arc::new(Memory::new(clock.clone())),
            redis: None,
            secret: [3; 32],
            services,
            signer,
            clock: clock.clone(),
            limits: limits.clone(),
            waiting: 100,
            address: Rate { per_minute: 100, per_day: -1 },
            origins: vec![],
            proxies: vec![],
            reflection: true,
            readiness: readiness.clone(),
            metrics: None,
        };
        let (service, mut gateway) = build(options).await.unwrap();
        let (records, drain) = (gateway.records().unwrap(), CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = tokio::spawn(chassis::serve::serve(listener, service, limits, drain.clone()));
        let follow = tokio::spawn(gateway.follow(identity.clone(), drain.clone()));
        let run = tokio::spawn(gateway.run(drain.clone()));
        let channel = Endpoint::from_shared(url.clone()).unwrap().connect_lazy();
        let mut house = Self { identity, clock, records, readiness, channel, url, drain, tasks: vec![serve, follow, run] };
        house.is_ready().await;
        house
    }

    async fn is_ready(&mut self) {
        while self.readiness.missing().is_some() {
            tokio::task::yield_now().await;
        }
    }

    async fn get(&self, headers: &[(&'static str, &str)]) -> Result<(Thing, MetadataMap), Status> {
        let answer = ThingServiceClient::new(self.channel.clone()).get_thing(with(GetThingRequest { id: ID.to_owned() }, headers)).await?;
        let (metadata, thing, _) = answer.into_parts();
        Ok((thing, metadata))
    }

    async fn watch(&self) -> tonic::Streaming<WatchEventsResponse> {
        let request = with(WatchEventsRequest { from: Some(From::Now(true)), ..WatchEventsRequest::default() }, &[("x-api-key", &key('a'))]);
        let mut watch = EventServiceClient::new(self.channel.clone()).watch_events(request).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().cursor, "one");
        watch
    }

    /// Any request, over HTTP/1.1.
    async fn http(&self, request: http::Request<String>) -> http::Response<String> {
        let tcp = tokio::net::TcpStream::connect(self.url.trim_start_matches("http://")).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(tcp)).await.unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        http::Response::from_parts(head, String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn close(self) {
        self.drain.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

fn with<T>(message: T, headers: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    let mut all = http::HeaderMap::new();
    for (name, value) in headers {
        all.append(*name, value.parse().unwrap());
    }
    *request.metadata_mut() = MetadataMap::from_headers(all);
    request
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

#[tokio::test]
async fn a_key_calls_a_service_which_sees_its_principal_and_no_secret() {
    let mut house = House::open().await;
    let forged = [("authorization", format!("Bearer {}", key('a'))), ("x-request-id", "call-7".into()), ("x-forwarded-for", "1.2.3.4".into())];
    let mut headers: Vec<(&'static str, &str)> = forged.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.push(("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    let (thing, metadata) = house.get(&headers).await.unwrap();
    assert_eq!(thing.name, "GroupOwner in 00000000-0000-0000-0000-000000000001 of call-7 from 127.0.0.1");
    for secret in ["authorization", "x-api-key", "one-principal-bin", "x-forwarded-for"] {
        assert!(!thing.etag.split(' ').any(|name| name == secret), "{secret} in {}", thing.etag);
    }
    let metadata = metadata.into_headers();
    assert_eq!(text(&metadata, "x-request-id"), "call-7");
    assert!(text(&metadata, "traceparent").contains("4bf92f3577b34da6a3ce929d0e0e4736"));
    let record = house.records.recv().await.unwrap();
    assert_eq!((record.method.unwrap().name.as_str(), record.code, record.cost), ("GetThing", Code::Ok, 1));
    assert!(record.bytes_in > 36 && record.bytes_out > 50 && record.acting.is_some() && &*record.call_id == "call-7");
    house.close().await;
}

#[tokio::test]
async fn refusals_of_every_layer_reach_the_client_with_their_reason() {
    let mut house = House::open().await;
    let (right, wrong) = (key('a'), key('z'));
    for (headers, expected) in [
        (vec![], (Code::Unauthenticated, "MISSING_CREDENTIAL")),
        (vec![("x-api-key", wrong.as_str())], (Code::Unauthenticated, "INVALID_API_KEY")),
        (vec![("one-principal-bin", "Zm9yZ2Vk")], (Code::Unauthenticated, "MISSING_CREDENTIAL")),
        (vec![("x-api-key", &right), ("authorization", "Bearer other")], (Code::InvalidArgument, "CREDENTIALS_CONFLICT")),
        (vec![("x-api-key", &right), ("x-group-id", "nonsense")], (Code::InvalidArgument, "INVALID_METADATA")),
        (vec![("x-api-key", &right), ("x-group-id", ID)], (Code::NotFound, "GROUP_NOT_FOUND")),
        (vec![("x-api-key", &right), ("grpc-timeout", "soon")], (Code::InvalidArgument, "INVALID_METADATA")),
    ] {
        let refused = house.get(&headers).await.unwrap_err();
        assert_eq!(reason(&refused), (expected.0, expected.1.to_owned()), "{headers:?}");
        assert!(refused.metadata().contains_key("x-request-id") && refused.metadata().contains_key("traceparent"));
        assert_eq!(house.records.recv().await.unwrap().reason.unwrap().word(), expected.1);
    }
    house.close().await;
}

#[tokio::test]
async fn a_services_own_refusal_passes_as_it_is_and_is_written_down_with_its_reason() {
    let mut house = House::open().await;
    let request = with(ListThingsRequest::default(), &[("x-api-key", &key('a'))]);
    let refused = ThingServiceClient::new(house.channel.clone()).list_things(request).await.unwrap_err();
    assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FILTER".to_owned()));
    assert_eq!(house.records.recv().await.unwrap().reason, Some(Reason::InvalidFilter));
    house.close().await;
}

#[tokio::test]
async fn unknown_and_internal_paths_and_services_without_upstream_are_told_apart_only_where_they_may() {
    let house = House::open().await;
    let mut grpc = tonic::client::Grpc::new(house.channel.clone());
    let mut codes = HashMap::new();
    for path in ["/one.internal.v1.AccessService/ListChanges", "/one.nowhere.v1.S/M", "/one.identity.v1.KeyService/GetKey"] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<GetThingRequest, Thing>::default();
        let request = with(GetThingRequest { id: ID.to_owned() }, &[("x-api-key", &key('a'))]);
        let answer = grpc.unary(request, path.parse().unwrap(), codec).await;
        codes.insert(path, reason(&answer.unwrap_err()).1);
    }
    assert_eq!(codes["/one.internal.v1.AccessService/ListChanges"], "METHOD_NOT_FOUND");
    assert_eq!(codes["/one.nowhere.v1.S/M"], "METHOD_NOT_FOUND");
    assert_eq!(codes["/one.identity.v1.KeyService/GetKey"], "UPSTREAM_UNAVAILABLE");
    house.close().await;
}

#[tokio::test]
async fn an_open_watch_ends_when_access_changes_and_when_the_server_drains() {
    let house = House::open().await;
    let mut watch = house.watch().await;
    house.identity.revoke();
    house.clock.advance(chassis::changes::LEASE); // as if the news were lost
    let ended = watch.message().await.unwrap_err();
    assert_eq!(reason(&ended), (Code::Unavailable, "ACCESS_CHANGED".to_owned()));
    house.close().await;

    let house = House::open().await;
    let mut watch = house.watch().await;
    house.drain.cancel();
    let ended = watch.message().await.unwrap_err();
    assert_eq!(reason(&ended), (Code::Unavailable, "SHUTTING_DOWN".to_owned()));
    house.close().await;
}

/// Half-open calls of strangers would fill every place, were those given before it is known who calls (HARDENING.md §1).
#[tokio::test]
async fn who_is_not_known_yet_takes_no_place_from_who_is() {
    let house = House::with(Limits { in_flight: 1, ..Limits::public() }).await;
    house.get(&[("x-api-key", &key('a'))]).await.unwrap();
    house.identity.silence(true);
    let wrong = key('b');
    let headers = [("x-api-key", wrong.as_str())];
    let mut stranger = Box::pin(house.get(&headers));
    while house.identity.counts().0 < 2 {
        assert!(futures::poll!(stranger.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    house.get(&[("x-api-key", &key('a'))]).await.unwrap();
    house.identity.silence(false);
    assert_eq!(reason(&stranger.await.unwrap_err()), (Code::Unauthenticated, "INVALID_API_KEY".into()));
    house.close().await;
}

#[tokio::test]
async fn plain_http_and_grpc_web_share_the_port() {
    let house = House::open().await;
    let get = |path: &str| http::Request::get(path).header("host", "x").body(String::new()).unwrap();
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/", 200), ("/nope", 404), ("/one.ontology.v1.ThingService/GetThing", 405)] {
        assert_eq!(house.http(get(path)).await.status(), status, "{path}");
    }
    let web = http::Request::post("/one.ontology.v1.ThingService/GetThing").header("host", "x").header("content-type", "application/grpc-web-text");
    let body = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, [&[0, 0, 0, 0, 38, 10, 36][..], ID.as_bytes()].concat());
    let answer = house.http(web.header("x-api-key", key('a')).header("accept", "application/grpc-web-text").body(body).unwrap()).await;
    assert_eq!((answer.status().as_u16(), text(answer.headers(), "content-type")), (200, "application/grpc-web-text+proto"));
    assert!(answer.body().len() > 60);
    house.identity.leave();
    house.clock.advance(chassis::changes::LEASE);
    while house.readiness.missing().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.http(get("/readyz")).await.status(), 503);
    house.close().await;
}

#[tokio::test]
async fn it_serves_as_long_as_its_process_is_ready() {
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
    let house = House::open().await;
    let mut watch = HealthClient::new(house.channel.clone()).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let mut status = async || watch.message().await.unwrap().unwrap().status();
    assert_eq!(status().await, ServingStatus::Serving);
    let store = house.readiness.needs("a store");
    assert_eq!(status().await, ServingStatus::NotServing);
    store.set(true);
    assert_eq!(status().await, ServingStatus::Serving);
    house.close().await;
}

#[tokio::test]
async fn health_and_reflection_answer_anybody_and_name_only_what_is_public() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient, server_reflection_request::MessageRequest,
        server_reflection_response::MessageResponse,
    };
    let house = House::open().await;
    let mut health = HealthClient::new(house.channel.clone());
    for (service, known) in [("", true), ("one.ontology.v1.ThingService", true), ("one.internal.v1.AccessService", false)] {
        let answer = health.check(with(HealthCheckRequest { service: service.to_owned() }, &[("x-api-key", "nonsense")])).await;
        assert_eq!(answer.is_ok(), known, "{service}");
    }
    let ask = ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices(String::new())) };
    let answers = ServerReflectionClient::new(house.channel.clone()).server_reflection_info(stream::iter([ask])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"one.ontology.v1.ThingService") && !names.iter().any(|name| name.contains("internal")), "{names:?}");
    house.close().await;
}

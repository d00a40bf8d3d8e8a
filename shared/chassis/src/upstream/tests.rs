//! Against the real listener: what happens to calls when services die, refuse, stall or are dropped.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    clock::Clock,
    principal::{self, Principal},
    room::fake::{AUDIENCE, Fake, LIST, WATCH, list, signer, watch},
    serve::{self, Limits},
};
use bytes::{BufMut, Bytes};
use contract::{Role, Scopes, events::v1::event_service_client::EventServiceClient, id::GroupId, methods};
use futures::{StreamExt, future::join_all, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{
            AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const SOON: Duration = Duration::from_secs(20);

/// A service on a port. Dropped, it is gone at once, connections and all.
struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    async fn at(address: &str, fake: &Fake) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits::internal();
        let app = serve::grpc(fake.room(), &limits, []);
        Self { address, task: tokio::spawn(serve::serve(listener, app, limits, CancellationToken::new())) }
    }

    async fn new(fake: &Fake) -> Self {
        Self::at("127.0.0.1:0", fake).await
    }

    async fn killed(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

fn there(addresses: &[SocketAddr]) -> Upstream {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Upstream::there(&addresses).unwrap()
}

fn client(upstream: &Upstream) -> EventServiceClient<Client> {
    EventServiceClient::new(Client::new(upstream.clone(), AUDIENCE, signer()))
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

fn request(path: &str, body: Body) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    request.header(principal::HEADER, signer().sign(&Principal::system(), AUDIENCE, path)).body(body).unwrap()
}

/// A message as tonic's clients send it: an empty frame at its end.
fn message(message: &impl Message) -> Body {
    let mut frame = vec![0];
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    frame.extend(message.encode_to_vec());
    frames([Ok(Bytes::from(frame)), Ok(Bytes::new())])
}

fn frames(frames: impl IntoIterator<Item = Result<Bytes, Status>, IntoIter: Send + 'static>) -> Body {
    Body::new(StreamBody::new(stream::iter(frames.into_iter().map(|frame| frame.map(Frame::data)))))
}

/// Free a moment ago, and nobody listens there.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("it should hold by now");
}

#[test]
fn addresses_are_checked_when_it_is_made() {
    assert!(Upstream::there(&["identity:7001", "[::1]:7001"]).is_ok());
    assert!(Upstream::there(&["identity"]).is_err() && Upstream::there::<&str>(&[]).is_err());
}

#[tokio::test]
async fn one_constructor_call_differs() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    for upstream in [Upstream::here(fake.room()), there(&[served.address])] {
        let mut client = client(&upstream);
        assert!(client.list_events(list("large")).await.unwrap().into_inner().next_page_token.len() == 1 << 20);
        assert_eq!(reason(&client.list_events(list("refuse")).await.unwrap_err()), "EVENT_NOT_FOUND");
        let two = client.watch_events(watch("two")).await.unwrap().into_inner();
        assert_eq!(two.map(|message| message.unwrap().cursor).collect::<Vec<_>>().await, ["0", "1"]);
    }
}

#[tokio::test]
async fn a_call_for_a_caller_is_checked_as_the_callers() {
    let served = Served::new(&Fake::default()).await;
    let platform = Client::new(there(&[served.address]), AUDIENCE, signer());
    let caller = |role| Arc::new(Principal::test(GroupId::new(1), role, Scopes::ALL));
    let mut owner = EventServiceClient::new(platform.acting_for(caller(Role::GroupOwner)));
    let answer = owner.list_events(list("")).await.unwrap().into_inner();
    assert!(answer.next_page_token.starts_with("call-1|00-"), "the caller's call goes on: {}", answer.next_page_token);
    let mut customer = EventServiceClient::new(platform.acting_for(caller(Role::Customer)));
    assert_eq!(reason(&customer.list_events(list("")).await.unwrap_err()), "INSUFFICIENT_ROLE");
    let stranger = principal::Signer::new(&[2; 32], Clock::system());
    let mut stranger = EventServiceClient::new(Client::new(there(&[served.address]), AUDIENCE, stranger));
    assert_eq!(reason(&stranger.list_events(list("")).await.unwrap_err()), "PRINCIPAL_REFUSED");
}

#[tokio::test]
async fn nobody_there_is_unavailable_with_a_time_to_come_back() {
    let status = client(&there(&[nowhere().await])).list_events(list("")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "UPSTREAM_UNAVAILABLE"));
    assert_eq!(status.get_error_details().retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_service_that_was_killed_is_found_again() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let (address, mut client) = (served.address, client(&there(&[served.address])));
    for _ in 0..4 {
        client.list_events(list("")).await.unwrap();
    }
    served.killed().await;
    assert_eq!(reason(&client.list_events(list("")).await.unwrap_err()), "UPSTREAM_UNAVAILABLE");
    let _back = Served::at(&address.to_string(), &fake).await;
    for _ in 0..4 {
        client.list_events(list("")).await.expect("it is back");
    }
}

#[tokio::test]
async fn a_stream_whose_service_dies_ends_with_a_reason() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let mut stream = client(&there(&[served.address])).watch_events(watch("silent")).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    served.killed().await;
    assert_eq!(reason(&stream.message().await.unwrap_err()), "UPSTREAM_UNAVAILABLE");
}

#[tokio::test]
async fn calls_are_spread_and_dead_addresses_skipped() {
    let (one, two) = (Fake::default(), Fake::default());
    let (first, second) = (Served::new(&one).await, Served::new(&two).await);
    let mut client = client(&there(&[nowhere().await, first.address, nowhere().await, second.address]));
    let seen = |fake: &Fake| fake.seen.load(SeqCst);
    while seen(&one) < 10 || seen(&two) < 10 {
        client.list_events(list("")).await.unwrap();
        assert!(seen(&one) + seen(&two) < 1_000, "{} to {}", seen(&one), seen(&two));
    }
    first.killed().await;
    let before = seen(&two);
    for _ in 0..20 {
        client.list_events(list("")).await.unwrap(); // a read, so also the one that was under way
    }
    assert_eq!(seen(&two) - before, 20);
}

#[tokio::test]
async fn a_name_stands_for_all_it_resolves_to() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let upstream = Upstream::there(&[format!("localhost:{}", served.address.port())]).unwrap();
    client(&upstream).list_events(list("")).await.expect("127.0.0.1, though ::1 comes first where there is one");
}

#[tokio::test]
async fn an_address_that_swallows_everything_ends_with_the_calls_own_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap(); // the kernel accepts; nobody answers
    let mut sent = tonic::Request::new(list(""));
    sent.set_timeout(Duration::from_millis(50));
    let status = client(&there(&[silent.local_addr().unwrap()])).list_events(sent).await.unwrap_err();
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_process_that_stands_still_is_told_as_away() {
    let still = TcpListener::bind("127.0.0.1:0").await.unwrap(); // the kernel accepts
    let upstream = there(&[still.local_addr().unwrap()]);
    let asked = upstream.send(request(LIST, message(&list(""))), methods().get(LIST).unwrap());
    let refusal = tokio::time::timeout(SOON, asked).await.expect("without a deadline of its own").unwrap_err();
    assert_eq!(refusal.reason(), Reason::UpstreamUnavailable);
}

#[tokio::test]
async fn a_slow_call_holds_up_no_other_and_stops_when_it_is_given_up() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let client = client(&there(&[served.address]));
    let hang = |mut client: EventServiceClient<Client>| tokio::spawn(async move { client.list_events(list("hang")).await });
    let slow: Vec<_> = (0..50).map(|_| hang(client.clone())).collect();
    until(|| fake.open.load(SeqCst) == 50).await;
    client.clone().list_events(list("")).await.unwrap();
    slow.iter().for_each(JoinHandle::abort);
    until(|| fake.open.load(SeqCst) == 0).await;
}

#[tokio::test]
async fn a_read_that_finds_a_busy_service_is_sent_once_more() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let mut client = client(&there(&[served.address]));
    fake.busy.store(1, SeqCst);
    client.list_events(list("")).await.unwrap();
    assert_eq!(fake.seen.load(SeqCst), 2);
    fake.busy.store(2, SeqCst);
    assert_eq!(reason(&client.list_events(list("")).await.unwrap_err()), "OVERLOADED", "and not again");
    assert_eq!(fake.seen.load(SeqCst), 4);
}

#[tokio::test]
async fn a_change_that_may_have_been_made_is_not_sent_again() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let pool = Pool::new(&[Address::parse(&served.address.to_string()).unwrap()], Kind::Calls);
    fake.busy.store(1, SeqCst);
    let answer = pool.send(request(LIST, message(&list(""))), false).await.unwrap();
    assert_eq!((answer.headers().get("grpc-status").unwrap(), fake.seen.load(SeqCst)), (&http::HeaderValue::from_static("14"), 1));
    let (waiting, killed) = tokio::join!(pool.send(request(LIST, message(&list("hang"))), false), async {
        until(|| fake.open.load(SeqCst) == 1).await;
        served.killed().await;
    });
    let ((), refusal) = (killed, waiting.unwrap_err());
    assert_eq!((refusal.reason(), fake.seen.load(SeqCst)), (Reason::UpstreamUnavailable, 2));
}

/// Answers the first `refusals` streams with REFUSED_STREAM, the others with an empty message.
async fn refusing(refusals: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(refuse(tcp, refusals, seen.clone()));
        }
    });
    (address, asked)
}

async fn refuse(tcp: tokio::net::TcpStream, refusals: usize, seen: Arc<AtomicUsize>) {
    let mut connection = h2::server::handshake(tcp).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        if seen.fetch_add(1, SeqCst) < refusals {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
        } else {
            let answer = Response::builder().header("content-type", "application/grpc").header("grpc-status", "0");
            respond.send_response(answer.body(()).unwrap(), true).unwrap();
        }
    }
}

#[tokio::test]
async fn a_stream_that_was_refused_is_sent_once_more_even_if_it_changes_something() {
    for (refusals, answered) in [(1, true), (2, false)] {
        let (address, asked) = refusing(refusals).await;
        let pool = Pool::new(&[Address::parse(&address.to_string()).unwrap()], Kind::Calls);
        let answer = pool.send(request(LIST, message(&list(""))), false).await;
        assert_eq!((answer.is_ok(), asked.load(SeqCst)), (answered, 2));
    }
}

#[tokio::test]
async fn the_callers_own_error_is_the_answer() {
    let served = Served::new(&Fake::default()).await;
    let broken = || frames([Ok(Bytes::from_static(&[0, 0, 0, 0, 9, 1])), Err(Status::resource_exhausted("the caller's own"))]);
    let method = methods().get(LIST).unwrap();
    let answer = there(&[served.address]).send(request(LIST, broken()), method).await.unwrap();
    let status = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "the caller's own"));
}

#[tokio::test]
async fn empty_frames_end_no_connection() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let (upstream, method) = (there(&[served.address]), methods().get(LIST).unwrap());
    let mut client = client(&upstream);
    let mut watcher = client.watch_events(watch("silent")).await.unwrap().into_inner();
    assert!(watcher.message().await.unwrap().is_some());
    for _ in 0..1_000 {
        let answer = upstream.send(request(LIST, message(&list(""))), method).await.unwrap();
        answer.into_body().collect().await.expect("the connection stays");
    }
    let waits = tokio::time::timeout(Duration::from_millis(1), watcher.message()).await;
    assert!(waits.is_err(), "the watcher's connection stays too");
}

/// As seen in the field: a gateway's client goes away with all its watches, and the other clients' share the connection.
#[tokio::test]
async fn a_thousand_dropped_streams_harm_no_other() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let upstream = there(&[served.address]);
    let client = client(&upstream);
    let mut other = client.clone().watch_events(watch("endless")).await.unwrap().into_inner();
    assert!(other.message().await.unwrap().is_some());
    for _ in 0..10 {
        let streams = join_all((0..100).map(|_| {
            let mut client = client.clone();
            async move { client.watch_events(watch("endless")).await.unwrap() }
        }));
        drop(streams.await); // with data under way for each of them
        assert!(other.message().await.unwrap().is_some());
    }
    until(|| fake.open.load(SeqCst) == 1).await;
    for _ in 0..100 {
        assert!(other.message().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_hundred_stalled_readers_block_no_other() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let upstream = there(&[served.address]);
    let method = methods().get(WATCH).unwrap();
    let stalled: Vec<_> = join_all((0..100).map(|_| upstream.send(request(WATCH, message(&watch("endless"))), method))).await;
    assert!(stalled.iter().all(Result::is_ok));
    let mut two = client(&upstream).watch_events(watch("two")).await.unwrap().into_inner();
    let both = async { while two.message().await.unwrap().is_some() {} };
    tokio::time::timeout(SOON, both).await.expect("their windows are their own");
    assert_eq!(fake.open.load(SeqCst), 100);
}

#[tokio::test]
async fn a_peer_that_speaks_no_grpc_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(tcp).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                seen.fetch_add(1, Relaxed);
                respond.send_response(Response::builder().status(502).body(()).unwrap(), true).unwrap();
            }
        }
    });
    let refusal = there(&[address]).send(request(LIST, message(&list(""))), methods().get(LIST).unwrap()).await.unwrap_err();
    assert_eq!((refusal.reason(), asked.load(Relaxed)), (Reason::UpstreamUnavailable, 1));
}

#[tokio::test]
async fn what_http_1_says_of_its_connection_goes_no_further() {
    let fake = Fake::default();
    let served = Served::new(&fake).await;
    let mut sent = request(LIST, message(&list("")));
    assert_eq!(sent.version(), http::Version::HTTP_11);
    for (name, value) in [
        ("te", "gzip"),
        ("connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-connection", "close"),
    ] {
        sent.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    let answer = there(&[served.address]).send(sent, methods().get(LIST).unwrap()).await.unwrap();
    let ended = answer.into_body().collect().await.unwrap();
    assert_eq!(ended.trailers().unwrap()["grpc-status"], "0");
}

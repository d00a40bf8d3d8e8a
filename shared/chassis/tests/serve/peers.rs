//! Peers that are slow, silent or too many.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use chassis::serve::{Guarded, Incoming, Limits, grpc};
use contract::Reason;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::io::AsyncWriteExt;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::service_fn;

use crate::client::{Answer, CHECK, Client, EMPTY, WATCH, post};
use crate::raw::{ACK, DATA, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE};
use crate::server::{PATIENCE, Server};

const SOON: Duration = Duration::from_millis(150);

#[tokio::test]
async fn who_never_says_hello_is_closed() {
    let server = Server::start(Limits { preface: SOON, ..Limits::public() }).await;
    for hello in [&b""[..], b"P", &PREFACE[..20], PREFACE, b"GET / HT", b"GET /a-path-that-is-long-enough HTTP/1.1\r\nhost"] {
        let mut raw = Raw::connect(server.addr).await;
        raw.0.write_all(hello).await.unwrap();
        raw.closed().await;
    }
    let mut raw = Raw::hello(server.addr).await;
    assert_eq!(raw.next().await.unwrap().kind, SETTINGS);
}

#[tokio::test]
async fn an_idle_connection_is_sent_away_and_an_open_stream_keeps_it() {
    let server = Server::start(Limits { idle: SOON, ..Limits::public() }).await;
    let mut raw = Raw::hello(server.addr).await;
    assert_eq!(raw.next_of(GOAWAY).await.unwrap().error(), 0);
    raw.closed().await;
    let client = Client::connect(server.addr).await;
    let (watch, mut stream) = client.begin(post(WATCH, &[])).await;
    stream.send_data(Bytes::from_static(EMPTY), true).unwrap();
    let mut watch = watch.await.unwrap().into_body();
    assert!(watch.data().await.is_some(), "the first status");
    let ended = timeout(4 * SOON, watch.data()).await;
    assert!(ended.is_err(), "the watch goes on: {ended:?}");
}

#[tokio::test]
async fn an_old_connection_is_sent_away_and_finishes_what_it_began() {
    let server = Server::start(Limits { age: SOON, ..Limits::public() }).await;
    let client = Client::connect(server.addr).await;
    let (watch, mut stream) = client.begin(post(WATCH, &[])).await;
    stream.send_data(Bytes::from_static(EMPTY), true).unwrap();
    Answer::read(watch).await.assert_refused(Reason::ShuttingDown);
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_closed() {
    let server = Server::start(Limits { ping: SOON, pong: SOON, ..Limits::public() }).await;
    Raw::hello(server.addr).await.closed().await;
}

/// Keep-alive alone can't close it: its GOAWAY can't be written either.
#[tokio::test]
async fn who_stops_reading_its_socket_is_closed() {
    let left = CancellationToken::new();
    let gone = left.clone();
    let endless = service_fn(move |_: Request<Guarded<Incoming>>| {
        let held = gone.clone().drop_guard();
        let frames = futures::stream::repeat_with(move || {
            let _ = &held;
            Ok::<_, Status>(Frame::data(Bytes::from_static(&[7; 16_384])))
        });
        async move { Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(frames)))) }
    });
    let limits = Limits { ping: SOON, pong: SOON, ..Limits::public() };
    let server = Server::of(grpc(endless, &limits, ["/one.test/Endless".to_owned()]), limits).await;
    let mut raw = Raw::hello(server.addr).await;
    let (window, increment) = ([0, 4, 0x7f, 0xff, 0xff, 0xff], [0x7f, 0, 0, 0]);
    assert!(raw.send(SETTINGS, 0, 0, &window).await && raw.send(WINDOW_UPDATE, 0, 0, &increment).await);
    assert!(raw.call(1, "/one.test/Endless").await);
    timeout(PATIENCE, left.cancelled()).await.expect("its stream is dropped");
}

#[tokio::test]
async fn a_message_that_does_not_arrive_is_refused() {
    let server = Server::start(Limits { message_read: SOON, ..Limits::public() }).await;
    let client = Client::connect(server.addr).await;
    for part in [&b""[..], &[0, 0], &[0, 0, 0, 0, 9, 10, 7]] {
        let (answer, mut stream) = client.begin(post(CHECK, &[])).await;
        stream.send_data(Bytes::from_static(part), false).unwrap();
        Answer::read(answer).await.assert_refused(Reason::RequestTooSlow);
    }
}

#[tokio::test]
async fn a_byte_now_and_then_gains_nothing() {
    let server = Server::start(Limits { message_read: SOON, ..Limits::public() }).await;
    let client = Client::connect(server.addr).await;
    let (answer, mut stream) = client.begin(post(CHECK, &[])).await;
    stream.send_data(Bytes::from_static(&[0, 0, 0, 1, 0, 10, 254, 1]), false).unwrap();
    let mut answer = std::pin::pin!(Answer::read(answer));
    let mut drip = interval(SOON / 10);
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            _ = drip.tick() => drop(stream.send_data(Bytes::from_static(b"x"), false)),
        }
    };
    answer.assert_refused(Reason::RequestTooSlow);
}

#[tokio::test]
async fn a_whole_message_without_an_end_meets_the_deadline() {
    let server = Server::start(Limits { deadline: SOON, ..Limits::public() }).await;
    let client = Client::connect(server.addr).await;
    let (answer, mut stream) = client.begin(post(CHECK, &[])).await;
    stream.send_data(Bytes::from_static(EMPTY), false).unwrap();
    Answer::read(answer).await.assert_refused(Reason::DeadlineExceeded);
}

#[tokio::test]
async fn a_clients_deadline_ends_a_stream() {
    let server = Server::start(Limits::public()).await;
    let client = Client::connect(server.addr).await;
    Answer::read(watch(&client, &[("grpc-timeout", "150m")]).await).await.assert_refused(Reason::DeadlineExceeded);
}

async fn watch(client: &Client, headers: &[(&str, &str)]) -> h2::client::ResponseFuture {
    let (watch, mut stream) = client.begin(post(WATCH, headers)).await;
    stream.send_data(Bytes::from_static(EMPTY), true).unwrap();
    watch
}

#[tokio::test]
async fn all_half_received_messages_share_a_budget() {
    let server = Server::start(Limits { receiving: 100_000, ..Limits::public() }).await;
    let client = Client::connect(server.addr).await;
    let mut held = Vec::new();
    let refused = loop {
        let (answer, mut stream) = client.begin(post(CHECK, &[])).await;
        stream.send_data([&[0, 0, 1, 0, 0][..], &[10; 40_000]].concat().into(), false).unwrap();
        let mut answer = Box::pin(Answer::read(answer));
        match timeout(SOON, &mut answer).await {
            Ok(answer) => break answer,
            Err(_) => held.push((answer, stream)),
        }
    };
    refused.assert_refused(Reason::Overloaded);
    assert!((2..=4).contains(&held.len()), "{} were held before", held.len());
}

/// Answered by its head; the stream is open on its side, with the window of our SETTINGS.
async fn refused(server: &Server) -> Raw {
    let mut raw = Raw::hello(server.addr).await;
    assert!(raw.send(SETTINGS, ACK, 0, &[]).await && raw.call(1, "/one.test/Unknown").await);
    raw.next_of(HEADERS).await.unwrap();
    raw
}

/// What it has sent meanwhile is taken, and no more.
#[tokio::test]
async fn who_was_refused_and_sends_on_is_told_to_stop_after_64_kib() {
    const FRAME: usize = 16_384;
    let server = Server::start(Limits::public()).await;
    let mut raw = refused(&server).await;
    let mut sent = 0;
    let reset = loop {
        assert!(raw.send(DATA, 0, 1, &[7; FRAME]).await && raw.send(PING, 0, 0, &[0; 8]).await, "the connection stays");
        sent += FRAME;
        let frame = loop {
            let frame = raw.next().await.unwrap();
            assert!(frame.kind != WINDOW_UPDATE || frame.stream == 0, "nobody asks for more");
            if [PING, RST_STREAM].contains(&frame.kind) {
                break frame;
            }
        };
        if frame.kind == RST_STREAM {
            break frame;
        }
    };
    assert_eq!((reset.stream, reset.error()), (1, 0), "NO_ERROR");
    assert!((64 << 10..=256 << 10).contains(&sent), "{sent}");
}

#[tokio::test]
async fn who_was_refused_and_sends_no_more_is_waited_for_a_second() {
    let server = Server::start(Limits::public()).await;
    let (mut raw, began) = (refused(&server).await, tokio::time::Instant::now());
    let reset = raw.next_of(RST_STREAM).await.unwrap();
    assert_eq!((reset.stream, reset.error()), (1, 0), "NO_ERROR");
    assert!((Duration::from_millis(800)..PATIENCE / 2).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_stream_over_the_cap_is_refused() {
    let server = Server::start(Limits { streams: 2, ..Limits::public() }).await;
    let mut raw = Raw::hello(server.addr).await;
    let settings = raw.next().await.unwrap();
    assert!(settings.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]), "{settings:?}");
    raw.send(SETTINGS, ACK, 0, &[]).await;
    for stream in [1, 3, 5] {
        assert!(raw.call(stream, CHECK).await);
    }
    let reset = raw.next_of(RST_STREAM).await.unwrap();
    assert_eq!((reset.stream, reset.error()), (5, 7), "REFUSED_STREAM");
}

#[tokio::test]
async fn one_address_has_its_share_of_connections() {
    let server = Server::start(Limits { connections_per_ip: 2, ..Limits::public() }).await;
    let mut first = Raw::hello(server.addr).await;
    let mut second = Raw::hello(server.addr).await;
    assert!(first.next().await.is_some() && second.next().await.is_some());
    Raw::connect(server.addr).await.closed().await;
    drop(first);
    timeout(PATIENCE, async {
        loop {
            let mut again = Raw::connect(server.addr).await;
            let said = again.0.write_all(PREFACE).await.is_ok() && again.send(SETTINGS, 0, 0, &[]).await;
            if said && again.next().await.is_some() {
                return;
            }
        }
    })
    .await
    .expect("the place of who left is given again");
}

#[tokio::test]
async fn calls_over_the_cap_are_refused_but_probes_are_not() {
    let server = Server::start(Limits { in_flight: 0, ..Limits::public() }).await;
    let client = Client::connect(server.addr).await;
    client.call(post("/one.test/Any", &[]), EMPTY).await.assert_refused(Reason::Overloaded);
    assert_eq!(client.call(post(CHECK, &[]), EMPTY).await.code(), Code::Ok);
}

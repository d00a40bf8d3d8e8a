//! h2's own flood limits hold on public ports; between parts of the mesh they must not end the others' streams.

use std::convert::Infallible;

use bytes::Bytes;
use chassis::serve::{Guarded, Incoming, Limits, grpc};
use http::Request;
use http_body_util::BodyExt;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tower::service_fn;

use crate::client::{CHECK, Client, EMPTY, WATCH, post};
use crate::raw::{CONTINUATION, DATA, GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, literal};
use crate::server::Server;

const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn adv_rustsec_2023_0034_rapid_resets_end_the_connection() {
    let server = Server::start(Limits::public()).await;
    let mut raw = Raw::hello(server.addr).await;
    let mut stream = 1;
    while stream < 40_000 && raw.call(stream, CHECK).await && raw.send(RST_STREAM, 0, stream, &[0, 0, 0, 8]).await {
        stream += 2;
    }
    assert_eq!(raw.next_of(GOAWAY).await.map(|goaway| goaway.error()), Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn adv_rustsec_2024_0332_endless_headers_end_the_connection() {
    let server = Server::start(Limits::public()).await;
    let mut raw = Raw::hello(server.addr).await;
    let part = literal("x", &"y".repeat(100));
    assert!(raw.send(HEADERS, 0, 1, &part).await);
    let mut sent = 0;
    while sent < 100_000 && raw.send(CONTINUATION, 0, 1, &part).await {
        sent += 1;
    }
    assert!(sent < 100_000, "the server reads on and on");
}

#[tokio::test]
async fn adv_rustsec_2026_0258_empty_data_ends_the_connection() {
    let server = Server::start(Limits::public()).await;
    let mut raw = Raw::hello(server.addr).await;
    raw.call(1, CHECK).await;
    let mut sent = 0;
    while sent < 200_000 && raw.send(DATA, 0, 1, &[]).await {
        sent += 1;
    }
    assert!(sent < 200_000, "the server reads on and on");
}

#[tokio::test]
async fn frames_that_carry_nothing_end_the_connection() {
    const UNKNOWN: u8 = 0xbe;
    let server = Server::start(Limits { control: Some(200), ..Limits::public() }).await;
    for (kind, payload) in [(PING, &[0; 8][..]), (SETTINGS, &[]), (SETTINGS, &[0, 1, 0, 0, 16, 0]), (WINDOW_UPDATE, &[0, 0, 0, 1]), (UNKNOWN, b"?")] {
        let mut raw = Raw::hello(server.addr).await;
        let mut sent = 0;
        while sent < 50_000 && raw.send(kind, 0, 0, payload).await {
            sent += 1;
        }
        assert_eq!(raw.next_of(GOAWAY).await.map(|goaway| goaway.error()), Some(ENHANCE_YOUR_CALM), "frame {kind}");
    }
}

#[tokio::test]
async fn pings_that_calls_explain_end_nothing() {
    let server = Server::start(Limits { control: Some(20), ..Limits::public() }).await;
    let mut raw = Raw::hello(server.addr).await;
    for stream in (1..600).step_by(2) {
        assert!(raw.call(stream, CHECK).await && raw.send(DATA, 1, stream, EMPTY).await);
        for ping in 0..5 {
            assert!(raw.send(PING, 0, 0, &[ping; 8]).await);
            assert_eq!(raw.next_of(PING).await.expect("the connection stays").payload, [ping; 8]);
        }
    }
}

#[tokio::test]
async fn between_parts_of_the_mesh_nothing_is_counted() {
    let server = Server::start(Limits::internal()).await;
    let mut raw = Raw::hello(server.addr).await;
    for ping in 0..5_000u32 {
        let payload = [ping.to_be_bytes(); 2].concat();
        assert!(raw.send(PING, 0, 0, &payload).await);
        assert_eq!(raw.next_of(PING).await.expect("the connection stays").payload, payload);
    }
}

#[tokio::test]
async fn a_gateway_that_drops_a_thousand_streams_harms_no_other() {
    let server = Server::start(Limits::internal()).await;
    let client = Client::connect(server.addr).await;
    let (watch, mut stream) = client.begin(post(WATCH, &[])).await;
    stream.send_data(Bytes::from_static(EMPTY), true).unwrap();
    let mut watch = watch.await.unwrap().into_body();
    assert!(watch.data().await.unwrap().is_ok());
    for _ in 0..2_000 {
        let (answer, mut stream) = client.begin(post(CHECK, &[])).await;
        stream.send_reset(h2::Reason::CANCEL);
        drop(answer);
    }
    assert_eq!(client.call(post(CHECK, &[]), EMPTY).await.code(), Code::Ok);
    assert!(!watch.is_end_stream());
}

/// What h2 0.4.16 to 0.4.18 took for a flood after a hundred frames (hyperium/h2#939). Now an unread frame of 5 bytes costs
/// 251 of a budget that is half the connection's window: 16,700 of them end the connection.
#[tokio::test]
async fn adv_h2_939_honest_streams_of_small_messages_wait_for_a_reader_that_does_not_read() {
    const STREAMS: u32 = 8;
    const MESSAGES: usize = 2_000;
    let (reads, (counted, mut counts)) = (CancellationToken::new(), unbounded_channel());
    let wait = reads.clone();
    let count = service_fn(move |request: Request<Guarded<Incoming>>| {
        let (wait, counted) = (wait.clone(), counted.clone());
        async move {
            wait.cancelled().await;
            let read = request.into_body().collect().await.map(|read| read.to_bytes().len());
            counted.send(read).unwrap();
            Ok::<_, Infallible>(Status::ok("").into_http())
        }
    });
    let limits = Limits::public();
    let server = Server::of(grpc(count, &limits, ["/one.test/Upload".to_owned()]), limits).await;
    let mut raw = Raw::hello(server.addr).await;
    for stream in (1..).step_by(2).take(STREAMS as usize) {
        assert!(raw.call(stream, "/one.test/Upload").await);
        for message in 1..=MESSAGES {
            assert!(raw.send(DATA, u8::from(message == MESSAGES), stream, EMPTY).await);
        }
    }
    assert!(raw.send(PING, 0, 0, &[7; 8]).await);
    assert_eq!(raw.next_of(PING).await.expect("the connection stays, and all was taken").payload, [7; 8]);
    reads.cancel();
    for _ in 0..STREAMS {
        assert_eq!(counts.recv().await.unwrap().unwrap(), MESSAGES * EMPTY.len());
        assert!(raw.next_of(HEADERS).await.is_some());
    }
}

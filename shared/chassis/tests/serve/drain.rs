//! The drain ends, whoever is connected.

use std::time::Duration;

use bytes::Bytes;
use chassis::serve::Limits;
use contract::Reason;
use tonic::Code;

use crate::client::{Answer, CHECK, Client, EMPTY, WATCH, post};
use crate::raw::{GOAWAY, Raw};
use crate::server::Server;

const GRACE: Duration = Duration::from_secs(25);

#[tokio::test]
async fn a_silent_peer_and_an_idle_one_that_ignores_goaway_do_not_hold_it() {
    let server = Server::start(Limits::public()).await;
    let mut silent = Raw::connect(server.addr).await;
    let mut deaf = Raw::hello(server.addr).await;
    assert!(deaf.next().await.is_some());
    server.drain();
    assert_eq!(deaf.next_of(GOAWAY).await.unwrap().error(), 0);
    let took = server.ended().await;
    assert!(took < GRACE / 5, "{took:?}");
    silent.closed().await;
    deaf.closed().await;
}

#[tokio::test]
async fn an_honest_idle_client_is_gone_at_once() {
    let server = Server::start(Limits::public()).await;
    let client = Client::connect(server.addr).await;
    assert_eq!(client.call(post(CHECK, &[]), EMPTY).await.code(), Code::Ok);
    server.drain();
    assert!(server.ended().await < GRACE / 5);
}

#[tokio::test]
async fn an_open_stream_ends_with_its_reason_and_a_call_in_flight_finishes() {
    let server = Server::start(Limits::public()).await;
    let client = Client::connect(server.addr).await;
    let (watch, mut stream) = client.begin(post(WATCH, &[])).await;
    stream.send_data(Bytes::from_static(EMPTY), true).unwrap();
    let watch = watch.await.unwrap();
    let (call, mut rest) = client.begin(post(CHECK, &[])).await;
    rest.send_data(Bytes::from_static(&EMPTY[..3]), false).unwrap();
    server.drain();
    Answer::rest(watch).await.assert_refused(Reason::ShuttingDown);
    rest.send_data(Bytes::from_static(&EMPTY[3..]), true).unwrap();
    assert_eq!(Answer::read(call).await.code(), Code::Ok);
    assert!(server.ended().await < GRACE / 5);
}

#[tokio::test]
async fn the_grace_is_the_end_for_everybody() {
    let server = Server::start(Limits { grace: Duration::from_millis(300), ..Limits::public() }).await;
    let mut deaf = Raw::hello(server.addr).await;
    deaf.call(1, WATCH).await;
    deaf.call(3, CHECK).await;
    assert!(deaf.next().await.is_some());
    server.drain();
    let took = server.ended().await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    deaf.closed().await;
}

//! Peers that are silent or slow. All at once, since the longest limit takes 40 s and cannot be set.

use super::reason;
use contract::Reason;
use std::{net::SocketAddr, time::Duration};
use tests::{
    Engine, Layout, Mesh,
    peer::{END_STREAM, Kind, PREFACE, Peer, error},
    raw::Raw,
    run,
};
use tokio::time::interval;
use tonic::Code;

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// What says nothing, or too little to be a client, is closed without a word: nothing was promised to it.
async fn says_too_little(gateway: SocketAddr, hello: &[u8]) {
    let mut peer = Peer::connect(gateway).await;
    peer.write(hello).await;
    assert_eq!(peer.end().await, None, "{:?}", String::from_utf8_lossy(hello));
}

/// A client that does not answer PING is gone, however much it has open.
async fn answers_no_ping(gateway: SocketAddr, open: bool) {
    let mut peer = Peer::hello(gateway).await;
    if open {
        peer.call(1, "/grpc.health.v1.Health/Watch", &[]).await;
        peer.send(Kind::Data, END_STREAM, 1, &[0; 5]).await;
    }
    let mut pinged = false;
    while let Some(frame) = peer.next().await {
        pinged |= frame.is(Kind::Ping);
    }
    assert!(pinged, "it was asked before");
}

/// Half a message and then nothing, or a byte a second: both are refused, and the connection stays.
async fn sends_slowly(gateway: SocketAddr, drip: bool) {
    let mut peer = Peer::hello(gateway).await;
    peer.call(1, CHECK, &[]).await;
    peer.send(Kind::Data, 0, 1, &[0, 0, 0, 1, 0, 10, 254, 1]).await;
    let mut second = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            frame = peer.next() => match frame {
                Some(frame) if frame.is(Kind::Headers) => break,
                Some(frame) if frame.is(Kind::Ping) && frame.flags == 0 => { peer.send(Kind::Ping, 1, 0, &frame.payload).await; }
                Some(_) => {}
                None => panic!("the stream is refused, not the connection"),
            },
            _ = second.tick(), if drip => { peer.send(Kind::Data, 0, 1, b"x").await; }
        }
    }
    peer.send(Kind::Ping, 0, 0, &[9; 8]).await;
    while peer.next_of(Kind::Ping).await.expect("the connection stays").payload != [9; 8] {}
}

/// The same, read by a client that understands it.
async fn is_told_that_it_is_too_slow(mesh: &Mesh) {
    let tenant = mesh.tenant().await;
    let first = bytes::Bytes::from_static(&[0, 0, 0, 0, 9, 10]);
    let half = tests::raw::Half::begin(Raw::call("/one.identity.v1.KeyService/GetCaller", "").key(tenant.key()), mesh.gateway(), first).await;
    let answer = half.answer().await;
    assert_eq!((answer.code(), reason(&answer)), (Code::DeadlineExceeded, Reason::RequestTooSlow), "{answer:?}");
}

#[test]
fn who_is_silent_or_slow_is_told_so_or_closed() {
    run(Layout::OneProcess, Engine::Sqlite, |mesh| async move {
        let gateway = mesh.gateway();
        tokio::join!(
            says_too_little(gateway, b""),
            says_too_little(gateway, &PREFACE[..10]),
            says_too_little(gateway, PREFACE),
            says_too_little(gateway, b"GET /livez HTTP/1.1\r\nhost: a"),
            answers_no_ping(gateway, false),
            answers_no_ping(gateway, true),
            sends_slowly(gateway, false),
            sends_slowly(gateway, true),
            is_told_that_it_is_too_slow(&mesh),
        );
    });
}

/// A stream that is refused costs the connection nothing, and neither does one on which everything is wrong.
#[test]
fn a_refused_stream_leaves_its_neighbours() {
    run(Layout::OneProcess, Engine::Sqlite, |mesh| async move {
        let mut peer = Peer::hello(mesh.gateway()).await;
        peer.call(1, &CHECK[1..], &[]).await;
        let reset = peer.next_of(Kind::ResetStream).await.expect("the stream alone ends");
        assert_eq!(reset.error(), error::PROTOCOL);
        peer.call(3, CHECK, &[]).await;
        peer.send(Kind::Data, END_STREAM, 3, &[0; 5]).await;
        assert_eq!(peer.next_of(Kind::Headers).await.expect("an answer").stream, 3);
    });
}

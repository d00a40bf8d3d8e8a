//! Peers that send much of what costs them nothing. Each has a mesh of its own, for a flood is felt by all.

use tests::{
    Engine, Layout, Mesh, Role,
    peer::{END_HEADERS, END_STREAM, Kind, Peer, error, frame, head, literal},
    run,
};

const CHECK: &str = "/grpc.health.v1.Health/Check";
/// What a flood may leave in memory, in KiB: HARDENING.md saw 92 MiB of 10,000 half-open streams.
const GROWTH: usize = 32 << 10;

/// KiB of memory of the gateway's process.
pub(super) fn resident(mesh: &Mesh) -> usize {
    let id = mesh.look(Role::Gateway, 0, tests::Process::id);
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("every process has one");
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a number of KiB")
}

/// Sends the same again and again until the server has closed, but not for ever.
async fn pour(peer: &mut Peer, bytes: &[u8], most: usize) -> bool {
    for _ in 0..most {
        if !peer.write(bytes).await {
            return true;
        }
    }
    false
}

/// Floods end with GOAWAY ENHANCE_YOUR_CALM, memory stays, and others are served.
fn ends(flood: impl AsyncFnOnce(&mut Peer) + Send + 'static) {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let tenant = mesh.tenant().await;
        let before = resident(&mesh);
        let mut peer = Peer::hello(mesh.gateway()).await;
        flood(&mut peer).await;
        assert_eq!(peer.end().await, Some(error::CALM));
        tenant.who_am_i().await;
        let after = resident(&mesh);
        assert!(after < before + GROWTH, "{before} KiB before, {after} KiB after");
    });
}

#[test]
fn adv_rustsec_2023_0034_rapid_resets_end_the_connection() {
    ends(async |peer| {
        for stream in (1..80_000).step_by(2) {
            let both = [frame(Kind::Headers, END_HEADERS, stream, &head(CHECK, &[])), frame(Kind::ResetStream, 0, stream, &[0, 0, 0, 8])].concat();
            if !peer.write(&both).await {
                break;
            }
        }
    });
}

/// The resets are the server's own, for it is given reason to: a window that grows beyond all bounds.
#[test]
fn adv_cve_2025_8671_resets_that_a_peer_provokes_end_the_connection() {
    ends(async |peer| {
        for stream in (1..80_000).step_by(2) {
            let call = frame(Kind::Headers, END_HEADERS, stream, &head(CHECK, &[]));
            if !peer.write(&[call, frame(Kind::WindowUpdate, 0, stream, &[0x7f, 0xff, 0xff, 0xff])].concat()).await {
                break;
            }
        }
    });
}

#[test]
fn adv_rustsec_2024_0332_endless_headers_end_the_connection() {
    ends(async |peer| {
        let part = literal("x", &"y".repeat(100));
        peer.send(Kind::Headers, 0, 1, &part).await;
        assert!(pour(peer, &frame(Kind::Continuation, 0, 1, &part), 100_000).await, "the server reads on and on");
    });
}

#[test]
fn adv_rustsec_2026_0258_empty_data_ends_the_connection() {
    ends(async |peer| {
        peer.call(1, CHECK, &[]).await;
        assert!(pour(peer, &frame(Kind::Data, 0, 1, &[]), 200_000).await, "the server reads on and on");
    });
}

#[test]
fn pings_end_the_connection() {
    ends(async |peer| assert!(pour(peer, &frame(Kind::Ping, 0, 0, &[7; 8]), 200_000).await, "the server answers on and on"));
}

#[test]
fn settings_end_the_connection() {
    ends(async |peer| assert!(pour(peer, &frame(Kind::Settings, 0, 0, &[0, 4, 0, 1, 0, 0]), 50_000).await, "the server answers on and on"));
}

#[test]
fn ten_thousand_half_open_streams_are_a_hundred() {
    const STREAMS: u32 = 10_000;
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let tenant = mesh.tenant().await;
        let before = resident(&mesh);
        let mut peers = vec![Peer::hello(mesh.gateway()).await];
        let mut open = 0;
        for number in 0..STREAMS {
            let peer = peers.last_mut().expect("one at least");
            match answered(peer, number * 2 + 1).await {
                Some(true) => open += 1,
                Some(false) => {}
                None => peers.push(Peer::hello(mesh.gateway()).await), // it was refused too often
            }
        }
        assert!(open <= 100 * peers.len(), "{open} streams are open on {} connections", peers.len());
        tenant.who_am_i().await;
        let after = resident(&mesh);
        assert!(after < before + GROWTH, "{before} KiB before, {after} KiB after");
    });
}

/// Whether a stream may stay half open; `None` if the connection ends.
async fn answered(peer: &mut Peer, stream: u32) -> Option<bool> {
    peer.call(stream, CHECK, &[]).await;
    peer.send(Kind::Ping, 0, 0, &[7; 8]).await;
    let mut open = true;
    loop {
        let frame = peer.next().await?;
        match frame.error_of(Kind::ResetStream) {
            Some(error::REFUSED_STREAM) => open = false,
            Some(other) => panic!("a stream is refused, not reset with {other}"),
            None if frame.is(Kind::GoAway) => assert_eq!(frame.error(), error::CALM),
            None if frame.is(Kind::Ping) => return Some(open),
            None => {}
        }
    }
}

/// Peers that vanish between connect and accept ended the accept loop of tonic 0.12.2.
#[test]
fn adv_rustsec_2024_0376_peers_that_vanish_do_not_end_the_accept_loop() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        for said in 0..500 {
            let mut peer = Peer::connect(mesh.gateway()).await;
            peer.write(&tests::peer::PREFACE[..said % 25]).await;
            peer.abort();
        }
        mesh.tenant().await.who_am_i().await;
    });
}

/// An honest client's pings are explained by its calls; and calls that are refused by their heads, here by the rate of strangers, are not
/// held against their bodies, which come when their streams are closed.
#[test]
fn pings_and_refused_calls_end_nothing() {
    run(Layout::OneProcess, Engine::Sqlite, |mesh| async move {
        let mut peer = Peer::hello(mesh.gateway()).await;
        for stream in (1..4_000).step_by(2) {
            peer.call(stream, CHECK, &[]).await;
            peer.send(Kind::Data, END_STREAM, stream, &[0; 5]).await;
            peer.send(Kind::Ping, 0, 0, &[7; 8]).await;
            assert!(peer.next_of(Kind::Ping).await.is_some(), "the connection stays");
        }
    });
}

//! What somebody sends who was refused already: Qdrant kept all of it before it looked at the key (GHSA-3v92-w72v-j994).

use super::{CREATE, floods::resident, reason};
use bytes::Bytes;
use contract::Reason;
use std::net::{Ipv4Addr, SocketAddr};
use tests::{
    Engine, Layout, Mesh, Tenant,
    peer::{ACK, Kind, Peer},
    raw::{Half, Raw},
    run,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

const PIECE: [u8; 16_384] = [7; 16_384];
/// What may be on its way of one connection, as the server says after its SETTINGS.
const WINDOW: usize = 8 << 20;

/// Keys that may not create a thing, and why.
async fn refused(tenant: &Tenant) -> [(String, Reason); 2] {
    let reader = tenant.create_key("reads", "group_user", &["things:read"]).await.secret;
    [("org_x_key_y".to_owned(), Reason::InvalidApiKey), (reader, Reason::InsufficientScopes)]
}

/// A call that was answered by its head, and whose body may still be sent.
async fn answered(gateway: SocketAddr, key: &str) -> Peer {
    let mut peer = Peer::hello(gateway).await;
    assert!(peer.send(Kind::Settings, ACK, 0, &[]).await && peer.call(1, CREATE, &[("x-api-key", key)]).await);
    assert!(peer.next_of(Kind::Headers).await.is_some(), "answered, though no body has come");
    peer
}

/// The reset of the stream, or the end of what the server has to say now.
async fn told(peer: &mut Peer) -> Option<u32> {
    assert!(peer.send(Kind::Ping, 0, 0, &[0; 8]).await);
    loop {
        let frame = peer.next().await.expect("the connection stays");
        assert!(!frame.is(Kind::WindowUpdate) || frame.stream == 0, "no more is asked for");
        if frame.is(Kind::Ping) || frame.is(Kind::ResetStream) {
            return frame.error_of(Kind::ResetStream);
        }
    }
}

/// A gigabyte is never read: what is on its way is taken, and then the stream is reset.
#[test]
fn adv_ghsa_3v92_w72v_j994_a_bad_key_is_refused_before_the_body() {
    run(Layout::OneProcess, Engine::Sqlite, |mesh| async move {
        for (key, expected) in refused(&mesh.tenant().await).await {
            let answer = Half::begin(Raw::call(CREATE, "").key(&key), mesh.gateway(), Bytes::new()).await.answer().await;
            assert_eq!(reason(&answer), expected);
            let mut peer = answered(mesh.gateway(), &key).await;
            let (mut sent, mut reset) = (0, None);
            while reset.is_none() {
                assert!(peer.send(Kind::Data, 0, 1, &PIECE).await);
                sent += PIECE.len();
                reset = told(&mut peer).await;
            }
            assert!(sent <= 256 << 10, "{sent} bytes of {expected:?} were taken before the stream was reset");
        }
    });
}

/// As a page without TLS sends it: there is no stream to reset, so the connection ends, with what fits between two sockets on its way.
#[test]
fn adv_ghsa_3v92_w72v_j994_over_http_1_the_connection_ends() {
    const MOST: usize = 64 << 20;
    run(Layout::OneProcess, Engine::Sqlite, |mesh| async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 9, 0, 1), 0).into()).unwrap();
        let mut tcp = socket.connect(mesh.gateway()).await.unwrap();
        let head = format!("POST {CREATE} HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc-web\r\ncontent-length: 1073741824\r\n\r\n");
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tcp.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200", "refused, as grpc-web says it");
        let mut sent = 0;
        while sent < MOST && tcp.write_all(&PIECE).await.is_ok() {
            sent += PIECE.len();
        }
        assert!(sent < MOST, "it is read on and on");
    });
}

/// Who heeds no reset is not asked for more, but what it sends has to pass the socket. Nothing of it is kept, and others are served.
#[test]
fn adv_ghsa_3v92_w72v_j994_nothing_is_kept_of_who_sends_on() {
    const ALL: usize = 256 << 20;
    const GROWTH: usize = 16 << 10; // KiB
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let tenant = mesh.tenant().await;
        let mut peer = answered(mesh.gateway(), "org_x_key_y").await;
        let (before, mut window, mut sent) = (resident(&mesh), WINDOW, 0);
        while sent < ALL {
            while window < PIECE.len() {
                let more = peer.next_of(Kind::WindowUpdate).await.expect("the connection stays");
                assert_eq!(more.stream, 0, "no more is asked for");
                window += u32::from_be_bytes(more.payload.try_into().unwrap()) as usize;
            }
            assert!(peer.send(Kind::Data, 0, 1, &PIECE).await);
            (sent, window) = (sent + PIECE.len(), window - PIECE.len());
        }
        tenant.create("A").await;
        let after = resident(&mesh);
        assert!(after < before + GROWTH, "{before} KiB before, {after} KiB after");
    });
}

//! An HTTP/2 peer without manners: it writes frames as bytes, answers no PING, and has no ear for GOAWAY.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// What opens every HTTP/2 connection.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Far longer than the longest limit of a mesh: a test fails after it instead of hanging.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in RFC 9113")]
pub enum Kind {
    Data = 0,
    Headers = 1,
    ResetStream = 3,
    Settings = 4,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

/// The flag of the last frame of a stream.
pub const END_STREAM: u8 = 1;
/// The flag of SETTINGS that says "as you wish".
pub const ACK: u8 = 1;
/// The flag of the last frame of headers.
pub const END_HEADERS: u8 = 4;

/// NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, REFUSED_STREAM, COMPRESSION_ERROR and ENHANCE_YOUR_CALM of RFC 9113.
#[expect(missing_docs, reason = "named as in RFC 9113")]
pub mod error {
    pub const NONE: u32 = 0;
    pub const PROTOCOL: u32 = 1;
    pub const FLOW_CONTROL: u32 = 3;
    pub const REFUSED_STREAM: u32 = 7;
    pub const COMPRESSION: u32 = 9;
    pub const CALM: u32 = 11;
}

/// A frame that came.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its kind, as a number: a server may send what is not in [`Kind`].
    pub kind: u8,
    /// What is special about it.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Whether it is of that kind.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u8
    }

    /// Its error code, if it is of that kind.
    pub fn error_of(&self, kind: Kind) -> Option<u32> {
        self.is(kind).then(|| self.error())
    }

    /// The error code of RST_STREAM or GOAWAY.
    ///
    /// # Panics
    /// If it is too short to have one.
    pub fn error(&self) -> u32 {
        let at = if self.is(Kind::GoAway) { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

/// A connection.
#[derive(Debug)]
pub struct Peer(TcpStream);

impl Peer {
    /// Connected; nothing is said yet. Not from 127.0.0.1: so many ports would be taken there that a process which starts again finds its
    /// own taken.
    pub async fn connect(to: SocketAddr) -> Peer {
        Self::from(Ipv4Addr::new(127, 9, 0, 1).into(), to).await
    }

    /// The same from another address of this machine.
    pub async fn from(address: IpAddr, to: SocketAddr) -> Peer {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((address, 0).into()).expect("an address of this machine");
        Peer(socket.connect(to).await.expect("somebody listens"))
    }

    /// Connected, with preface and SETTINGS sent.
    pub async fn hello(to: SocketAddr) -> Peer {
        Self::connect(to).await.greet().await
    }

    /// Sends preface and SETTINGS.
    pub async fn greet(mut self) -> Peer {
        self.write(PREFACE).await;
        self.send(Kind::Settings, 0, 0, &[]).await;
        self
    }

    /// Bytes as they are; false when the server has closed.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// A frame; false when the server has closed.
    pub async fn send(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&frame(kind, flags, stream, payload)).await
    }

    /// The head of a gRPC call.
    pub async fn call(&mut self, stream: u32, path: &str, more: &[(&str, &str)]) -> bool {
        self.send(Kind::Headers, END_HEADERS, stream, &head(path, more)).await
    }

    /// The next frame; `None` when the server has closed.
    pub async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.read()).await.expect("a frame or the end")
    }

    /// The next frame of that kind; `None` when the server closed before it.
    pub async fn next_of(&mut self, kind: Kind) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.is(kind) {
                return Some(frame);
            }
        }
    }

    /// Gone in the middle, with RST instead of FIN.
    pub fn abort(self) {
        self.0.set_zero_linger().expect("a socket");
    }

    /// Reads until the server closes: the error code of its last GOAWAY, if it sent one.
    pub async fn end(mut self) -> Option<u32> {
        let mut error = None;
        while let Some(frame) = self.next().await {
            if frame.is(Kind::GoAway) {
                error = Some(frame.error());
            }
        }
        error
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }
}

/// A frame's bytes.
pub fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind as u8, flags], &stream.to_be_bytes(), payload].concat()
}

/// The fields of a gRPC call, and more.
pub fn head(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let fields =
        [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", path), ("content-type", "application/grpc"), ("te", "trailers")];
    fields.iter().chain(more).flat_map(|(name, value)| literal(name, value)).collect()
}

/// A field in HPACK, neither compressed nor remembered.
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0], &*text(name), &*text(value)].concat()
}

fn text(text: &str) -> Vec<u8> {
    const PREFIX: usize = 127;
    let mut bytes = Vec::new();
    if text.len() < PREFIX {
        bytes.push(u8::try_from(text.len()).expect("below 127"));
    } else {
        bytes.push(127);
        let mut rest = text.len() - PREFIX;
        while rest >= 128 {
            bytes.push(u8::try_from(rest % 128 + 128).expect("below 256"));
            rest /= 128;
        }
        bytes.push(u8::try_from(rest).expect("below 128"));
    }
    bytes.extend(text.bytes());
    bytes
}

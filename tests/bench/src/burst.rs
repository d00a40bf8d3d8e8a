//! 10,000 calls over 1,000 connections that come at once: the time from the first connect to the last answer.
//!
//! The client shares the machine with the server, so it is a bare h2 with one message made before: what a client costs would hide what a
//! server costs.

use crate::{
    process::Process,
    servers::{self, KEY},
};
use bytes::Bytes;
use contract::ontology::v1::GetThingRequest;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use prost::Message;
use std::{
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

const CONNECTIONS: usize = 1_000;
/// At once, on each connection.
const CALLS: usize = 10;
/// One of each side, in turn; each is compared within itself, and the middle one counts. One more before them fills the gateway's cache.
const ROUNDS: usize = 9;
/// What is not answered then has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const ID: &str = "0199a0d2-7a5c-7000-8000-000000000001";

/// What it took, and the calls that failed.
#[derive(Clone, Copy)]
struct Burst {
    took: Duration,
    failed: usize,
}

impl Burst {
    fn millis(&self) -> f64 {
        self.took.as_secs_f64() * 1e3
    }
}

pub(crate) async fn print() {
    chassis::serve::open_files();
    let (stock, gateway) = (servers::start("stock", &[]), servers::start("gateway", &[]));
    let first = round(&gateway).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((round(&stock).await, round(&gateway).await));
    }
    let failed = |of: fn(&(Burst, Burst)) -> Burst| rounds.iter().map(|round| of(round).failed).sum::<usize>();
    let (bare_failed, whole_failed) = (failed(|round| round.0), first.failed + failed(|round| round.1));
    rounds.sort_by(|one, other| (one.1.millis() / one.0.millis()).total_cmp(&(other.1.millis() / other.0.millis())));
    let (bare, whole) = rounds[ROUNDS / 2];
    println!("{:<34} {:>10} {:>8} {:>8}", "10,000 calls, 1,000 connections", "ms", "ratio", "limit");
    println!("{:<34} {:>10.0} {:>8.2} {:>8.2}", "stock tonic", bare.millis(), 1.0, 1.0);
    println!("{:<34} {:>10.0} {:>8.2} {:>8.2}", "gateway in process", whole.millis(), whole.millis() / bare.millis(), 1.3);
    println!("{:<34} {:>10} {:>8} {:>8}", "calls that failed, stock tonic", bare_failed, "", "");
    println!("{:<34} {:>10} {:>8} {:>8}", "calls that failed, gateway", whole_failed, "", 0);
}

/// All at once, and then rest, so that the connections' ends do not fall into the next round.
async fn round(server: &Process) -> Burst {
    let addr: SocketAddr = server.addr.parse().expect("an address");
    let (request, message) = (request(&server.addr), message());
    let begun = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let connection = connection(addr, request.clone(), message.clone());
        connections.spawn(async move { timeout(PATIENCE, connection).await.unwrap_or(CALLS) });
    }
    let failed = connections.join_all().await.into_iter().sum();
    let took = begun.elapsed();
    server.rests().await;
    Burst { took, failed }
}

fn request(authority: &str) -> Request<()> {
    let request = Request::post(format!("http://{authority}/one.ontology.v1.ThingService/GetThing"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    request.header("authorization", format!("Bearer {KEY}")).body(()).expect("a valid request")
}

/// With its five bytes of gRPC before it.
fn message() -> Bytes {
    let message = GetThingRequest { id: ID.to_owned() }.encode_to_vec();
    let length = u32::try_from(message.len()).expect("it is short");
    [&[0], &length.to_be_bytes()[..], &message].concat().into()
}

/// One connection and its calls: how many of them failed.
async fn connection(addr: SocketAddr, request: Request<()>, message: Bytes) -> usize {
    let Ok(tcp) = TcpStream::connect(addr).await else { return CALLS };
    if tcp.set_nodelay(true).is_err() {
        return CALLS;
    }
    let Ok((sender, connection)) = h2::client::handshake(tcp).await else { return CALLS };
    let mut calls = pin!(calls(&sender, &request, &message));
    tokio::select! {
        biased;
        failed = &mut calls => failed,
        _ = connection => calls.await, // what came before its end still counts, and the rest has failed
    }
}

/// All are sent before the first answer is awaited.
async fn calls(sender: &SendRequest<Bytes>, request: &Request<()>, message: &Bytes) -> usize {
    let begun: Vec<_> = (0..CALLS).map(|_| begin(sender, request, message)).collect();
    let mut failed = 0;
    for answer in begun {
        let answered = match answer {
            Ok(answer) => is_ok(answer).await.unwrap_or(false),
            Err(_) => false,
        };
        failed += usize::from(!answered);
    }
    failed
}

/// On a clone of the sender: one and the same would first want the call before to be on its way.
fn begin(sender: &SendRequest<Bytes>, request: &Request<()>, message: &Bytes) -> Result<ResponseFuture, h2::Error> {
    let (answer, mut body) = sender.clone().send_request(request.clone(), false)?;
    body.send_data(message.clone(), true)?;
    Ok(answer)
}

/// Whether there came a message, and a status that says so.
async fn is_ok(answer: ResponseFuture) -> Result<bool, h2::Error> {
    let mut body = answer.await?.into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        length += data?.len();
    }
    let trailers = body.trailers().await?;
    Ok(length > 0 && trailers.is_some_and(|trailers| trailers.get("grpc-status").is_some_and(|status| status == "0")))
}

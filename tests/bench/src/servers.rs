//! The servers of the echo: `bench serve stock|ours|gateway|service|split|shared`.

use crate::{echo::Echo, known::Everybody, process::Process};
use chassis::{
    admin::Readiness,
    changes::Rate,
    clock::Clock,
    principal::Signer,
    room::Room,
    serve::{self, Answer, Limits},
    telemetry::Metrics,
    upstream::Upstream,
};
use gateway::{
    Options, Service,
    limiter::{Backend, Memory, Shared},
    redis::{Decisions, Link, Policy},
};
use serde_json::json;
use std::{net::Ipv4Addr, process::Command, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

/// Well formed, with a right checksum; who asks for it is [`Everybody`].
pub(crate) const KEY: &str = "org_0123456789ab_key_AbCdEfGh00000000000000000000000000000000000000000002oCPZS";

const AUDIENCE: &str = "ontology";
/// One address makes all calls, so the bound of one address is no concern here.
const LIMITS: Limits = Limits { connections_per_ip: usize::MAX, ..Limits::public() };

/// A server in a process of its own, ready.
pub(crate) fn start(what: &str, rest: &[&str]) -> Process {
    let own = std::env::current_exe().expect("a path");
    Process::start(Command::new(own).args(["serve", what]).args(rest), "echo")
}

/// This process is that server, until it is killed.
pub(crate) async fn run(what: &str, rest: &[&str]) {
    serve::open_files();
    let listener = serve::listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    println!("{}", json!({ "listening": "echo", "addr": listener.local_addr().expect("bound").to_string() }));
    println!("{}", json!({ "ready": true }));
    match (what, rest) {
        ("stock", []) => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            Server::builder().add_service(Echo::server()).serve_with_incoming(incoming).await.expect("stock tonic");
        }
        ("ours", []) => serve(listener, serve::grpc(Routes::new(Echo::server()).prepare(), &LIMITS, []), LIMITS).await,
        ("service", []) => serve(listener, serve::grpc(room(), &Limits::internal(), []), Limits::internal()).await,
        ("gateway", []) => gateway(listener, Upstream::here(room()), None).await,
        ("split", [addr]) => gateway(listener, Upstream::there(&[addr]).expect("an address"), None).await,
        ("shared", [redis]) => gateway(listener, Upstream::here(room()), Some(link(redis).await)).await,
        _ => panic!("bench serve stock|ours|gateway|service|split ADDRESS|shared REDIS"),
    }
}

async fn serve(listener: TcpListener, app: impl Answer, limits: Limits) {
    serve::serve(listener, app, limits, CancellationToken::new()).await;
}

fn room() -> Room {
    Room::new(Routes::new(Echo::server()), AUDIENCE, signer())
}

fn signer() -> Signer {
    Signer::new(&[7; 32], Clock::system())
}

/// With patience, for a bench may be stopped.
async fn link(url: &str) -> Arc<Link> {
    let decisions = Decisions::new(&Metrics::default().meter());
    let link = Link::open(url, Duration::from_secs(10), decisions).await.expect("a URL");
    assert!(link.is_connected(), "{url} answers");
    link
}

/// The whole stack, with limits that count and are never reached; in Redis, if there is one.
async fn gateway(listener: TcpListener, upstream: Upstream, redis: Option<Arc<Link>>) {
    let limiter = match &redis {
        Some(link) => Backend::Shared(Shared::new(link.clone(), Policy::Closed, Clock::system())),
        None => Backend::Memory(Memory::new(Clock::system())),
    };
    let options = Options {
        identity: Arc::new(Everybody::default()),
        limiter: Arc::new(limiter),
        redis,
        secret: [9; 32],
        services: vec![Service { name: "one.ontology.v1.ThingService", audience: AUDIENCE, upstream }],
        signer: signer(),
        clock: Clock::system(),
        limits: LIMITS,
        waiting: 4_000,
        address: Rate::NONE,
        origins: Vec::new(),
        proxies: Vec::new(),
        reflection: false,
        readiness: Readiness::default(),
        metrics: None,
    };
    let (app, gateway) = gateway::build(options).await.expect("valid options");
    tokio::spawn(gateway.follow(Arc::new(Everybody::default()), CancellationToken::new()));
    tokio::spawn(gateway.run(CancellationToken::new()));
    serve(listener, app, LIMITS).await;
}

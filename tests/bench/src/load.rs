//! 64 callers over 4 connections, from this process.

use crate::process::Process;
use contract::ontology::v1::{CreateThingRequest, GetThingRequest, Thing, thing_service_client::ThingServiceClient};
use std::{
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tonic::{
    Request,
    metadata::AsciiMetadataValue,
    transport::{Channel, Endpoint},
};

const CONNECTIONS: usize = 4;
const CALLERS: usize = 64;

pub(crate) type Client = ThingServiceClient<Channel>;

/// What the callers ask, over and over.
pub(crate) trait Ask: Clone + Send + Sync + 'static {
    /// Once, and it is answered.
    fn ask(&self, client: &mut Client) -> impl Future<Output = ()> + Send;
}

/// The same call each time.
#[derive(Clone)]
pub(crate) enum Call {
    Get(String),
    Create,
    /// A wrong key of the right form, each from another address: as if through a proxy.
    Guess,
}

/// What it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    /// CPU of all the servers together, for each call.
    pub(crate) micros: f64,
}

impl Figures {
    fn of(calls: usize, took: Duration, cpu: Duration) -> Figures {
        Figures { per_second: calls as f64 / took.as_secs_f64(), micros: cpu.as_secs_f64() * 1e6 / calls as f64 }
    }
}

/// A call and the key that it is made with.
#[derive(Clone)]
struct Keyed {
    bearer: AsciiMetadataValue,
    call: Call,
}

pub(crate) async fn clients(addr: &str) -> Vec<Client> {
    channels(addr, CONNECTIONS).await.into_iter().map(ThingServiceClient::new).collect()
}

/// So many connections.
pub(crate) async fn channels(addr: &str, connections: usize) -> Vec<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address").tcp_nodelay(true);
    let mut all = Vec::new();
    for _ in 0..connections {
        all.push(endpoint.connect().await.expect("the server listens"));
    }
    all
}

/// Makes `calls` calls, after a tenth as many to warm up.
pub(crate) async fn run(clients: &[Client], key: &str, call: &Call, calls: usize, servers: &[&Process]) -> Figures {
    let what = Keyed { bearer: bearer(key), call: call.clone() };
    round(clients, &what, calls / 10).await;
    let before: Duration = servers.iter().map(|server| server.cpu()).sum();
    let begun = Instant::now();
    round(clients, &what, calls).await;
    let took = begun.elapsed();
    let cpu = servers.iter().map(|server| server.cpu()).sum::<Duration>() - before;
    Figures::of(calls, took, cpu)
}

/// Makes `calls` calls of a server that rests, and waits until it rests again: what a call leaves to do within
/// a second, as to be kept on record, is its own.
pub(crate) async fn whole(clients: &[Client], what: &impl Ask, calls: usize, server: &Process) -> Figures {
    let (before, begun) = (server.cpu(), Instant::now());
    round(clients, what, calls).await;
    let took = begun.elapsed();
    server.rests().await;
    Figures::of(calls, took, server.cpu() - before)
}

async fn round(clients: &[Client], what: &impl Ask, calls: usize) {
    let left = Arc::new(AtomicUsize::new(calls));
    let callers: Vec<_> = (0..CALLERS)
        .map(|n| {
            let (mut client, left, what) = (clients[n % clients.len()].clone(), left.clone(), what.clone());
            tokio::spawn(async move {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    what.ask(&mut client).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no call fails");
    }
}

impl Ask for Keyed {
    async fn ask(&self, client: &mut Client) {
        match &self.call {
            Call::Get(id) => {
                client.get_thing(sent(GetThingRequest { id: id.clone() }, &self.bearer)).await.expect("the thing");
            }
            Call::Create => {
                client.create_thing(sent(creation(), &self.bearer)).await.expect("a new thing");
            }
            Call::Guess => {
                let refused = client.get_thing(guess()).await.expect_err("nobody has this key");
                assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused:?}");
            }
        }
    }
}

/// A key as it is sent.
pub(crate) fn bearer(key: &str) -> AsciiMetadataValue {
    format!("Bearer {key}").parse().expect("ASCII")
}

/// A message with a key.
pub(crate) fn sent<T>(message: T, bearer: &AsciiMetadataValue) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}

fn guess() -> Request<GetThingRequest> {
    let key = identity::secret::Secret::make("0123456789ab").expect("random bytes");
    let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
    let mut request = Request::new(GetThingRequest { id: uuid::Uuid::now_v7().to_string() });
    request.metadata_mut().insert("x-api-key", key.reveal().parse().expect("ASCII"));
    request.metadata_mut().insert("x-forwarded-for", format!("{a}.{b}.{c}.{d}").parse().expect("ASCII"));
    request
}

/// About 250 bytes, with a request_id: what a careful client sends.
pub(crate) fn creation() -> CreateThingRequest {
    let thing = Thing { name: "A thing of the bench".to_owned(), r#type: "note".to_owned(), properties: Some(properties()), ..Default::default() };
    CreateThingRequest { thing: Some(thing), request_id: uuid::Uuid::new_v4().to_string(), validate_only: false }
}

pub(crate) fn properties() -> prost_types::Struct {
    let object = serde_json::json!({ "title": "A thing of the bench", "price": 12, "tags": ["a", "b"], "text": "x".repeat(100) });
    contract::json::to_struct(object.as_object().expect("an object"))
}

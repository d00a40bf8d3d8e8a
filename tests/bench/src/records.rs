//! What it costs to keep a request on record: shipped as a gateway ships it, counted, and kept, on SQLite.

use crate::{
    house::{House, bytes},
    process,
};
use chassis::{clock::Clock, upstream::Client};
use contract::{
    events::v1::Transport,
    identity::v1::ActorKind,
    internal::v1::{AppendRequestsRequest, RequestRecord, request_log_service_client::RequestLogServiceClient},
};
use uuid::Uuid;

const BATCHES: i64 = 100;
/// As the gateway's.
const BATCH: usize = 500;
const ROUNDS: i64 = 5;
const RPC: &str = "one.ontology.v1.ThingService/GetThing";

pub(crate) async fn print() {
    let house = House::open().await;
    let client = RequestLogServiceClient::new(house.client.clone());

    println!("{:<34} {:>10} {:>8} {:>8}", "requests on record, SQLite", "records", "CPU µs", "limit");
    let gateway = Uuid::new_v4();
    let mut least = f64::INFINITY;
    for round in 0..ROUNDS {
        least = least.min(append(client.clone(), gateway, &house.clock, round * BATCHES).await);
    }
    println!("{:<34} {:>10} {least:>8.1} {:>8}", "shipped, counted and kept, each", BATCHES * BATCH as i64, 5);
    house.close().await;
}

/// CPU µs of the whole process for each record of as many batches, the first of which is the next after `last`.
async fn append(mut client: RequestLogServiceClient<Client>, gateway: Uuid, clock: &Clock, last: i64) -> f64 {
    let batch = |batch| {
        let records = (0..BATCH).map(|_| record(clock.micros())).collect();
        AppendRequestsRequest { gateway_id: bytes(gateway), batch: last + batch, records }
    };
    let batches: Vec<AppendRequestsRequest> = (1..=BATCHES).map(batch).collect();
    let before = process::own_cpu();
    for batch in batches {
        client.append_requests(batch).await.expect("it is kept");
    }
    (process::own_cpu() - before).as_secs_f64() * 1e6 / (BATCHES * BATCH as i64) as f64
}

/// A call of one key, as the load of the other rows makes it.
fn record(time_micros: i64) -> RequestRecord {
    let (key, group) = (Uuid::from_u128(7), Uuid::from_u128(8));
    RequestRecord {
        time_micros,
        rpc: RPC.to_owned(),
        transport: Transport::Grpc.into(),
        cost: 1,
        latency_micros: 4_000,
        bytes_in: 43,
        bytes_out: 300,
        address: vec![127, 0, 0, 1].into(),
        user_agent: "tonic/0.14.9".to_owned(),
        actor_kind: ActorKind::Key.into(),
        actor_id: bytes(key),
        key_id: bytes(key),
        home_group_id: bytes(group),
        organisation_id: bytes(group),
        group_id: bytes(group),
        call_id: Uuid::new_v4().to_string(),
        trace_id: bytes(Uuid::new_v4()),
        ..RequestRecord::default()
    }
}

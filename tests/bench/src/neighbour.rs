//! What one tenant notices of another that asks ten times as much as it may.
//!
//! The server has one core and this process the other, as in an overload.

use crate::{
    load::{self, Client},
    mesh::Mesh,
    pace::pace,
    process,
    tenants::{PAGE, Tenants},
};
use std::{sync::Arc, time::Duration};
use tokio::task::{JoinHandle, JoinSet};
use tonic::Code;

/// What the loud one may ask in a minute, all of it at once: a key of the highest tier.
const LIMIT: i64 = 6_000;
const LOUD: f64 = 10.0 * LIMIT as f64 / 60.0;
const QUIET: f64 = 200.0;
const CONNECTIONS: usize = 8;
const TIME: Duration = Duration::from_secs(10);
/// Alone and beside the other, in turn, of which the middle one counts.
const ROUNDS: usize = 3;

pub(crate) async fn print() {
    process::pin(std::process::id(), "1");
    let mesh = Mesh::start_on("0");
    let quiet = Side::new(&mesh, -1).await;
    let loud = Side::new(&mesh, LIMIT).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let alone = quiet.clone().calls(QUIET, TIME).await;
        let other: JoinHandle<_> = tokio::spawn(loud.clone().calls(LOUD, TIME));
        let beside = quiet.clone().calls(QUIET, TIME).await;
        rounds.push((alone, beside, other.await.expect("it only counts")));
    }
    process::pin(std::process::id(), "0,1");
    rounds.sort_by(|one, other| (one.1.late() / one.0.late()).total_cmp(&(other.1.late() / other.0.late())));
    let (alone, beside, other) = &rounds[ROUNDS / 2];
    println!("{:<44} {:>10} {:>8} {:>8}", "a neighbour at ten times its limit", "", "ratio", "limit");
    println!("{:<44} {:>10.0}", "its calls/s", other.waits.len() as f64 / TIME.as_secs_f64());
    println!("{:<44} {:>10.0}", "of these refused for its limit", other.limited as f64 / TIME.as_secs_f64());
    println!("{:<44} {:>10.2}", "99 of 100 of ours, alone, are answered in, ms", alone.late());
    println!("{:<44} {:>10.2} {:>8.2} {:>8}", "and beside it", beside.late(), beside.late() / alone.late(), 1.5);
    println!("{:<44} {:>10} {:>8} {:>8}", "calls of ours that failed", beside.failed + beside.limited, "", 0);
}

/// A tenant and its connections.
#[derive(Clone)]
struct Side {
    clients: Vec<Client>,
    tenant: Arc<Tenants>,
}

/// How its calls went.
#[derive(Default)]
struct Told {
    /// From when each was due.
    waits: Vec<Duration>,
    limited: usize,
    failed: usize,
}

impl Told {
    /// Milliseconds that 99 of 100 stayed below.
    fn late(&self) -> f64 {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        waits[waits.len() * 99 / 100].as_secs_f64() * 1e3
    }
}

impl Side {
    async fn new(mesh: &Mesh, per_minute: i64) -> Side {
        let clients = load::channels(&mesh.process.addr, CONNECTIONS).await.into_iter().map(Client::new).collect();
        Side { clients, tenant: Arc::new(Tenants::limited(mesh, 1, PAGE, per_minute).await) }
    }

    /// So many a second for so long, each when it is due.
    async fn calls(self, per_second: f64, time: Duration) -> Told {
        let (mut told, mut open) = (Told::default(), JoinSet::new());
        pace(per_second, time, |number, due| {
            let (mut client, tenant) = (self.clients[number % CONNECTIONS].clone(), self.tenant.clone());
            open.spawn(async move { (tenant.call(&mut client).await, due.elapsed()) });
        })
        .await;
        for (answer, wait) in open.join_all().await {
            told.waits.push(wait);
            match answer {
                Ok(()) => {}
                Err(status) if status.code() == Code::ResourceExhausted => told.limited += 1,
                Err(_) => told.failed += 1,
            }
        }
        told
    }
}

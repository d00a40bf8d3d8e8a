//! A day's load: 1,000 tenants of the real binary, all in one on SQLite, call when it suits them and not when the last answer has come.

use crate::{
    load::{self, Client},
    mesh::Mesh,
    pace::pace,
    tenants::{PAGE, Tenants},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// Unless another is asked for.
pub(crate) const TIME: Duration = Duration::from_secs(60);

const TENANTS: usize = 1_000;
/// 100,000 in a minute.
const PER_SECOND: f64 = 1_667.0;
const CONNECTIONS: usize = 8;
/// Memory is looked at after the tenth of 60 seconds: what is yet to come into caches has come.
const EARLY: u32 = 6;

/// How a call went.
struct Told {
    /// From when it was due, so that nobody's waiting is left out when the server stands still.
    took: Duration,
    failed: bool,
}

pub(crate) async fn print(time: Duration) {
    let mesh = Mesh::start();
    let server = &mesh.process;
    let tenants = Arc::new(Tenants::make(&mesh, TENANTS, PAGE).await);
    let clients: Vec<Client> = load::channels(&server.addr, CONNECTIONS).await.into_iter().map(Client::new).collect();
    let (cpu, begun) = (server.cpu(), Instant::now());
    let early = async {
        sleep(time / EARLY).await;
        server.resident()
    };
    let (told, early) = tokio::join!(calls(&clients, &tenants, time), early);
    let (cores, end) = ((server.cpu() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64(), server.resident());
    let failed = told.iter().filter(|told| told.failed).count();
    let mut waits: Vec<Duration> = told.iter().map(|told| told.took).collect();
    waits.sort_unstable();

    println!("{:<34} {:>10} {:>8} {:>8}", "1,000 tenants, 1,667 calls/s", "calls", "", "limit");
    println!("{:<34} {:>10} {:>8.1} {:>8}", "half are answered in, ms", told.len(), millis(&waits, 50), 5);
    println!("{:<34} {:>10} {:>8.1} {:>8}", "99 of 100 are answered in, ms", "", millis(&waits, 99), 50);
    println!("{:<34} {:>10} {cores:>8.2} {:>8}", "cores", "", 0.5);
    println!("{:<34} {:>10} {early:>8.1} {:>8}", format!("resident after {} s, MiB", (time / EARLY).as_secs()), "", "");
    println!("{:<34} {:>10} {end:>8.1} {:>8}", format!("resident after {} s, MiB", time.as_secs()), "", "");
    println!("{:<34} {:>10} {:>8.2} {:>8.2}", "the one / the other", "", end / early, 1.1);
    println!("{:<34} {:>10} {failed:>8} {:>8}", "calls that failed", "", 0);
}

fn millis(sorted: &[Duration], percent: usize) -> f64 {
    sorted[sorted.len() * percent / 100].as_secs_f64() * 1e3
}

async fn calls(clients: &[Client], tenants: &Arc<Tenants>, time: Duration) -> Vec<Told> {
    let mut open = JoinSet::new();
    pace(PER_SECOND, time, |number, due| drop(open.spawn(call(clients[number % clients.len()].clone(), tenants.clone(), due)))).await;
    open.join_all().await
}

async fn call(mut client: Client, tenants: Arc<Tenants>, due: Instant) -> Told {
    let answer = tenants.call(&mut client).await;
    Told { took: due.elapsed(), failed: answer.is_err() }
}

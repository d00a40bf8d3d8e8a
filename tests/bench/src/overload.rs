//! Three times more than it can do: what it still does, how it refuses the rest, and how it is after that.
//!
//! The server has one core and this process the other, so that the client's own work takes nothing from what is measured. Calls come whether
//! the last were answered or not, as those of many clients do; but a connection carries a hundred at once, as every server says, and a call
//! that finds none free is held back.

use crate::{
    load::{self, Client},
    mesh::Mesh,
    pace::pace,
    process::{self, Process},
    tenants::Tenants,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tonic::{Code, Status, transport::Endpoint};

const TENANTS: usize = 100;
/// Of each: the calls add half as many, and a peak over several times the rows would be another peak.
const THINGS: usize = 1_000;

const CONNECTIONS: usize = 64;
/// What our listener, like most, lets one connection carry at once.
const STREAMS: usize = 100;
/// As many callers as reach the peak, each with one call at a time.
const CALLERS: usize = 64;
const PEAK: Duration = Duration::from_secs(5);
const OVERLOAD: Duration = Duration::from_secs(8);
const TIMES: f64 = 3.0;
/// What is told of an overload begins after so long.
const SETTLED: Duration = Duration::from_secs(3);
/// All has to be as before so long after its end.
const AFTER: Duration = Duration::from_secs(10);
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Overloads, each between two peaks, of which the middle one counts: other work on the machine may lower either.
const ROUNDS: usize = 3;

/// How calls ended.
#[derive(Default)]
struct Ends {
    due: usize,
    held: usize,
    served: usize,
    refused: Vec<Duration>,
    late: usize,
    other: Vec<Status>,
}

impl Ends {
    /// Milliseconds, for so many of a hundred.
    fn refused_within(&self, percent: usize) -> f64 {
        let mut all = self.refused.clone();
        all.sort_unstable();
        all.get(all.len() * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1e3
    }

    fn note(&mut self, answer: Result<(), Status>, took: Duration) {
        match answer {
            Ok(()) => self.served += 1,
            Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) && says_when(&status) => self.refused.push(took),
            Err(status) if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled) => self.late += 1,
            Err(status) => self.other.push(status),
        }
    }
}

/// A refusal of ours says when to come again.
fn says_when(status: &Status) -> bool {
    status.metadata().contains_key("retry-after") || !status.details().is_empty()
}

/// One overload.
struct Round {
    before: f64,
    after: f64,
    ends: Ends,
    seconds: f64,
    late: usize,
    /// MiB before and at its end.
    memory: (f64, f64),
}

impl Round {
    async fn run(caller: &Arc<Caller>, server: &Process, before: f64) -> Round {
        let calm = server.resident();
        let probes = Probes::start(server);
        let (ends, seconds) = open(caller, before * TIMES).await;
        let (late, memory) = (probes.late().await, (calm, server.resident()));
        sleep(AFTER).await;
        Round { before, after: closed(caller, PEAK).await, ends, seconds, late, memory }
    }

    fn peak(&self) -> f64 {
        f64::midpoint(self.before, self.after)
    }

    fn goodput(&self) -> f64 {
        self.ends.served as f64 / self.seconds / self.peak()
    }

    /// `recovered` is of all rounds: one peak beside another is mostly what the machine did meanwhile.
    fn print(&self, recovered: f64) {
        let ends = &self.ends;
        let each_second = |what: &str, count: usize| println!("{what:<44} {:>10.0}", count as f64 / self.seconds);
        println!("{:<44} {:>10} {:>8} {:>8}", "overload; server and client on a core each", "calls/s", "ratio", "limit");
        println!("{:<44} {:>10.0}", "peak, before and after", self.peak());
        println!("{:<44} {:>10.0} {:>8.2}", "come", ends.due as f64 / self.seconds, ends.due as f64 / self.seconds / self.peak());
        println!("{:<44} {:>10.0} {:>8.2} {:>8}", "served", ends.served as f64 / self.seconds, self.goodput(), "≥ 0.9");
        each_second("held back, for no stream is free", ends.held);
        each_second("refused", ends.refused.len());
        println!("{:<44} {:>10.0} {:>8.0}", "refused within, ms: half, 99 of 100", ends.refused_within(50), ends.refused_within(99));
        each_second("given up by their clients after 3 s", ends.late);
        println!("{:<44} {:>10} {:>8} {:>8}", "otherwise ended", ends.other.len(), "", 0);
        println!("{:<44} {:>10} {:>8} {:>8}", "probes answered later than in a second", self.late, "", 0);
        println!("{:<44} {:>10.1} {:>8.2}", "resident, MiB, and beside that before", self.memory.1, self.memory.1 / self.memory.0);
        println!("{:<44} {:>10.0} {:>8.2} {:>8}", "ten seconds after", self.after, recovered, "≥ 0.9");
        for status in ends.other.iter().take(3) {
            println!("{status:?}");
        }
    }
}

pub(crate) async fn print() {
    process::pin(std::process::id(), "1");
    let mesh = Mesh::start_on("0");
    let caller = Arc::new(Caller::new(&mesh).await);
    closed(&caller, PEAK).await; // the first calls of a process cost more
    let mut rounds: Vec<Round> = Vec::new();
    for _ in 0..ROUNDS {
        let before = match rounds.last() {
            Some(last) => last.after,
            None => closed(&caller, PEAK).await,
        };
        rounds.push(Round::run(&caller, &mesh.process, before).await);
    }
    process::pin(std::process::id(), "0,1");
    rounds.sort_by(|one, other| one.goodput().total_cmp(&other.goodput()));
    let mut recovered: Vec<f64> = rounds.iter().map(|round| round.after / round.before).collect();
    recovered.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2].print(recovered[ROUNDS / 2]);
}

/// Makes the calls.
struct Caller {
    clients: Vec<Client>,
    streams: Vec<Arc<Semaphore>>,
    tenants: Tenants,
}

impl Caller {
    async fn new(mesh: &Mesh) -> Self {
        let clients = load::channels(&mesh.process.addr, CONNECTIONS).await.into_iter().map(Client::new).collect();
        let streams = (0..CONNECTIONS).map(|_| Arc::new(Semaphore::new(STREAMS))).collect();
        Self { clients, streams, tenants: Tenants::make(mesh, TENANTS, THINGS).await }
    }

    async fn call(&self, number: usize) -> Result<(), Status> {
        self.tenants.call(&mut self.clients[number % CONNECTIONS].clone()).await
    }
}

/// Calls a second, of callers who wait for each answer.
async fn closed(caller: &Arc<Caller>, time: Duration) -> f64 {
    let begun = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|first| {
            let caller = caller.clone();
            tokio::spawn(async move {
                let mut served = 0;
                while begun.elapsed() < time {
                    caller.call(first + CALLERS * served).await.expect("nobody is refused below the peak");
                    served += 1;
                }
                served
            })
        })
        .collect();
    let mut served = 0;
    for caller in callers {
        served += caller.await.expect("no call fails");
    }
    served as f64 / begun.elapsed().as_secs_f64()
}

/// So many calls a second; how those ended that ended once it had settled, and in how many seconds.
async fn open(caller: &Arc<Caller>, per_second: f64) -> (Ends, f64) {
    let ends = Arc::new(Mutex::new(Ends::default()));
    let come = |number: usize, _| {
        ends.lock().expect("nobody panics").due += 1;
        match caller.streams[number % CONNECTIONS].clone().try_acquire_owned() {
            Ok(stream) => drop(tokio::spawn(one(caller.clone(), number, ends.clone(), stream))),
            Err(_) => ends.lock().expect("nobody panics").held += 1,
        }
    };
    pace(per_second, SETTLED, come).await;
    *ends.lock().expect("nobody panics") = Ends::default();
    let settled = Instant::now();
    pace(per_second, OVERLOAD - SETTLED, come).await;
    let ended = std::mem::take(&mut *ends.lock().expect("nobody panics"));
    (ended, settled.elapsed().as_secs_f64())
}

/// One of them, on the stream it has.
async fn one(caller: Arc<Caller>, number: usize, ends: Arc<Mutex<Ends>>, _stream: OwnedSemaphorePermit) {
    let asked = Instant::now();
    let answer = timeout(PATIENCE, caller.call(number)).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("nobody answers")));
    ends.lock().expect("nobody panics").note(answer, asked.elapsed());
}

/// Asks ten times a second whether the process lives.
struct Probes {
    stop: Arc<AtomicBool>,
    late: Arc<AtomicUsize>,
    running: tokio::task::JoinHandle<()>,
}

impl Probes {
    fn start(mesh: &Process) -> Self {
        let (stop, late) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (gateway, admin) = (mesh.addr.clone(), mesh.admin.clone());
        let (stopped, count) = (stop.clone(), late.clone());
        let running = tokio::spawn(async move {
            let health = Endpoint::from_shared(format!("http://{gateway}")).expect("an address").connect().await.expect("it listens");
            let mut health = tonic_health::pb::health_client::HealthClient::new(health);
            while !stopped.load(Relaxed) {
                let check = timeout(Duration::from_secs(1), health.check(tonic_health::pb::HealthCheckRequest::default()));
                let ready = timeout(Duration::from_secs(1), ready(&admin));
                let (check, ready) = tokio::join!(check, ready);
                count.fetch_add(usize::from(!matches!(check, Ok(Ok(_)))) + usize::from(!matches!(ready, Ok(true))), Relaxed);
                sleep(Duration::from_millis(100)).await;
            }
        });
        Self { stop, late, running }
    }

    async fn late(self) -> usize {
        self.stop.store(true, Relaxed);
        let _ = self.running.await;
        self.late.load(Relaxed)
    }
}

async fn ready(admin: &str) -> bool {
    let Ok(mut tcp) = TcpStream::connect(admin).await else { return false };
    let mut answer = String::new();
    tcp.write_all(b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.is_ok()
        && tcp.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200 ")
}

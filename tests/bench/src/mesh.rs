//! The real binary, all in one on SQLite, as a stranger starts it.

use crate::{
    folder,
    load::{self, Call, Client, Figures},
    process::Process,
    syncs::Syncs,
    table::least,
};
use std::{path::PathBuf, process::Command};
use tempfile::TempDir;

const ROUNDS: usize = 5;
const GETS: usize = 60_000;
const CREATES: usize = 20_000;
const GUESSES: usize = 20_000;

/// One that runs. It ends before its files are taken away, when it is dropped.
pub(crate) struct Mesh {
    pub(crate) process: Process,
    data: TempDir,
}

impl Mesh {
    pub(crate) fn start() -> Mesh {
        Self::started(Command::new(binary()))
    }

    /// On these cores only, as taskset writes them.
    pub(crate) fn start_on(cores: &str) -> Mesh {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", cores]).arg(binary());
        Self::started(command)
    }

    fn started(mut command: Command) -> Mesh {
        let data = folder::on_disk();
        command.env("ONE_GATEWAY_TRUSTED_PROXIES", "127.0.0.0/8"); // so that guesses may come from everywhere
        command.env("ONE_DATA_DIR", data.path()).env("ONE_GATEWAY_ADDR", "127.0.0.1:0").env("ONE_ADMIN_ADDR", "127.0.0.1:0");
        command.env("ONE_LOG_FORMAT", "json");
        Mesh { process: Process::start(&mut command, "gateway"), data }
    }

    /// A key of the first start, by the name of its file.
    pub(crate) fn key(&self, file: &str) -> String {
        std::fs::read_to_string(self.data.path().join(file)).expect("the first start writes it").trim().to_owned()
    }
}

pub(crate) async fn print() {
    let mesh = Mesh::start();
    let idle = mesh.process.resident();
    let key = mesh.key(identity::bootstrap::OWNER_KEY);
    let clients = load::clients(&mesh.process.addr).await;
    let id = create(&clients[0], &key).await;

    println!("{:<34} {:>10} {:>8} {:>8}", "all in one, SQLite", "calls/s", "CPU µs", "limit");
    let get = rounds(&clients, &key, &Call::Get(id), GETS, &mesh.process).await;
    println!("{:<34} {:>10.0} {:>8.1} {:>8}", "GetThing", get.per_second, get.micros, 80);
    let made = rounds(&clients, &key, &Call::Create, CREATES, &mesh.process).await;
    println!("{:<34} {:>10.0} {:>8.1} {:>8}", "CreateThing, durable, logged", made.per_second, made.micros, 250);
    let guess = rounds(&clients, &key, &Call::Guess, GUESSES, &mesh.process).await;
    println!("{:<34} {:>10.0} {:>8.1} {:>8}", "a wrong guess", guess.per_second, guess.micros, 100);

    let syncs = Syncs::of(&mesh.process);
    let calls = CREATES / 4;
    load::run(&clients, &key, &Call::Create, calls, &[&mesh.process]).await;
    let each = syncs.count() as f64 / (calls + calls / 10) as f64;
    println!("{:<34} {:>10} {:>8.3} {:>8}", "syncs of the disk per CreateThing", "", each, 0.1);
    println!("{:<34} {:>10} {:>8.1} {:>8}", "resident when idle, MiB", "", idle, 60);
    let size = std::fs::metadata(binary()).expect("built by make bench").len() as f64 / 1e6;
    println!("{:<34} {:>10} {:>8.1} {:>8}", "release binary, MB", "", size, 40);
}

/// Built before by `make bench`.
fn binary() -> PathBuf {
    let mut path = std::env::current_exe().expect("a path");
    path.set_file_name("onemesh");
    path
}

async fn create(client: &Client, key: &str) -> String {
    let request = load::sent(load::creation(), &load::bearer(key));
    client.clone().create_thing(request).await.expect("a thing").into_inner().id
}

async fn rounds(clients: &[Client], key: &str, call: &Call, calls: usize, mesh: &Process) -> Figures {
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        all.push(load::run(clients, key, call, calls, &[mesh]).await);
    }
    least(all)
}

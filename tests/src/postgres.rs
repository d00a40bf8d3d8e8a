//! Postgres: one server for the whole run, a database for each mesh.

use crate::{eventually, orders::Orders, tools};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Of every role, where anybody is trusted: only to be looked for where no password may stand.
pub const PASSWORD: &str = "c4nary-of-the-database";

/// Where a mesh keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Files of its own.
    Sqlite,
    /// A database.
    Postgres,
}

/// The server: the one of `tests/postgres` that runs us, or one of our own, which ends with us because it waits on our pipe.
struct Server {
    url: String,
    _own: Option<Child>,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| match env::var("ONE_TEST_POSTGRES_URL") {
    Ok(url) => Server { url, _own: None },
    Err(_) => own_server(),
});

fn own_server() -> Server {
    let mut command = Command::new(tools::repository().join("tests/postgres"));
    command.args(["bash", "-c", "echo $ONE_TEST_POSTGRES_URL; cat >/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("tests/postgres is there");
    let mut url = String::new();
    let out = child.stdout.take().expect("it is piped");
    BufReader::new(out).read_line(&mut url).expect("tests/postgres says where it listens");
    assert!(url.starts_with("postgres://"), "tests/postgres did not start: run tests/install");
    Server { url: url.trim().to_owned(), _own: Some(child) }
}

/// A server of a test's own, to be stopped and started. It ends when this is dropped, or this process ends.
#[derive(Debug)]
pub struct Postgres(Orders);

impl Postgres {
    /// Starts one with nothing in it.
    ///
    /// # Panics
    /// If it is not installed: `make test` does it.
    pub fn start() -> Postgres {
        Postgres(Orders::to("tests/postgres", &["--orders"], "postgres://"))
    }

    /// One with its tables on a disk that [`fill`](Postgres::fill) fills.
    ///
    /// # Panics
    /// If it is not installed, or we may not mount a disk: root may, and where the system lets others have namespaces, everybody.
    pub fn start_on_a_small_disk() -> Postgres {
        Postgres(Orders::to("tests/postgres", &["--orders", "--small"], "postgres://"))
    }

    /// No table grows any more.
    pub fn fill(&self) {
        self.0.order("fill");
    }

    /// There is room again.
    pub fn free(&self) {
        self.0.order("free");
    }

    /// As its superuser.
    pub fn url(&self) -> &str {
        self.0.said()
    }

    /// Ends it as an operator does: `fast` cuts off its clients, `immediate` is a crash.
    pub fn stop(&self, how: &str) {
        self.0.order(how);
    }

    /// Starts it again, with all that it kept.
    pub fn start_again(&self) {
        self.0.order("start");
    }

    /// Sends all its processes a signal by name: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        self.0.order(name);
    }
}

/// An empty database with two roles, as an operator sets it up: one owns the tables, one serves.
#[derive(Clone, Debug)]
pub struct Database {
    /// For what owns the tables.
    pub owner_url: String,
    /// For what serves: it owns nothing, and may not make a schema.
    pub serving_url: String,
    server: String,
    name: String,
}

impl Database {
    /// A new one on the server of the whole run.
    pub fn create() -> Database {
        Database::on(&SERVER.url)
    }

    /// A new one on that server.
    pub fn on(server: &str) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("mesh_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        sql(server, &format!("create role {name} login"));
        sql(server, &format!("create role {name}_serving login"));
        sql(server, &format!("create database {name} owner {name}"));
        let (_, address) = server.split_once('@').expect("postgres://user@address/name");
        let address = address.split('/').next().unwrap_or_default();
        // The passwords open nothing here, and must stand in no log.
        let url = |role: &str| format!("postgres://{role}:{PASSWORD}@{address}/{name}");
        Database { owner_url: url(&name), serving_url: url(&format!("{name}_serving")), server: server.to_owned(), name }
    }

    /// As it was made: nothing in it.
    pub fn empty(&self) {
        for schema in ["identity", "ontology", "events"] {
            self.ask(&format!("drop schema if exists {schema} cascade"));
        }
    }

    /// The role that serves.
    pub fn serving_role(&self) -> String {
        format!("{}_serving", self.name)
    }

    /// What a statement prints, row by row, fields with `|` between.
    pub fn ask(&self, statement: &str) -> String {
        sql(&self.url(), statement)
    }

    /// Whoever writes to that table waits until this is dropped.
    pub fn lock(&self, table: &str) -> Lock {
        let mut psql = Command::new("psql")
            .args([&self.url(), "-v", "ON_ERROR_STOP=1", "-qAt"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql");
        let orders = psql.stdin.as_mut().expect("piped");
        writeln!(orders, "begin; lock table {table} in exclusive mode; select 'locked';").expect("it takes orders");
        let mut said = String::new();
        BufReader::new(psql.stdout.take().expect("piped")).read_line(&mut said).expect("it answers");
        assert_eq!(said.trim(), "locked");
        Lock(psql)
    }

    /// Until somebody waits for a table that is locked.
    pub async fn somebody_waits(&self) {
        let waiting =
            "select count(*) > 0 from pg_locks join pg_database on pg_database.oid = database where datname = current_database() and not granted";
        eventually("somebody to wait for a table", || async { (self.ask(waiting) == "t").then_some(()) }).await;
    }

    fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("postgres://user@address/name");
        format!("{server}/{}", self.name)
    }
}

/// A table that is locked.
#[derive(Debug)]
pub struct Lock(Child);

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take()); // it ends with its orders, and its transaction with it
        let _ = self.0.wait();
    }
}

fn sql(url: &str, statement: &str) -> String {
    let out = Command::new("psql").args([url, "-v", "ON_ERROR_STOP=1", "-qAtc", statement]).output().expect("psql comes with Postgres");
    assert!(out.status.success(), "{statement}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

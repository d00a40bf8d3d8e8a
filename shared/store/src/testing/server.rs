//! The Postgres server of a test process.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

/// A running server.
pub struct Server {
    url: String,
    /// Ends the server when the test process is gone, however it went: its standard input closes.
    _keeper: Option<Child>,
}

/// The role that serves in tests. It owns nothing.
const ROLE: &str = "one_serving";

/// Starts the server and waits at its standard input for the end of the test process.
const KEEPER: &str = r#"
trap '' INT TERM
run() { if [ "$(id -u)" = 0 ]; then su postgres -s /bin/sh -c "$1"; else sh -c "$1"; fi; }
[ "$(id -u)" = 0 ] && chown postgres "$DIR"
run "'$BIN/initdb' -D '$DIR/data' -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync" >"$DIR/log" 2>&1 &&
run "'$BIN/pg_ctl' -D '$DIR/data' -w -t 60 -l '$DIR/data/log' -o \"-k '$DIR' -c listen_addresses= -c fsync=off -c autovacuum=off -c max_connections=400\" start" >>"$DIR/log" 2>&1 &&
echo ready
cat >/dev/null
run "'$BIN/pg_ctl' -D '$DIR/data' -m immediate stop" >/dev/null 2>&1
rm -rf "$DIR"
"#;

/// The server of this process.
///
/// # Panics
/// When there is none and none can be started: `make test` installs it.
pub fn postgres() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("ONE_TEST_POSTGRES_URL") {
        Ok(url) if !url.is_empty() => Server { url, _keeper: None },
        _ => Server::start(),
    })
}

impl Server {
    fn start() -> Self {
        let binaries = binaries().expect("Postgres is installed (make test does it), or ONE_TEST_POSTGRES_URL is set");
        let folder = tempfile::Builder::new().prefix("onemesh-pg").tempdir().expect("a temporary folder").keep();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER])
            .envs([("BIN", &binaries), ("DIR", &folder)])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let mut line = String::new();
        let said = keeper.stdout.take().map(BufReader::new).map(|mut out| out.read_line(&mut line));
        assert!(matches!(said, Some(Ok(_))) && line == "ready\n", "Postgres did not start: {}", folder.join("log").display());
        Self { url: format!("postgres://postgres@localhost/postgres?host={}", folder.display()), _keeper: Some(keeper) }
    }

    /// A superuser's.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// That of a role which owns nothing.
    #[must_use]
    pub fn serving_url(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").expect("a URL");
        let place = rest.split_once('@').map_or(rest, |(_, place)| place);
        format!("{scheme}://{ROLE}:{ROLE}@{place}")
    }

    /// Runs a statement as superuser.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn run(&self, text: &str) {
        let options: PgConnectOptions = self.url.parse().expect("a URL of Postgres");
        let mut connection = options.connect().await.expect("the server answers");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        connection.close().await.ok();
    }

    /// Makes the role that serves, unless another test process has.
    pub(crate) async fn make_role(&self) {
        self.run(&format!(
            "do $$ begin create role {ROLE} login password '{ROLE}';
             exception when duplicate_object or unique_violation then null; end $$"
        ))
        .await;
    }
}

/// Where `initdb` and `pg_ctl` are: the newest of the system's packages, or beside the `postgres` in `PATH`.
fn binaries() -> Option<PathBuf> {
    let packages = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> =
        packages.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))).collect();
    versions.sort_unstable();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside = std::env::split_paths(&path).find_map(|folder| std::fs::canonicalize(folder.join("postgres")).ok()?.parent().map(Path::to_owned));
    versions.into_iter().rev().map(|(_, folder)| folder).chain(beside).find(|folder| folder.join("initdb").exists())
}

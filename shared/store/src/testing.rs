//! Databases for tests: each case runs on SQLite and on Postgres, in one run.
//!
//! ```no_run
//! # const MIGRATIONS: &[store::Migration] = &[store::BASE];
//! # #[tokio::test]
//! async fn a_row_is_there_after_its_commit() {
//!     store::testing::both(MIGRATIONS, async |case| {
//!         let tx = case.db.system("test").begin().await.unwrap();
//!         tx.commit().await.unwrap();
//!         case.explain_all().await;
//!     })
//!     .await;
//! }
//! ```
//!
//! Postgres is the server at `ONE_TEST_POSTGRES_URL` (a superuser's), or one of our own, started once per test process and gone with it.
//! The cases run as a role that owns nothing, so the second wall stands in tests too.

mod explain;
mod server;

pub use server::{Server, postgres};

use crate::{Db, DbOptions, Dialect, Migration, Texts};
use chassis::{clock::Clock, secret::Secrets};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// A store of its own for one case.
pub struct Case {
    /// The store.
    pub db: Db,
    /// How it was opened: for a second replica, or the next start.
    pub options: DbOptions,
    /// Its clock, to be moved.
    pub clock: Clock,
    /// Which engine this is.
    pub dialect: Dialect,
    texts: Texts,
    place: Place,
}

/// What goes with the case.
enum Place {
    Folder(TempDir),
    Schema(&'static Server),
}

/// Runs the case on each engine.
pub async fn both(migrations: &'static [Migration], case: impl AsyncFn(&Case)) {
    for open in [Case::sqlite(migrations).await, Case::postgres(migrations).await] {
        case(&open).await;
        open.end().await;
    }
}

/// The secrets of all cases.
#[must_use]
pub fn secrets() -> Secrets {
    Secrets::of(&[[7; 32]]).expect("32 bytes are enough")
}

impl Case {
    /// On SQLite, in a folder of its own.
    pub async fn sqlite(migrations: &'static [Migration]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().display());
        Self::open(DbOptions::new(url, "case", migrations, secrets()), Dialect::Sqlite, Place::Folder(folder)).await
    }

    /// On Postgres, in a schema of its own, served by a role that owns no table.
    pub async fn postgres(migrations: &'static [Migration]) -> Self {
        let server = postgres();
        server.make_role().await;
        let mut options = DbOptions::new(server.serving_url(), unique(), migrations, secrets());
        options.owner_url = Some(server.url().to_owned());
        Self::open(options, Dialect::Postgres, Place::Schema(server)).await
    }

    async fn open(mut options: DbOptions, dialect: Dialect, place: Place) -> Self {
        let (texts, clock) = (Texts::default(), options.clock.clone());
        options.texts = Some(texts.clone());
        let db = Db::open(options.clone()).await.expect("a new store opens");
        Self { db, options, clock, dialect, texts, place }
    }

    /// The same data, opened once more, as a second replica or the next start would.
    pub async fn again(&self) -> Db {
        Db::open(self.options.clone()).await.expect("the store opens again")
    }

    /// Fails on each statement the case ran so far that reads a whole table, by name.
    pub async fn explain_all(&self) {
        let scans = explain::scans(&self.texts.all(), &self.options).await;
        assert!(scans.is_empty(), "statements without an index:\n{}", scans.join("\n"));
    }

    /// Closes the store and removes what it held.
    pub async fn end(self) {
        self.db.close().await;
        match self.place {
            Place::Folder(folder) => folder.close().expect("the folder can be removed"),
            Place::Schema(server) => server.run(&format!("drop schema if exists {} cascade", self.options.schema)).await,
        }
    }
}

fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("case_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

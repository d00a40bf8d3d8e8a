//! One service's schema.

use crate::{
    Limits, Migration, Result, System, Tenant, Texts,
    engine::{Engine, Error, Kept, Limits as EngineLimits, Scope, postgres, sqlite::Sqlite},
    migrate, purge,
};
use chassis::{
    clock::Clock,
    secret::{Sealer, Secrets},
};
use contract::id::GroupId;
use futures::{FutureExt, future::BoxFuture};
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// So long may a store take to answer the least of questions: longer than a full house takes to say so.
const ANSWER: Duration = Duration::from_secs(10);

/// A service's schema on SQLite or Postgres. Clones are the same store.
#[derive(Clone)]
pub struct Db(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    engine: Kept,
    pub(crate) clock: Clock,
    pub(crate) sealers: Sealers,
    pub(crate) texts: Option<Texts>,
    /// Notified after each COMMIT that left rows in the outbox.
    pub(crate) news: Arc<Notify>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// One for each purpose: what one of them sealed, no other opens.
pub(crate) struct Sealers {
    pub(crate) answers: Sealer,
    pub(crate) pages: Sealer,
    pub(crate) cursors: Sealer,
}

/// How to open a [`Db`].
#[derive(Clone)]
pub struct DbOptions {
    /// `sqlite:DIRECTORY` (the file is `DIRECTORY/SCHEMA.db`) or `postgres://…`. May hold a password: never printed.
    pub url: String,
    /// The service's own: file name or Postgres schema; lower case letters, digits, `_`.
    pub schema: String,
    /// All of them, in order, beginning with [`BASE`](crate::BASE).
    pub migrations: &'static [Migration],
    /// Apply what is missing, or only check that the schema fits.
    pub migrate: migrate::Mode,
    /// Postgres: the role that owns the tables, if it is not the one that serves.
    pub owner_url: Option<String>,
    /// Where time comes from.
    pub clock: Clock,
    /// What seals answers, page tokens and cursors. Must be the secrets the data was made with.
    pub secrets: Secrets,
    /// How much may wait, and how long.
    pub limits: Limits,
    /// Collects each different statement, for a test that EXPLAINs them.
    pub texts: Option<Texts>,
}

impl DbOptions {
    /// Applies migrations at start; system clock, default limits.
    #[must_use]
    pub fn new(url: impl Into<String>, schema: impl Into<String>, migrations: &'static [Migration], secrets: Secrets) -> Self {
        Self {
            url: url.into(),
            schema: schema.into(),
            migrations,
            migrate: migrate::Mode::Apply,
            owner_url: None,
            clock: Clock::system(),
            secrets,
            limits: Limits::default(),
            texts: None,
        }
    }

    pub(crate) async fn engine(&self, url: &str, limits: EngineLimits) -> Result<Engine, OpenError> {
        if self.schema.is_empty() || !self.schema.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            return Err(OpenError::Schema(self.schema.clone()));
        }
        if let Some(directory) = url.strip_prefix("sqlite:") {
            let directory = PathBuf::from(directory.trim_start_matches("//"));
            tokio::fs::create_dir_all(&directory).await.map_err(|cause| Error::from(sqlx::Error::Io(cause)))?;
            let file = directory.join(&self.schema).with_extension("db");
            return Ok(Engine::Sqlite(Box::new(Sqlite::open(&file, limits).await?)));
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(OpenError::Url);
        }
        let options = postgres::options(url, &self.schema, limits).map_err(|_| OpenError::Url)?;
        Ok(Engine::Postgres(postgres::Pool::open(options, limits).await?))
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting. The URL is not repeated: it may hold a password.
    #[error("the store's URL is neither sqlite:DIRECTORY nor postgres://USER@HOST/DATABASE")]
    Url,
    /// A name we chose.
    #[error("{0:?} is no name of a schema: lower case letters, digits and _")]
    Schema(String),
    /// The schema does not fit this binary.
    #[error(transparent)]
    Migrate(#[from] migrate::Error),
    /// The engine is not there.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] Error),
}

impl Db {
    /// Opens the store; applies or checks its migrations before.
    ///
    /// # Errors
    /// A bad setting, a schema or a secret that does not fit, or an engine that is not there.
    pub fn open(options: DbOptions) -> BoxFuture<'static, Result<Self, OpenError>> {
        Self::ready(options).boxed()
    }

    async fn ready(options: DbOptions) -> Result<Self, OpenError> {
        migrate::run(&options).await?;
        let engine = options.engine(&options.url, options.limits).await?;
        let sealers = Sealers {
            answers: options.secrets.sealer("one.store.answer"),
            pages: options.secrets.sealer("one.store.page"),
            cursors: options.secrets.sealer("one.store.cursor"),
        };
        let DbOptions { clock, texts, .. } = options;
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        let db = Self(Arc::new(Shared { engine: Box::new(engine), clock, sealers, texts, news: Arc::default(), closing, tasks }));
        db.0.tasks.spawn(purge::run(Arc::downgrade(&db.0), db.0.closing.clone()));
        Ok(db)
    }

    /// The rows of one tenant.
    pub fn group(&self, group: GroupId) -> Tenant<'_> {
        Tenant::new(self, Scope::Groups([group].into()))
    }

    /// The rows of these tenants.
    pub fn groups(&self, groups: &[GroupId]) -> Tenant<'_> {
        Tenant::new(self, Scope::Groups(groups.into()))
    }

    /// All rows: for relay, migration, retention, and looking up whose a credential is. `why` is for the reader.
    pub fn system(&self, why: &'static str) -> System<'_> {
        System::new(self, why)
    }

    pub(crate) fn engine(&self) -> &Engine {
        (*self.0.engine).as_ref()
    }

    /// The clock it was opened with.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Notified after each COMMIT that left rows in the outbox.
    #[must_use]
    pub fn news(&self) -> &Arc<Notify> {
        &self.0.news
    }

    /// Whether the store answers; one that has more to do than it can is there. Takes 10 s at most.
    ///
    /// # Errors
    /// It does not, and why.
    pub async fn answers(&self) -> Result<()> {
        let asked = self.system("whether it answers").sql("select id from schema_secret").opt::<(i64,)>();
        match timeout(ANSWER, asked).await {
            Ok(Ok(_) | Err(Error::Busy)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(sqlx::Error::from(io::Error::from(io::ErrorKind::TimedOut)).into()),
        }
    }

    /// Serves who is already waiting, then closes files and connections. Dropping alone closes them at some later moment.
    pub async fn close(&self) {
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.engine().close().await;
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

//! Migrations: numbered, checksummed, forward only, under one lock, so that several replicas may start at once.
//!
//! Expand, then contract: an older binary starts on a newer schema unless that schema's `min_reader` says no, so a release can be rolled
//! back. The fingerprint of the root secret stands in each schema too: with another secret nothing that was sealed would open.

mod base;
mod wall;

pub use base::BASE;

use crate::{
    At, DbOptions, Dialect, Limits, OpenError, Result as StoreResult, Sql,
    engine::{Engine, Error as StoreError, On, Scope, Transaction},
};
use std::time::Duration;

/// One step of a schema. Released steps never change.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// 1, 2, 3, … without gaps.
    pub version: i64,
    /// What it brings.
    pub name: &'static str,
    /// Statements, one text each, the same for both engines. `{number}` stands for a column that is numbered by the engine and never
    /// numbers twice: `INTEGER PRIMARY KEY AUTOINCREMENT`, `BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY`.
    pub sql: &'static [&'static str],
    /// The oldest binary, by the last version it knows, that still works once this is applied. 0: all.
    pub min_reader: i64,
}

/// What a start does about migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Apply what is missing.
    Apply,
    /// Refuse to start while something is missing: another process applies.
    Check,
}

/// Why a schema does not fit this binary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A released migration was edited.
    #[error("migration {version} of schema {schema} is not the one that was applied: a released migration must not change")]
    Changed {
        /// The schema.
        schema: String,
        /// Of the migration.
        version: i64,
    },
    /// The numbers have a gap, or one is missing below those that were applied.
    #[error("the migrations of schema {schema} are out of order at {version}")]
    Disorder {
        /// The schema.
        schema: String,
        /// Of the migration.
        version: i64,
    },
    /// The schema was made by a newer release that this one can no longer read.
    #[error("schema {schema} needs a release that knows its migration {needs}; this one knows {knows}")]
    TooNew {
        /// The schema.
        schema: String,
        /// The least it needs.
        needs: i64,
        /// What this binary knows.
        knows: i64,
    },
    /// Checked only, and something is missing.
    #[error("schema {schema} is at migration {at}, this release needs {needs}: run `onemesh migrate`")]
    Behind {
        /// The schema.
        schema: String,
        /// Its last one.
        at: i64,
        /// The last one of this binary.
        needs: i64,
    },
    /// The data was made with another root secret. Ends the process with exit code 64.
    #[error("the data of schema {schema} was made with another root secret; set ONE_SECRET_FILE to a file that has that one in its list")]
    Secret {
        /// The schema.
        schema: String,
    },
    /// The engine said no.
    #[error("schema {schema} cannot be migrated: {cause}")]
    Store {
        /// The schema.
        schema: String,
        /// What it said.
        cause: StoreError,
    },
}

/// A row of `schema_migration`: version, checksum, min_reader.
type Applied = (i64, String, i64);

/// Another replica may be at it: its lock is waited for, and long statements may take their time.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn run(options: &DbOptions) -> Result<(), OpenError> {
    let limits = Limits { loan: PATIENCE, connections: 1, readers: 1, ..Limits::default() };
    let engine = options.engine(options.owner_url.as_deref().unwrap_or(&options.url), limits).await?;
    let done = Steps { options, engine: &engine }.run().await;
    engine.close().await;
    Ok(done?)
}

struct Steps<'a> {
    options: &'a DbOptions,
    engine: &'a Engine,
}

impl Steps<'_> {
    async fn run(&self) -> Result<(), Error> {
        let failed = |cause| Error::Store { schema: self.schema(), cause };
        let mut transaction = self.engine.begin(&Scope::System("migration")).await.map_err(failed)?;
        self.in_order()?;
        lock(&mut transaction, &self.options.schema).await.map_err(failed)?;
        let made = match self.options.migrate {
            Mode::Apply => self.make(&mut transaction).await.map(|()| true),
            Mode::Check => is_made(&mut transaction, &self.options.schema).await,
        };
        if !made.map_err(failed)? {
            return Err(self.behind(0));
        }
        let applied = applied(&mut transaction).await.map_err(failed)?;
        let missing = self.missing(&applied)?;
        match (self.options.migrate, missing) {
            (_, []) => {}
            (Mode::Check, _) => return Err(self.behind(applied.last().map_or(0, |(version, ..)| *version))),
            (Mode::Apply, missing) => self.apply(&mut transaction, missing).await.map_err(failed)?,
        }
        self.secret(&mut transaction).await?;
        if self.options.migrate == Mode::Apply {
            wall::build(&mut transaction, self.options).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    fn schema(&self) -> String {
        self.options.schema.clone()
    }

    fn behind(&self, at: i64) -> Error {
        Error::Behind { schema: self.schema(), at, needs: self.knows() }
    }

    /// The last one this binary has.
    fn knows(&self) -> i64 {
        self.options.migrations.last().map_or(0, |last| last.version)
    }

    /// 1, 2, 3, …
    fn in_order(&self) -> Result<(), Error> {
        let numbers = self.options.migrations.iter().map(|migration| migration.version);
        match numbers.zip(1..).find(|(version, place)| version != place) {
            Some((version, _)) => Err(Error::Disorder { schema: self.schema(), version }),
            None => Ok(()),
        }
    }

    /// What is still to be applied, after what was applied has been compared.
    fn missing(&self, applied: &[Applied]) -> Result<&'static [Migration], Error> {
        let ours = self.options.migrations;
        for (place, (version, sum, min_reader)) in applied.iter().enumerate() {
            match ours.get(place) {
                Some(own) if own.version != *version => return Err(Error::Disorder { schema: self.schema(), version: *version }),
                Some(own) if checksum(own) != *sum => return Err(Error::Changed { schema: self.schema(), version: *version }),
                Some(_) => {}
                None if *min_reader > self.knows() => {
                    return Err(Error::TooNew { schema: self.schema(), needs: *min_reader, knows: self.knows() });
                }
                None => {}
            }
        }
        Ok(ours.get(applied.len()..).unwrap_or_default())
    }

    /// The tables of the migrations themselves.
    async fn make(&self, transaction: &mut Transaction) -> StoreResult<()> {
        if transaction.dialect() == Dialect::Postgres {
            let there = schema_is_there(transaction, &self.options.schema).await?;
            if !there {
                raw(transaction, format!("create schema {}", self.options.schema)).run().await?;
            }
        }
        sql(
            transaction,
            "create table if not exists schema_migration
             (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, min_reader BIGINT NOT NULL, time TIMESTAMPTZ NOT NULL)",
        )
        .run()
        .await?;
        sql(transaction, "create table if not exists schema_secret (id BIGINT PRIMARY KEY, fingerprint TEXT NOT NULL)").run().await.map(drop)
    }

    async fn apply(&self, transaction: &mut Transaction, missing: &[Migration]) -> StoreResult<()> {
        let number = match transaction.dialect() {
            Dialect::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
            Dialect::Postgres => "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        };
        for migration in missing {
            for text in migration.sql {
                raw(transaction, text.replace("{number}", number)).run().await?;
            }
            sql(transaction, "insert into schema_migration (version, name, checksum, min_reader, time) values ($1, $2, $3, $4, $5)")
                .bind(migration.version)
                .bind(migration.name)
                .bind(checksum(migration))
                .bind(migration.min_reader)
                .bind(At(self.options.clock.micros()))
                .run()
                .await?;
            tracing::info!(schema = self.options.schema, version = migration.version, name = migration.name, "migrated");
        }
        Ok(())
    }

    /// The data's secret must be one of ours; after a rotation the newest takes its place.
    async fn secret(&self, transaction: &mut Transaction) -> Result<(), Error> {
        let failed = |cause| Error::Store { schema: self.schema(), cause };
        let secrets = &self.options.secrets;
        let stored: Option<(String,)> =
            sql(transaction, "select fingerprint from schema_secret where id = $1").bind(1).opt().await.map_err(failed)?;
        match stored {
            Some((stored,)) if !secrets.knows(&stored) => return Err(Error::Secret { schema: self.schema() }),
            Some((stored,)) if stored == secrets.fingerprint() => return Ok(()),
            _ if self.options.migrate == Mode::Check => return Ok(()),
            _ => {}
        }
        sql(
            transaction,
            "insert into schema_secret (id, fingerprint) values ($1, $2)
             on conflict (id) do update set fingerprint = excluded.fingerprint",
        )
        .bind(1)
        .bind(secrets.fingerprint())
        .run()
        .await
        .map(drop)
        .map_err(failed)
    }
}

fn sql<'t>(transaction: &'t mut Transaction, text: &'static str) -> Sql<'t> {
    Sql::new(On::Transaction(transaction), text, None)
}

/// DDL is put together from our own literals and the schema's checked name.
fn raw(transaction: &mut Transaction, text: String) -> Sql<'_> {
    Sql::new(On::Transaction(transaction), text, None)
}

/// SQLite's transaction is the lock itself.
async fn lock(transaction: &mut Transaction, schema: &str) -> StoreResult<()> {
    if transaction.dialect() == Dialect::Postgres {
        sql(transaction, "select set_config('lock_timeout', '0', true)").run().await?;
        let key = blake3::hash(format!("onemesh migrates {schema}").as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&key.as_bytes()[..8]);
        sql(transaction, "select pg_advisory_xact_lock($1)").bind(i64::from_le_bytes(bytes)).run().await?;
    }
    Ok(())
}

async fn schema_is_there(transaction: &mut Transaction, schema: &str) -> StoreResult<bool> {
    let row: (bool,) = sql(transaction, "select exists (select 1 from pg_namespace where nspname = $1)").bind(schema).one().await?;
    Ok(row.0)
}

async fn is_made(transaction: &mut Transaction, schema: &str) -> StoreResult<bool> {
    let row: (bool,) = match transaction.dialect() {
        Dialect::Sqlite => sql(transaction, "select exists (select 1 from sqlite_schema where name = 'schema_migration')").one().await?,
        Dialect::Postgres => {
            let text = "select exists (select 1 from pg_tables where schemaname = $1 and tablename = 'schema_migration')";
            sql(transaction, text).bind(schema).one().await?
        }
    };
    Ok(row.0)
}

async fn applied(transaction: &mut Transaction) -> StoreResult<Vec<Applied>> {
    sql(transaction, "select version, checksum, min_reader from schema_migration order by version").all().await
}

fn checksum(migration: &Migration) -> String {
    let mut sum = blake3::Hasher::new();
    for text in migration.sql {
        sum.update(text.as_bytes()).update(&[0]);
    }
    sum.update(&migration.min_reader.to_le_bytes());
    sum.finalize().to_hex()[..32].to_owned()
}

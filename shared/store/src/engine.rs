//! One SQL text, two engines: what a statement, a row, a value and a transaction are on both.
//!
//! The engines differ in three places only: [`sqlite`], [`postgres`], and the match in [`on`] that runs a statement.

mod at;
mod bind;
mod error;
mod limits;
mod on;
pub(crate) mod postgres;
mod record;
mod rows;
mod scope;
mod sql;
pub(crate) mod sqlite;
mod texts;
mod transaction;
mod weight;

pub use at::At;
pub use bind::{Bind, Binds, Json, Value};
pub use error::{Error, Result};
pub use limits::Limits;
pub use record::{Column, Field, Record, Row};
pub use rows::powers;
pub use sql::Sql;
pub use texts::{Text, Texts};
pub use weight::Weight;

pub(crate) use on::On;
pub(crate) use scope::{Scope, words};
pub(crate) use transaction::{Open, Transaction};

use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, ready},
};

/// Which engine a statement will run on, where its text has to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// One file per service.
    Sqlite,
    /// One schema per service.
    Postgres,
}

impl AsRef<Engine> for Engine {
    fn as_ref(&self) -> &Engine {
        self
    }
}

/// An open engine whose destructor is compiled here, as [`Transaction`]'s is.
pub(crate) type Kept = Box<dyn AsRef<Engine> + Send + Sync>;

impl Dialect {
    /// As OpenTelemetry names it.
    pub(crate) const fn system(self) -> &'static str {
        match self {
            Dialect::Sqlite => "sqlite",
            Dialect::Postgres => "postgresql",
        }
    }
}

/// An open engine.
pub(crate) enum Engine {
    Sqlite(Box<sqlite::Sqlite>),
    Postgres(postgres::Pool),
}

impl Engine {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// On SQLite it waits for its turn when it first reads, or not at all.
    pub(crate) fn begin(&self, scope: &Scope) -> BoxFuture<'static, Result<Transaction>> {
        match self {
            Self::Sqlite(sqlite) => ready(Ok(Transaction::new(Open::Sqlite(sqlite.turn())))).boxed(),
            Self::Postgres(pool) => postgres::begin(pool, "BEGIN", scope).map_ok(|open| Transaction::new(Open::Postgres(open))).boxed(),
        }
    }

    pub(crate) fn close(&self) -> BoxFuture<'_, ()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().boxed(),
            Self::Postgres(pool) => pool.close().boxed(),
        }
    }
}

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

use sqlx::PgPool;

/// Which engine a statement will run on, where its text has to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// One file per service.
    Sqlite,
    /// One schema per service.
    Postgres,
}

/// An open engine.
pub(crate) enum Engine {
    Sqlite(Box<sqlite::Sqlite>),
    Postgres(PgPool),
}

impl Engine {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// On SQLite it waits for its turn when it first reads, or not at all.
    pub(crate) async fn begin(&self, scope: &Scope) -> Result<Open> {
        match self {
            Self::Sqlite(sqlite) => Ok(Open::Sqlite(sqlite.turn())),
            Self::Postgres(pool) => postgres::begin(pool, "BEGIN", scope).await.map(Open::Postgres),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

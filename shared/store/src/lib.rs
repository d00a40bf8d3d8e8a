//! The store: rows of tenants, transactions that keep a change together with its event and its answer, and what runs behind them.
//!
//! Four nouns carry it:
//!
//! * [`Db`] is one service's schema on SQLite or Postgres. [`Db::group`] and [`Db::groups`] are the only ways to tenants' rows,
//!   [`Db::system`] is for the rest and says why.
//! * [`Sql`] is a statement: one text for both engines, made of literals, every value bound.
//! * [`Tx`] is a change. It holds the state, the quota counters, the outbox rows and the idempotency record (`remember`), and commits
//!   them together. [`Db::mutate`] is the handler's whole prologue and epilogue.
//! * [`list`] turns a request for a list into one bounded statement: filter, order, page token.
//!
//! Behind them run [`Relay`] (outbox → event log), [`Consumer`] (event log → effects) and the purge of remembered answers. Everything is
//! at least once with an idempotent receiver; no place exists where state is written and its event can be lost.
//!
//! Rules for handlers, the same on both engines:
//!
//! * After an error, or a statement cut off by a time-out, a [`Tx`] can only be dropped. Expected conflicts are `ON CONFLICT`, not errors.
//! * What was read in a [`Tx`] is true only after its COMMIT: on SQLite a neighbour's row is visible before. So an answer leaves after the
//!   COMMIT it read under, refusals and replays included. [`Db::mutate`] sees to it.
//! * No OR ROLLBACK and no deferred constraint: the first ends the neighbours' transaction, the second fails only at their COMMIT.
//! * No network call, no hash and no file while a [`Tx`] is open: everybody waits behind it, until [`Limits::loan`] takes it back.

mod carried;
pub mod consumer;
mod creator;
pub mod cursor;
mod db;
mod engine;
pub mod etag;
#[doc(hidden)]
pub mod fuzzing;
mod lease;
pub mod list;
mod log_client;
pub mod migrate;
mod mutate;
mod outbox;
mod purge;
mod quota;
mod relay;
mod remember;
mod tenant;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod tx;

pub use carried::Carried;
pub use consumer::Consumer;
pub use creator::Creator;
pub use db::{Db, DbOptions, OpenError};
pub use engine::{At, Bind, Binds, Column, Dialect, Error, Field, Json, Limits, Record, Result, Row, Sql, Text, Texts, Value, Weight, powers};
pub use lease::Lease;
pub use log_client::LogClient;
pub use migrate::{BASE, Migration};
pub use outbox::{NewEvent, Target};
pub use relay::{Append, Relay};
pub use tenant::{System, Tenant};
pub use tx::Tx;

#[doc(hidden)]
pub use sqlx;

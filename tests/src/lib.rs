//! The harness of the end-to-end suites: it starts the real binary, in every layout and on every engine, and calls it as users do.
//!
//! * [`Mesh::start`] gives a mesh of its own, [`Mesh::shared`] the one that all well-behaved tests of a run share, each in its own
//!   [`Mesh::tenant`];
//! * [`on_every_mesh!`] runs a test in one process on SQLite, in one process on Postgres, and split on Postgres;
//! * [`Caller`] is a connection with a credential: `caller.things().get_thing(…)`;
//! * [`Refuses`] turns an answer into the [`Refused`] that a test expects;
//! * [`raw`] speaks HTTP where a gRPC client would be too polite;
//! * [`peer`] writes HTTP/2 frames that no library would;
//! * [`collector::Collector`] takes the spans and metrics that a mesh exports;
//! * a [`Wire`] between a gateway and identity can be slow, silent or cut;
//! * [`eventually`] waits for a condition, never for a time.
//!
//! Nothing outlives the test binary, however it ends: see [`reaper`].

mod caller;
pub mod collector;
mod create;
mod forgetful;
mod key_file;
mod mesh;
mod orders;
pub mod peer;
mod port;
mod postgres;
mod process;
pub mod raw;
pub mod reaper;
mod redis;
mod refused;
mod run;
mod tenant;
pub mod tools;
mod wait;
mod wire;

pub use caller::{Caller, Sending};
pub use forgetful::{Disk, Unsynced};
pub use key_file::read_key;
pub use mesh::{Builder, Layout, Mesh, Role};
pub use postgres::{Database, Engine, Lock, PASSWORD, Postgres};
pub use process::{Exit, Process};
pub use redis::Redis;
pub use refused::{Refused, Refuses, reason};
pub use run::run;
pub use tenant::Tenant;
pub use wait::{eventually, within};
pub use wire::{Fault, Wire};

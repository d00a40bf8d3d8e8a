//! What every process of the mesh needs, and no domain: settings, secrets, time, telemetry, the hardened listener.
//!
//! It stands between `contract` (what is said) and the rooms (what is done), so that a service is only its handlers
//! and the gateway only its layers. It imports nothing of ours but `contract`. Where stock crates are not safe to
//! expose, the reason and the measured number stand beside the code that mends it (see [`serve`]).

pub mod acting;
pub mod admin;
pub mod changes;
pub mod clock;
pub mod config;
pub mod drain;
mod gathered;
pub mod header;
pub mod health;
pub mod left;
pub mod panics;
pub mod principal;
pub mod reflection;
pub mod room;
pub mod secret;
pub mod serve;
pub mod telemetry;
pub mod upstream;

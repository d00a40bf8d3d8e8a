//! What the store promises, on both engines.
#![allow(clippy::unwrap_used)]

mod consumers;
mod cursors;
mod failover;
mod fixture;
mod lists;
mod migrations;
mod mutations;
mod relays;
mod transactions;

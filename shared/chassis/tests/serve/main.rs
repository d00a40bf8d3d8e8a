//! The listener against real sockets: what HARDENING.md §1 says must happen to whom.
#![allow(clippy::unwrap_used)]

mod client;
mod drain;
mod floods;
mod peers;
mod raw;
mod refusals;
mod server;

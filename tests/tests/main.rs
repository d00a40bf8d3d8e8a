//! The end-to-end suites. One binary, so that it links once.
#![allow(clippy::unwrap_used)]

mod clients;
mod contract;
mod credentials;
mod discovery;
mod first_run;
mod groups;
mod hostile;
mod idempotency;
mod isolation;
mod keys;
mod kill;
mod limits;
mod lists;
mod replicas;
mod support;
mod things;
mod watch;
mod web;

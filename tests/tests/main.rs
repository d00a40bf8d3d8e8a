//! The end-to-end suites. One binary, so that it links once.
#![allow(clippy::unwrap_used)]

mod admin;
mod advisories;
mod canary;
mod clients;
mod contract;
mod credentials;
mod discovery;
mod disk;
mod drain;
mod first_run;
mod follower;
mod groups;
mod guessing;
mod hostile;
mod idempotency;
mod isolation;
mod keys;
mod kill;
mod limits;
mod lists;
mod load;
mod outage;
mod output_only;
mod privileges;
mod recorded;
mod redis;
mod replicas;
mod requests;
mod resume;
mod revocation;
mod support;
mod telemetry;
mod things;
mod watch;
mod web;

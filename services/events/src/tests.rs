//! The log as its users meet it: generated clients, signed principals, both engines.
#![allow(clippy::unwrap_used)]

mod append;
mod consumer;
mod cursor;
mod house;
mod isolation;
mod list;
mod relay;
mod retention;
mod walk;
mod watch;

use house::{House, event, group, reason};

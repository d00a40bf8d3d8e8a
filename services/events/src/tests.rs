//! The log as its users meet it: generated clients, signed principals, both engines.
#![allow(clippy::unwrap_used)]

mod append;
mod consumer;
mod cursor;
mod house;
mod isolation;
mod list;
mod refusals;
mod relay;
mod requests;
mod retention;
mod usage;
mod walk;
mod watch;

use house::{House, PLATFORM, event, group, reason};
use requests::{record, send};

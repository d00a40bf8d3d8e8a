//! The hardened listener: every port of the mesh that strangers or other parts of it speak to.
//!
//! Stock tonic answers GET with OK, waits for ever for a peer that never speaks, spins without file descriptors and
//! does not drain (measured in HARDENING.md §1). What is here does, in the order a byte meets it:
//!
//! - [`serve`]: accepts, within caps for all peers and for each address, and ends what it started;
//! - [`Connection`]: one peer, from its first byte through GOAWAY to the hard close;
//! - [`grpc`]: the strict stack around a service's routes: [`front`], [`metadata`], [`Deadline`], [`Messages`], then
//!   the routes, then what became of the answer.
//!
//! The gateway has layers of its own for sizes and deadlines, so [`serve`] takes any tower service ([`Answer`]) and
//! each rule of the stack can be used alone.
//!
//! Bodies are polled by hand and wrapped without a box, timers and cancellation are only made when something waits, and a connection is written
//! to once for what several streams have to say. A unary echo costs 0.84 to 1.06 times the CPU of stock tonic (2026-11-22, 64 callers on 4
//! connections); with streams, boxes and a select for each body it was 1.22.

mod answer;
mod backpressure;
mod caps;
mod connection;
mod deadline;
mod decoding;
mod frames;
pub mod front;
mod grpc;
mod grpc_timeout;
mod incoming;
mod limits;
mod listener;
mod messages;
pub mod metadata;
mod open;
mod refusal;
mod socket;
mod writer;

pub use answer::Answer;
pub use backpressure::Aside;
pub use caps::open_files;
pub use connection::Connection;
pub use deadline::Deadline;
pub use decoding::undecodable;
pub use grpc::grpc;
pub use grpc_timeout::grpc_timeout;
pub use incoming::Incoming;
pub use limits::Limits;
pub use listener::{listen, serve};
pub use messages::{Guarded, Messages};
pub use writer::Writer;

/// Any error, as hyper takes it.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

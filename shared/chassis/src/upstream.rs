//! The way to a service: in this process, or over HTTP/2. One constructor call differs, and nobody else knows.
//!
//! Over the network it is not tonic's `Channel`: that one lacks both reset settings (h2 counts late frames of dropped streams, 1,024 in a
//! connection's life, then ends it for everybody), cannot tell what was never sent, and passes on empty DATA frames, which h2 counts as
//! abuse. Nor is it hyper's client, which has a task of its own for each call and two channels on its way. Measured in STACK.md §3; the tests
//! beside [`pool`] hold what is promised here.

mod address;
mod answer;
pub mod client;
mod exchange;
mod link;
mod pool;
mod tape;
#[cfg(test)]
mod tests;

pub use address::BadAddress;
pub use client::Client;

use crate::room::Room;
use address::Address;
use contract::{Method, Reason, Refusal};
use http::{Request, Response};
use pool::{Kind, Pool};
use std::{sync::Arc, time::Duration};
use tonic::body::Body;

/// Where a service is. Clones are cheap and share their connections.
#[derive(Clone)]
pub struct Upstream(Way);

#[derive(Clone)]
enum Way {
    Here(Room),
    There(Arc<Network>),
}

/// Streams have connections of their own, so that a hundred watchers don't block a list.
struct Network {
    calls: Pool,
    streams: Pool,
}

impl Upstream {
    /// In this process.
    #[must_use]
    pub fn here(room: Room) -> Self {
        Self(Way::Here(room))
    }

    /// Whether it is in this process.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(self.0, Way::Here(_))
    }

    /// At these addresses, each `host:port`, and all that a host's name resolves to. Nothing is dialled before it is needed; calls are
    /// spread over those that answer.
    ///
    /// # Errors
    /// An address without host or port, or none at all.
    pub fn there<A: AsRef<str>>(addresses: &[A]) -> Result<Self, BadAddress> {
        let addresses: Vec<Address> = addresses.iter().map(|text| Address::parse(text.as_ref())).collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err(BadAddress::none());
        }
        let network = Network { calls: Pool::new(&addresses, Kind::Calls), streams: Pool::new(&addresses, Kind::Streams) };
        Ok(Self(Way::There(Arc::new(network))))
    }

    /// The answer of the service, or UPSTREAM_UNAVAILABLE if there is none. The request carries its signed principal already.
    ///
    /// # Errors
    /// No service could be reached, or it went away before it answered.
    pub async fn send(&self, request: Request<Body>, method: &Method) -> Result<Response<Body>, Refusal> {
        match &self.0 {
            Way::Here(room) => Ok(room.answer(request).await),
            Way::There(network) => {
                let pool = if method.streams() { &network.streams } else { &network.calls };
                pool.send(request, method.reads).await
            }
        }
    }
}

/// The answer when there is none.
fn away() -> Refusal {
    Refusal::new(Reason::UpstreamUnavailable, "the service does not answer now; try again in a second").retry(Duration::from_secs(1))
}

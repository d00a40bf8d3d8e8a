//! The ports of a process: bound first, so that a port that is taken ends the start before anything else was done; opened last.

use crate::{announce::Announce, failure::Failure, vital::Vital};
use chassis::serve::{self, Answer, Limits};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// A port that nobody is served on yet.
pub(crate) struct Door {
    name: &'static str,
    listener: TcpListener,
    pub(crate) addr: SocketAddr,
}

impl Door {
    pub(crate) fn bind(name: &'static str, addr: SocketAddr) -> Result<Door, Failure> {
        let taken = |error| Failure::start(format!("{name} cannot listen on {addr}: {error}"));
        let listener = serve::listen(addr).map_err(taken)?;
        let addr = listener.local_addr().map_err(taken)?;
        Ok(Door { name, listener, addr })
    }
}

/// The ports that are open; each ends within the grace after `drain`.
pub(crate) struct Doors {
    open: JoinSet<()>,
    announce: Announce,
    drain: CancellationToken,
    grace: Duration,
}

impl Doors {
    pub(crate) fn new(announce: Announce, drain: CancellationToken, grace: Duration) -> Doors {
        Doors { open: JoinSet::new(), announce, drain, grace }
    }

    pub(crate) fn serve(&mut self, door: Door, app: impl Answer, limits: Limits) {
        let limits = Limits { grace: self.grace, ..limits };
        self.open.spawn(serve::serve(door.listener, app, limits, self.drain.clone()));
        self.announce.listening(door.name, door.addr);
    }

    /// The admin port answers to the very end, for who drains still lives: nobody waits for it.
    pub(crate) fn administer(&self, door: Door, pages: axum::Router, vital: &Vital) -> Result<(), Failure> {
        self.announce.listening(door.name, door.addr);
        // A socket belongs to the runtime it was made in.
        let listener = door.listener.into_std().map_err(|error| Failure::start(format!("the admin port: {error}")))?;
        vital.runtime().spawn(async move {
            match TcpListener::from_std(listener) {
                // Its drain is the end of its runtime, after that of all other doors.
                Ok(listener) => serve::serve(listener, pages, Limits::admin(), CancellationToken::new()).await,
                Err(error) => tracing::error!(%error, "the admin port"),
            }
        });
        Ok(())
    }

    /// Until all have closed.
    pub(crate) async fn closed(mut self) {
        while self.open.join_next().await.is_some() {}
    }
}

//! A service for tests, which does what it is asked for.
#![allow(clippy::unwrap_used)]

use super::Room;
use crate::{
    clock::Clock,
    principal::{self, Principal, Signer},
};
use contract::{
    Reason, Refusal,
    events::v1::{
        Event, GetEventRequest, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
        event_service_server::{EventService, EventServiceServer},
        watch_events_request::From,
    },
};
use futures::{FutureExt, StreamExt, future::pending, stream, stream::BoxStream};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tonic::{Request, Response, Status, service::Routes};

pub(crate) const AUDIENCE: &str = "events";
pub(crate) const LIST: &str = "/one.events.v1.EventService/ListEvents";
pub(crate) const WATCH: &str = "/one.events.v1.EventService/WatchEvents";

/// Counts what it sees. The word in `filter` says what to do.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    /// Calls that arrived at a handler.
    pub(crate) seen: Arc<AtomicUsize>,
    /// Calls and streams under way.
    pub(crate) open: Arc<AtomicUsize>,
    /// So many calls are refused with UNAVAILABLE before one is answered.
    pub(crate) busy: Arc<AtomicUsize>,
}

pub(crate) struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

pub(crate) fn signer() -> Signer {
    Signer::new(&[1; 32], Clock::still(Duration::from_secs(1_700_000_000)))
}

pub(crate) fn list(word: &str) -> ListEventsRequest {
    ListEventsRequest { filter: word.to_owned(), ..Default::default() }
}

pub(crate) fn watch(word: &str) -> WatchEventsRequest {
    WatchEventsRequest { filter: word.to_owned(), from: Some(From::Now(true)) }
}

impl Fake {
    pub(crate) fn routes(&self) -> Routes {
        Routes::new(EventServiceServer::new(self.clone()))
    }

    pub(crate) fn room(&self) -> Room {
        Room::new(self.routes(), AUDIENCE, signer())
    }

    fn enter(&self) -> Open {
        self.seen.fetch_add(1, SeqCst);
        self.open.fetch_add(1, SeqCst);
        Open(self.open.clone())
    }

    async fn work(&self, principal: &Principal, word: &str) -> Result<ListEventsResponse, Status> {
        let _open = self.enter();
        if self.busy.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Refusal::new(Reason::Overloaded, "busy").status());
        }
        match word {
            "panic" => panic!("the handler's own secret"),
            "hang" => pending().await,
            "bare" => Err(Status::unknown("the database's own secret")),
            "refuse" => Err(Refusal::new(Reason::EventNotFound, "there is no such event").status()),
            "large" => Ok(ListEventsResponse { next_page_token: "x".repeat(1 << 20), ..Default::default() }),
            _ => Ok(ListEventsResponse { next_page_token: format!("{}|{}", principal.call_id, principal.traceparent), ..Default::default() }),
        }
    }
}

fn event(cursor: String) -> WatchEventsResponse {
    WatchEventsResponse { cursor, ..Default::default() }
}

#[tonic::async_trait]
impl EventService for Fake {
    type WatchEventsStream = BoxStream<'static, Result<WatchEventsResponse, Status>>;

    async fn get_event(&self, request: Request<GetEventRequest>) -> Result<Response<Event>, Status> {
        Ok(Response::new(Event { id: request.into_inner().id, ..Default::default() }))
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        let principal = principal::of(&request)?;
        self.work(&principal, &request.into_inner().filter).await.map(Response::new)
    }

    async fn watch_events(&self, request: Request<WatchEventsRequest>) -> Result<Response<Self::WatchEventsStream>, Status> {
        let word = request.into_inner().filter;
        let open = self.enter();
        let events = stream::iter(0..).then(move |n: usize| {
            let _ = &open; // lives as long as the stream
            tokio::task::yield_now().map(move |()| n) // so that tonic sends one before it asks for the next
        });
        Ok(Response::new(match word.as_str() {
            "panic" => events.map(|n| if n == 1 { panic!("the stream's own secret") } else { Ok(event(n.to_string())) }).boxed(),
            "bare" => events.map(|n| if n == 1 { Err(Status::internal("the stream's own secret")) } else { Ok(event(n.to_string())) }).boxed(),
            "endless" => events.map(|_| Ok(event("x".repeat(64 << 10)))).boxed(),
            "two" => events.take(2).map(|n| Ok(event(n.to_string()))).boxed(),
            _ => events.take(1).map(|n| Ok(event(n.to_string()))).chain(stream::pending()).boxed(),
        }))
    }
}

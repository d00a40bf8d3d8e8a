//! `EventService`: a group's log as its people see it.

mod answers;

use crate::log::{From, Log};
use answers::Answers;
use chassis::principal;
use contract::{
    Reason, Refusal,
    events::v1::{
        Event, GetEventRequest, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse, event_service_server::EventService,
        watch_events_request,
    },
    id::{EventId, GroupId},
};
use futures::stream::BoxStream;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Answers clients.
pub(crate) struct EventApi {
    log: Log,
    drain: CancellationToken,
    heartbeat: Duration,
}

impl EventApi {
    pub(crate) fn new(log: Log, drain: CancellationToken, heartbeat: Duration) -> Self {
        Self { log, drain, heartbeat }
    }

    /// Where a watch begins.
    fn from(&self, group: GroupId, from: Option<watch_events_request::From>) -> Result<From, Refusal> {
        use watch_events_request::From as Asked;
        Ok(match from {
            Some(Asked::Beginning(true)) => From::Beginning,
            Some(Asked::Now(true)) => From::Now,
            Some(Asked::Cursor(cursor)) => From::After(self.log.after_of(group, &cursor)?),
            Some(Asked::Beginning(false)) => return Err(must_be_true("beginning")),
            Some(Asked::Now(false)) => return Err(must_be_true("now")),
            None => return Err(Refusal::new(Reason::InvalidField, "a watch begins at `beginning`, `now` or a cursor").field("from", "must be set")),
        })
    }
}

#[tonic::async_trait]
impl EventService for EventApi {
    async fn get_event(&self, request: Request<GetEventRequest>) -> Result<Response<Event>, Status> {
        let principal = principal::of(&request)?;
        let asked = &request.get_ref().id;
        let row = match EventId::parse(asked) {
            Some(id) => self.log.get(principal.group, id).await.map_err(Refusal::from)?,
            None => None,
        };
        Ok(Response::new(row.as_ref().map(Event::from).ok_or_else(|| not_found(asked))?))
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        let principal = principal::of(&request)?;
        Ok(Response::new(self.log.list(principal.group, request.get_ref()).await?))
    }

    type WatchEventsStream = BoxStream<'static, Result<WatchEventsResponse, Status>>;

    /// Returns as soon as the watch has begun: the response's headers tell the client so, though nothing may have come yet.
    async fn watch_events(&self, request: Request<WatchEventsRequest>) -> Result<Response<Self::WatchEventsStream>, Status> {
        let group = principal::of(&request)?.group;
        let WatchEventsRequest { from, filter } = request.into_inner();
        let (filter, from) = (self.log.filter(&filter)?, self.from(group, from)?);
        let watch = self.log.watch(group, from).await.map_err(|error| self.log.refused(group, error))?;
        let answers = Answers::new(self.log.clone(), group, watch, filter, self.heartbeat, self.drain.clone());
        Ok(Response::new(Box::pin(answers.stream())))
    }
}

fn must_be_true(field: &'static str) -> Refusal {
    Refusal::new(Reason::InvalidField, format!("{field} can only be true: it says where to begin")).field(field, "must be true")
}

/// The same for an id that never was, one of another group, and one that retention took.
fn not_found(id: &str) -> Refusal {
    Refusal::new(Reason::EventNotFound, format!("there is no event {id} in this group")).resource("event", id)
}

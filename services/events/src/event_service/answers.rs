//! The answers of one watch.

use crate::log::{Filter, Log, Watch, shutting_down};
use contract::{
    Refusal,
    events::v1::{Event, WatchEventsResponse},
    id::GroupId,
};
use futures::{Stream, stream};
use std::{mem, time::Duration};
use tokio::{select, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Asked for the next answer only when the client has room for it, and holding no row meanwhile: a slow client costs a number.
pub(super) struct Answers {
    log: Log,
    group: GroupId,
    watch: Watch,
    filter: Filter,
    heartbeat: Duration,
    drain: CancellationToken,
    begun: bool,
}

impl Answers {
    pub(super) fn new(log: Log, group: GroupId, watch: Watch, filter: Filter, heartbeat: Duration, drain: CancellationToken) -> Self {
        Self { log, group, watch, filter, heartbeat, drain, begun: false }
    }

    /// Ends with the first error: it says how to go on.
    pub(super) fn stream(self) -> impl Stream<Item = Result<WatchEventsResponse, Status>> + Send {
        stream::unfold(Some(self), |answers| async move {
            let mut answers = answers?;
            Some(match answers.next().await {
                Ok(answer) => (Ok(answer), Some(answers)),
                Err(refusal) => (Err(refusal.status()), None),
            })
        })
    }

    async fn next(&mut self) -> Result<WatchEventsResponse, Refusal> {
        // Who breaks off before the first event must be able to resume too: without a cursor the gap would be a silent one.
        if !mem::replace(&mut self.begun, true) && self.watch.is_at_head() {
            return Ok(self.answer(Vec::new()));
        }
        let events = select! {
            biased;
            () = self.drain.cancelled() => return Err(shutting_down().with("cursor", self.cursor())),
            news = self.watch.next() => match news {
                Ok(news) => news.rows().iter().filter(|row| self.filter.takes(row)).map(Event::from).collect(),
                Err(error) => return Err(self.log.refused(self.group, error)),
            },
            () = sleep(self.heartbeat) => Vec::new(),
        };
        Ok(self.answer(events))
    }

    fn answer(&self, events: Vec<Event>) -> WatchEventsResponse {
        WatchEventsResponse { events, cursor: self.cursor() }
    }

    fn cursor(&self) -> String {
        self.log.cursor(self.group, self.watch.after())
    }
}

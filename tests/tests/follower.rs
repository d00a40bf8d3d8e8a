//! A client that goes on where its watch was ended.

use crate::watch::PATIENCE;
use contract::{
    Reason,
    events::v1::{Event, WatchEventsRequest, WatchEventsResponse, watch_events_request::From},
};
use tests::{Caller, eventually, reason};
use tokio::time::timeout;
use tonic::{Status, Streaming};

/// Follows the log of its caller's group. A gateway that cannot ask identity within a second ends its watches, as it must; on a machine that has
/// more to do than it can this happens, and a client opens another with its last cursor.
pub(crate) struct Follower {
    caller: Caller,
    from: From,
    /// None where it was ended.
    stream: Option<Streaming<WatchEventsResponse>>,
}

impl Follower {
    /// Of all there is and will be.
    pub(crate) fn from_beginning(caller: &Caller) -> Follower {
        Follower { caller: caller.clone(), from: From::Beginning(true), stream: None }
    }

    /// Of what comes from now on.
    pub(crate) async fn from_now(caller: &Caller) -> Follower {
        let mut follower = Follower { caller: caller.clone(), from: From::Now(true), stream: None };
        let first = timeout(PATIENCE, follower.next()).await.expect("an answer within 30 s");
        assert!(first.is_empty(), "the first one says where now is");
        follower
    }

    /// The events of the next answer. Whoever does not wait for it loses none.
    pub(crate) async fn next(&mut self) -> Vec<Event> {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => self.stream.insert(eventually("a watch", || open(&self.caller, self.from.clone())).await),
            };
            match unless_busy(stream.message().await) {
                Some(answer) => {
                    let answer = answer.expect("a stream that just ends says nothing");
                    self.from = From::Cursor(answer.cursor);
                    return answer.events;
                }
                None => self.stream = None,
            }
        }
    }

    /// The next so many events.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.extend(timeout(PATIENCE, self.next()).await.expect("an answer within 30 s"));
        }
        events
    }

    /// The watch as it is, and its last cursor.
    pub(crate) fn into_parts(self) -> (Streaming<WatchEventsResponse>, String) {
        let From::Cursor(cursor) = self.from else { panic!("it has begun") };
        (self.stream.expect("it has begun"), cursor)
    }
}

async fn open(caller: &Caller, from: From) -> Option<Streaming<WatchEventsResponse>> {
    let request = WatchEventsRequest { from: Some(from), ..Default::default() };
    unless_busy(caller.events().watch_events(request).await).map(|answer| answer.into_inner())
}

/// Nothing where identity could not be asked.
fn unless_busy<T>(answer: Result<T, Status>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(status) => {
            assert_eq!(reason(&status), Reason::IdentityUnavailable, "{status:?}");
            None
        }
    }
}

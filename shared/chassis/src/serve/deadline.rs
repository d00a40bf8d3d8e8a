//! The time a call may take: the client's, for the whole answer; ours, until the answer begins.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use contract::Refusal;
use http::HeaderMap;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::connection::Connection;
use super::{grpc_timeout, refusal};

/// When a call ends. Made when the call arrives.
#[derive(Clone, Debug)]
pub struct Deadline {
    /// The client's: for the whole answer.
    whole: Option<Instant>,
    /// Ours: until the answer begins, from when it is first waited for.
    begin: Option<Duration>,
    connection: Option<Arc<Connection>>,
}

impl Deadline {
    /// By the call's `grpc-timeout` and `cap`, which is `None` for a client-streaming method. `connection` cuts it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a malformed `grpc-timeout`.
    pub fn new(headers: &HeaderMap, cap: Option<Duration>, connection: Option<Arc<Connection>>) -> Result<Self, Refusal> {
        let whole = grpc_timeout(headers)?.map(|asked| Instant::now() + asked);
        Ok(Self { whole, begin: cap, connection })
    }

    /// When the whole answer must be there, if the client said so.
    #[must_use]
    pub fn whole(&self) -> Option<Instant> {
        self.whole
    }

    pub(super) fn connection(&self) -> Option<&Arc<Connection>> {
        self.connection.as_ref()
    }

    /// The answer, if it begins in time. Neither a timer nor a lock is taken for an answer that is there at once.
    ///
    /// # Errors
    /// DEADLINE_EXCEEDED when it does not; UNAVAILABLE when the connection closes under a client-streaming call (a unary
    /// one may still finish).
    pub async fn bound<T>(&self, answer: impl Future<Output = T>) -> Result<T, Refusal> {
        let mut answer = pin!(answer);
        let mut wait = None;
        poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => wait.get_or_insert_with(|| self.wait()).poll(context).map(Err),
        })
        .await
    }

    fn wait(&self) -> Wait {
        let begin = self.begin.map(|cap| Instant::now() + cap);
        let ends = [self.whole, begin].into_iter().flatten().min();
        let cut = self.connection.as_ref().filter(|_| self.begin.is_none());
        Wait::new(ends, cut.map(|connection| connection.cut()))
    }
}

/// What ends a call that waits: its time, or its connection.
pub(super) struct Wait {
    timer: Option<Pin<Box<Sleep>>>,
    cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Wait {
    pub(super) fn new(ends: Option<Instant>, cut: Option<&CancellationToken>) -> Self {
        let timer = ends.map(|ends| Box::pin(sleep_until(ends)));
        Self { timer, cut: cut.map(|cut| Box::pin(cut.clone().cancelled_owned())) }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Refusal> {
        if self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready()) {
            return Poll::Ready(refusal::too_late());
        }
        if self.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(context).is_ready()) {
            return Poll::Ready(refusal::closing());
        }
        Poll::Pending
    }
}

//! Refusals become answers: the only builder of error answers. Inside the edge, so that a browser gets them in its own form.

use crate::{
    call::Call,
    record::{Entry, Recorder},
    stack::{Answer, Layer, Next},
    tail::{Tail, outcome},
};
use chassis::telemetry::Calls;
use contract::Refusal;
use futures::FutureExt;
use http::Response;
use std::{mem, panic::AssertUnwindSafe, pin::pin, sync::Arc};
use tonic::{Status, body::Body};

/// The layer. It also follows each answer to its end: what is written down of a call stands in one place.
pub struct Respond {
    recorder: Arc<Recorder>,
    calls: Option<Calls>,
}

impl Respond {
    /// Writes every call down, and counts it where there are metrics.
    #[must_use]
    pub fn new(recorder: Arc<Recorder>, calls: Option<Calls>) -> Self {
        Self { recorder, calls }
    }

    /// The answer with a body that follows it to its end.
    fn follow(&self, call: &mut Call, answer: Response<Body>) -> Response<Body> {
        let mut entry = Entry::new(call, &self.recorder);
        let (head, body) = answer.into_parts();
        if head.headers.contains_key(Status::GRPC_STATUS) {
            let (code, reason) = outcome(&head.headers);
            entry.ends(code, reason);
        }
        let tail = Tail::new(body, mem::take(&mut call.ends), entry, call.trace.clone(), self.calls.clone());
        Response::from_parts(head, Body::new(tail))
    }
}

/// A refusal as an answer, remembered by its call.
pub(crate) fn refused(call: &mut Call, refusal: &Refusal) -> Response<Body> {
    call.reason = Some(refusal.reason());
    refusal.status().into_http()
}

impl Layer for Respond {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        let mut unanswered = Unanswered { respond: self, call, answered: false };
        let call = &mut *unanswered.call;
        // A panic of ours would take the whole connection, and with it the calls of others.
        let answer = AssertUnwindSafe(pin!(next.call(call))).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_| Err(Refusal::internal("a layer of the gateway panicked")));
        let answer = answer.unwrap_or_else(|refusal| refused(call, &refusal));
        let answer = self.follow(call, answer);
        unanswered.answered = true;
        Ok(answer)
    }
}

/// A call that nobody waits for any more before there was an answer: it was counted, so it is written down.
struct Unanswered<'c> {
    respond: &'c Respond,
    call: &'c mut Call,
    answered: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.answered {
            drop(self.respond.follow(self.call, Response::new(Body::empty())));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::{answer_with_trailers, call, ok};
    use chassis::clock::Clock;
    use contract::Reason;
    use http_body_util::BodyExt;
    use tonic::Code;

    fn respond() -> (Respond, crate::record::Records) {
        let (recorder, records) = Recorder::new(Clock::system());
        (Respond::new(recorder, None), records)
    }

    #[tokio::test]
    async fn a_refusal_is_a_status_with_details_and_is_written_down() {
        let (respond, mut records) = respond();
        let refuse = |_: &mut Call| -> Answer { Err(Refusal::new(Reason::Overloaded, "full").retry(std::time::Duration::from_millis(1))) };
        let answer = respond.call(&mut call("/x", &[]), &refuse).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!((status.code(), status.message(), &answer.headers()["retry-after"]), (Code::Unavailable, "full", &"1".parse().unwrap()));
        drop(answer);
        let record = records.try_recv().unwrap();
        assert_eq!((record.code, record.reason), (Code::Unavailable, Some(Reason::Overloaded)));
    }

    #[tokio::test]
    async fn the_end_of_an_answer_decides_what_is_written_down() {
        let (respond, mut records) = respond();
        let not_found = Refusal::new(Reason::ThingNotFound, "no thing").status();
        for (trailers, code, reason) in
            [(Some(Status::ok("")), Code::Ok, None), (Some(not_found), Code::NotFound, Some(Reason::ThingNotFound)), (None, Code::Cancelled, None)]
        {
            let next = |_: &mut Call| -> Answer { Ok(answer_with_trailers(b"12345", trailers.as_ref(), None)) };
            let answer = respond.call(&mut call("/x", &[]), &next).await.unwrap();
            if trailers.is_some() {
                answer.into_body().collect().await.unwrap();
            } else {
                drop(answer); // the client left
            }
            let record = records.try_recv().unwrap();
            assert_eq!((record.code, record.reason), (code, reason));
            assert_eq!(record.bytes_out, if trailers.is_some() { 5 } else { 0 });
        }
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_before_its_answer_is_written_down() {
        let (respond, mut records) = respond();
        let mut call = call("/x", &[]);
        call.cost = 7;
        let waits = crate::layer::testing::Never;
        assert!(respond.call(&mut call, &waits).now_or_never().is_none());
        let record = records.try_recv().unwrap();
        assert_eq!((record.code, record.cost), (Code::Cancelled, 7));
        assert!(records.is_empty(), "once");
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let (respond, _records) = respond();
        let panics = |_: &mut Call| -> Answer { panic!("as it must not") };
        let answer = respond.call(&mut call("/x", &[]), &panics).await.unwrap();
        assert_eq!(Status::from_header_map(answer.headers()).unwrap().code(), Code::Internal);
    }

    #[tokio::test]
    async fn records_nobody_reads_are_counted_and_slow_nothing() {
        let (respond, records) = respond();
        for _ in 0..20_000 {
            respond.call(&mut call("/x", &[]), &|_: &mut Call| ok()).await.unwrap();
        }
        assert_eq!(records.len() as u64 + respond.recorder.dropped(), 20_000);
        assert!(respond.recorder.dropped() > 0);
    }
}

//! The time a call may take: the client's, or the policy's if that is less. Before anything waits.

use crate::{
    call::Call,
    stack::{Answer, Layer, Next},
    tail::too_late,
};
use chassis::{header::GRPC_TIMEOUT, serve::grpc_timeout};
use http::HeaderValue;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// The layer.
pub struct Deadline;

impl Layer for Deadline {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        let asked = grpc_timeout(call.headers())?;
        let Some(allowed) = asked.into_iter().chain(call.method().deadline).min() else { return next.call(call).await };
        let late = call.begun + allowed;
        call.ends.late = Some(late);
        match asked {
            // Timers know milliseconds only, and a call may be done in less: what nobody waits for any more is not begun.
            Some(_) if Instant::now() >= late => return Err(too_late()),
            Some(_) => {}
            // Who did not ask is bound by the policy alone, which the service reads, too.
            None => drop(call.request.headers_mut().remove(GRPC_TIMEOUT)),
        }
        bound(late, pin!(next.call(call))).await
    }
}

/// For the next hop: what is left of the client's own time, never more than the policy's.
pub(crate) fn shorten(call: &mut Call) {
    let Some(late) = call.ends.late.filter(|_| call.headers().contains_key(GRPC_TIMEOUT)) else { return };
    let left = late.saturating_duration_since(Instant::now());
    call.request.headers_mut().insert(GRPC_TIMEOUT, timeout(left));
}

/// At most eight digits; rounded down, so that the next hop ends before this one.
fn timeout(left: Duration) -> HeaderValue {
    let (number, unit) = match left.as_micros() {
        micros @ 0..=99_999_999 => (micros, b'u'),
        micros => ((micros / 1_000).min(99_999_999), b'm'),
    };
    let mut text = itoa::Buffer::new().format(number).as_bytes().to_vec();
    text.push(unit);
    let mut value = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("digits and a unit");
    value.set_sensitive(true); // another for every call: HPACK should not spend its table on it
    value
}

/// The answer, if it begins in time. An answer that is there at once takes no timer.
async fn bound(late: Instant, mut answer: Pin<&mut impl Future<Output = Answer>>) -> Answer {
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(answer) = answer.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(late)));
        timer.as_mut().poll(context).map(|()| Err(too_late()))
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::{Never, call, ok, routed};
    use contract::Reason;

    const GET: &str = "/one.ontology.v1.ThingService/GetThing";

    const WATCH: &str = "/one.events.v1.EventService/WatchEvents";

    #[tokio::test]
    async fn what_is_over_when_it_comes_is_not_begun() {
        let mut call = routed(call(GET, &[("grpc-timeout", "1n")]));
        let below = |_: &mut Call| -> Answer { panic!("it is too late") };
        let refusal = Deadline.call(&mut call, &below).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::DeadlineExceeded);
    }

    /// What goes on, in milliseconds, after 100 ms in the layers above.
    async fn passed_on(path: &str, asked: Option<&str>) -> Result<Option<u64>, Reason> {
        let mut call = routed(call(path, &asked.map(|asked| ("grpc-timeout", asked)).into_iter().collect::<Vec<_>>()));
        tokio::time::advance(Duration::from_millis(100)).await;
        Deadline.call(&mut call, &|_: &mut Call| ok()).await.map_err(|refusal| refusal.reason())?;
        shorten(&mut call);
        let left = grpc_timeout(call.headers()).unwrap();
        Ok(left.map(|left| u64::try_from(left.as_millis()).unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_is_the_lesser_and_shortened() {
        for (path, asked, expected) in [
            (GET, None, Ok(None)),
            (GET, Some("5S"), Ok(Some(4_900))),
            (GET, Some("10H"), Ok(Some(29_900))),
            (GET, Some("50m"), Err(Reason::DeadlineExceeded)),
            (WATCH, None, Ok(None)),
            (WATCH, Some("10H"), Ok(Some(35_999_900))),
            (GET, Some("-5S"), Err(Reason::InvalidMetadata)),
            (GET, Some("123456789S"), Err(Reason::InvalidMetadata)),
            (WATCH, Some(""), Err(Reason::InvalidMetadata)),
        ] {
            assert_eq!(passed_on(path, asked).await, expected, "{path} {asked:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_begin_is_refused_when_its_time_is_over() {
        for (asked, expected) in [(Some("200m"), 200), (None, 30_000)] {
            let began = Instant::now();
            let mut call = routed(call(GET, &asked.map(|asked| ("grpc-timeout", asked)).into_iter().collect::<Vec<_>>()));
            let refused = Deadline.call(&mut call, &Never).await.unwrap_err();
            assert_eq!(refused.reason(), Reason::DeadlineExceeded);
            assert_eq!(began.elapsed().as_millis() / 10, expected / 10, "{asked:?}");
        }
    }
}

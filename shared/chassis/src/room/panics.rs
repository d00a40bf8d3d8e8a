//! A handler that panics answers INTERNAL, and harms nobody else.

use contract::Refusal;
use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

/// The future's output, or the refusal that stands for its panic. It is not polled after a panic.
pub(super) async fn caught<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Result<T, Refusal> {
    poll_fn(|context| match catching(|| future.as_mut().poll(context)) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(refusal) => Poll::Ready(Err(refusal)),
    })
    .await
}

/// The closure's output, or the refusal that stands for its panic. What it was working on must be dropped after a panic: that is what
/// makes the assertion true. Its words stay unsaid; the hook has logged the place ([`crate::panics`]).
pub(super) fn catching<T>(work: impl FnOnce() -> T) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Refusal::internal("a handler panicked"))
}

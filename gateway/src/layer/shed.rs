//! No more work at once than what is below can hold. Below authenticate, for a hundred half-open calls of a stranger must not fill it.

use crate::{
    call::{Call, Target},
    stack::{Answer, Layer, Next},
};
use contract::{Reason, Refusal};
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// The layer.
#[derive(Debug)]
pub struct Shed {
    most: usize,
    now: AtomicUsize,
}

impl Shed {
    /// So many calls whose answer has not begun.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, now: AtomicUsize::new(0) }
    }
}

struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Layer for Shed {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        // A probe that failed under load would take this process away, and give its load to the others.
        if call.route().target == Target::Own {
            return next.call(call).await;
        }
        let (before, _place) = (self.now.fetch_add(1, Relaxed), Place(&self.now));
        if before >= self.most {
            return Err(Refusal::new(Reason::Overloaded, "too many calls are under way, try again").retry(Duration::from_secs(1)));
        }
        next.call(call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::{Never, call, ok, routed};
    use std::pin::pin;

    const GET: &str = "/one.ontology.v1.ThingService/GetThing";

    #[tokio::test]
    async fn one_too_many_is_refused_and_places_come_back_also_from_the_cancelled() {
        let shed = Shed::new(1);
        let over = async |path| shed.call(&mut routed(call(path, &[])), &|_: &mut Call| ok()).await.err().map(|refusal| refusal.reason());
        {
            let mut first = routed(call(GET, &[]));
            let mut first = pin!(shed.call(&mut first, &Never));
            assert!(futures::poll!(first.as_mut()).is_pending());
            assert_eq!(over(GET).await, Some(Reason::Overloaded));
            assert_eq!(over("/grpc.health.v1.Health/Check").await, None);
        }
        assert_eq!(over(GET).await, None);
        assert_eq!(over(GET).await, None);
    }
}

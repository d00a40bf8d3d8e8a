//! No more work at once than a service can hold, and a fair line before it. Below authorize: strangers, and who may not, never come so far,
//! and whoever asks more than its limit allows is refused before.

use crate::{
    call::{Call, Target},
    line::{Line, Overloaded},
    stack::{Answer, Layer, Next},
};
use contract::{Reason, Refusal};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// The layer.
#[derive(Debug)]
pub struct Shed {
    /// By the router's number of a service. Services of one process share theirs.
    lines: Vec<Before>,
}

/// What stands before a service.
#[derive(Clone, Debug)]
struct Before {
    line: Arc<Line>,
    /// The service is in this process.
    here: bool,
}

impl Shed {
    /// A line for each process behind the gateway, named in the order in which the router numbers its services, with whether it is this very
    /// process: one that hangs fills its own.
    #[must_use]
    pub fn new<'a>(processes: impl Iterator<Item = (&'a str, bool)>, places: usize, room: usize) -> Self {
        let mut by_process = HashMap::new();
        let before = |(process, here)| by_process.entry(process).or_insert_with(|| Before { line: Line::new(places, room), here }).clone();
        Self { lines: processes.map(before).collect() }
    }
}

/// Whose line a call stands in.
fn organisation(call: &Call) -> u128 {
    call.caller.as_ref().map_or_else(|| call.address.client(), |known| known.caller.root.as_u128())
}

fn overloaded(_: Overloaded) -> Refusal {
    Refusal::new(Reason::Overloaded, "too many calls are under way, try again").retry(Duration::from_secs(1))
}

impl Layer for Shed {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        let Target::Upstream(number) = call.route().target else {
            // A probe that failed under load would take this process away, and give its load to the others.
            return next.call(call).await;
        };
        let Before { line, here } = &self.lines[number];
        // Another process may hang while this one has time for its neighbours' calls, which shall not stand behind.
        let aside = || call.connection.as_ref().filter(|_| *here).map(|connection| connection.lay_aside());
        let _place = line.enter(organisation(call), aside).await.map_err(overloaded)?;
        next.call(call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::{Never, call, ok, routed};
    use std::pin::pin;

    const GET: &str = "/one.ontology.v1.ThingService/GetThing";

    #[tokio::test(start_paused = true)]
    async fn one_too_many_is_refused_and_places_come_back_also_from_the_cancelled() {
        let shed = Shed::new([("ontology", true)].into_iter(), 1, 0);
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

//! Appends that come while another is on its way, kept together.
//!
//! Only one at a time can have the head's lock, and a transaction costs more than an event: its trips to the engine, its part of a sync, the
//! pages that each of them writes again. So whoever waits for the lock waits here instead, and all of them are one transaction when it is free.

use contract::internal::v1::LogEvent;
use futures::future::BoxFuture;
use store::{Error, Result};
use tokio::sync::{mpsc, oneshot};

/// Callers in line; the next ones wait for a place in it.
const LINE: usize = 64;
/// A transaction that has so many events takes no more callers in: what else is written waits behind it.
const EVENTS: usize = 8_000;

/// The line before the head's lock. Clones are the same one; it ends with the last of them.
#[derive(Clone)]
pub(super) struct Batcher(mpsc::Sender<Asked>);

struct Asked {
    events: Vec<LogEvent>,
    answer: oneshot::Sender<Result<()>>,
}

impl Batcher {
    /// Hands the events of all who wait to `keep`, one call after the other.
    pub(super) fn start(keep: impl Fn(Vec<LogEvent>) -> BoxFuture<'static, Result<()>> + Send + 'static) -> Self {
        let (line, mut asked) = mpsc::channel(LINE);
        tokio::spawn(async move {
            let mut most = EVENTS;
            while let Some(together) = together(&mut asked, most).await {
                let (events, answers): (Vec<_>, Vec<_>) = together.into_iter().map(|asked| (asked.events, asked.answer)).unzip();
                // A task of its own: a panic is those callers', and not the end of the log.
                let kept = tokio::spawn(keep(events.into_iter().flatten().collect())).await.unwrap_or(Err(Error::Busy));
                // It may have been too much for the time a transaction has: each caller alone then, and slowly more again.
                most = if kept.is_ok() { EVENTS.min(2 * most) } else { 1 };
                answers.into_iter().for_each(|answer| drop(answer.send(kept.clone())));
            }
        });
        Self(line)
    }

    /// Kept when it answers, in the order given. Those of who does not wait for the answer may be kept as well.
    pub(super) async fn append(&self, events: Vec<LogEvent>) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Asked { events, answer }).await.map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::Busy)?
    }
}

/// The next in line, and those behind it until there are `most` events.
async fn together(line: &mut mpsc::Receiver<Asked>, most: usize) -> Option<Vec<Asked>> {
    let first = line.recv().await?;
    let (mut count, mut together) = (first.events.len(), vec![first]);
    while count < most
        && let Ok(next) = line.try_recv()
    {
        count += next.events.len();
        together.push(next);
    }
    Some(together)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::{FutureExt, future::join_all};

    /// What was handed over, as call ids, and how that ends.
    type Handed = (Vec<String>, oneshot::Sender<Result<()>>);

    fn batcher() -> (Batcher, mpsc::UnboundedReceiver<Handed>) {
        let (handed, store) = mpsc::unbounded_channel();
        let keep = move |events: Vec<LogEvent>| {
            let (answer, answered) = oneshot::channel();
            handed.send((events.into_iter().map(|event| event.call_id).collect(), answer)).unwrap();
            async { answered.await.unwrap() }.boxed()
        };
        (Batcher::start(keep), store)
    }

    /// Each with so many events, all at once; how many were handed over together, and what each was told.
    async fn all(calls: usize, events: usize, store: &mut mpsc::UnboundedReceiver<Handed>, batcher: &Batcher, outcome: Result<()>) -> Vec<usize> {
        let event = |call: usize| LogEvent { call_id: call.to_string(), ..LogEvent::default() };
        let told = join_all((0..calls).map(|call| batcher.append(vec![event(call); events])));
        let answers = async {
            let (mut sizes, mut order) = (Vec::new(), Vec::new());
            while order.len() < calls * events {
                let (ids, answer) = store.recv().await.unwrap();
                sizes.push(ids.len());
                order.extend(ids);
                answer.send(outcome.clone()).unwrap();
            }
            assert!(order.iter().map(|id| id.parse::<usize>().unwrap()).eq((0..calls * events).map(|n| n / events)), "{order:?}");
            sizes
        };
        let (told, sizes) = tokio::join!(told, answers);
        assert!(told.iter().all(|told| told.is_ok() == outcome.is_ok()), "{told:?}");
        sizes
    }

    #[tokio::test]
    async fn who_waits_at_once_is_kept_together_and_after_a_failure_alone() {
        let (batcher, mut store) = batcher();
        assert_eq!(all(10, 2, &mut store, &batcher, Ok(())).await, [20]);
        assert_eq!(all(3, 2, &mut store, &batcher, Err(Error::Expired)).await, [6]);
        assert_eq!(all(10, 2, &mut store, &batcher, Ok(())).await, [2, 2, 4, 8, 4]);
    }

    #[tokio::test]
    async fn a_panic_is_its_callers_and_not_the_end() {
        let batcher = Batcher::start(|events| async move { if events.is_empty() { panic!("a bug") } else { Ok(()) } }.boxed());
        assert!(matches!(batcher.append(Vec::new()).await, Err(Error::Busy)));
        assert!(batcher.append(vec![LogEvent::default()]).await.is_ok());
    }

    #[tokio::test]
    async fn a_transaction_of_so_many_events_takes_no_more_callers() {
        let (batcher, mut store) = batcher();
        assert_eq!(all(5, EVENTS / 2, &mut store, &batcher, Ok(())).await, [EVENTS, EVENTS, EVENTS / 2]);
    }
}

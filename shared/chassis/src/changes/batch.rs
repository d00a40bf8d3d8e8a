//! Many questions of the same kind in one call, one call at a time.

use super::unavailable;
use contract::Refusal;
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::HashMap,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// As many ids as one call takes.
const MOST: usize = 1_000;
/// A flight that takes longer has failed: who waits for it would not have been answered in time anyway.
const LONGEST: Duration = Duration::from_secs(1);

type Answer<V> = Result<Option<V>, Refusal>;
type Call<V> = dyn Fn(Vec<Uuid>) -> BoxFuture<'static, Result<HashMap<Uuid, V>, Refusal>> + Send + Sync;

/// Collects ids while a call is under way; the next call asks for all of them.
pub(super) struct Batch<V>(Arc<Shared<V>>);

struct Shared<V> {
    call: Box<Call<V>>,
    queue: Mutex<Queue<V>>,
}

struct Queue<V> {
    waiting: Vec<(Uuid, oneshot::Sender<Answer<V>>)>,
    flying: bool,
}

impl<V: Clone + Send + 'static> Batch<V> {
    pub(super) fn new<F>(call: impl Fn(Vec<Uuid>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<HashMap<Uuid, V>, Refusal>> + Send + 'static,
    {
        let queue = Mutex::new(Queue { waiting: Vec::new(), flying: false });
        Self(Arc::new(Shared { call: Box::new(move |ids| call(ids).boxed()), queue }))
    }

    /// `None` if the answer leaves that id out.
    pub(super) async fn ask(&self, id: Uuid) -> Answer<V> {
        let (sender, answer) = oneshot::channel();
        if self.0.join(id, sender) {
            // Not in the asker's own task: the others must not lose their answer when it is cancelled.
            tokio::spawn(self.0.clone().fly());
        }
        answer.await.unwrap_or_else(|_| Err(unavailable()))
    }
}

impl<V: Clone> Shared<V> {
    /// Whether somebody has to fly.
    fn join(&self, id: Uuid, sender: oneshot::Sender<Answer<V>>) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push((id, sender));
        !std::mem::replace(&mut queue.flying, true)
    }

    async fn fly(self: Arc<Self>) {
        while let Some(waiting) = self.board() {
            let mut ids: Vec<Uuid> = waiting.iter().map(|(id, _)| *id).collect();
            ids.sort_unstable();
            ids.dedup();
            let answer = AssertUnwindSafe(tokio::time::timeout(LONGEST, (self.call)(ids))).catch_unwind().await;
            let answer = answer.ok().and_then(Result::ok).unwrap_or_else(|| Err(unavailable()));
            for (id, sender) in waiting {
                let _ = sender.send(answer.as_ref().map(|all| all.get(&id).cloned()).map_err(Clone::clone));
            }
        }
    }

    fn board(&self) -> Option<Vec<(Uuid, oneshot::Sender<Answer<V>>)>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.flying = !queue.waiting.is_empty();
        let most = queue.waiting.len().min(MOST);
        queue.flying.then(|| queue.waiting.drain(..most).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use contract::Reason;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// Answers each id below 10,000 with itself, and writes down how many were asked at once.
    fn counted() -> (Batch<u128>, Arc<Mutex<Vec<usize>>>) {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = calls.clone();
        let batch = Batch::new(move |ids: Vec<Uuid>| {
            seen.lock().unwrap().push(ids.len());
            async move {
                tokio::task::yield_now().await;
                Ok(ids.into_iter().filter(|id| id.as_u128() < 10_000).map(|id| (id, id.as_u128())).collect())
            }
        });
        (batch, calls)
    }

    #[tokio::test]
    async fn what_is_asked_at_once_goes_in_calls_of_at_most_a_thousand() {
        let (batch, calls) = counted();
        let answers = futures::future::join_all((0..2_500).map(|number| batch.ask(id(number)))).await;
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), Some(number as u128));
        }
        assert_eq!(*calls.lock().unwrap(), [1_000, 1_000, 500]);
    }

    #[tokio::test]
    async fn the_same_id_is_asked_once_and_an_unknown_one_is_none() {
        let (batch, calls) = counted();
        let answers = futures::future::join_all([1, 1, 20_000, 1].map(|number| batch.ask(id(number)))).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [Some(1), Some(1), None, Some(1)]);
        assert_eq!(*calls.lock().unwrap(), [2]);
        assert_eq!(batch.ask(id(3)).await.unwrap(), Some(3), "and it flies again");
    }

    #[tokio::test]
    async fn a_call_that_fails_refuses_all_who_waited_and_none_after() {
        let first = std::sync::atomic::AtomicBool::new(true);
        let batch = Batch::new(move |ids: Vec<Uuid>| {
            let first = first.swap(false, std::sync::atomic::Ordering::SeqCst);
            async move {
                assert!(!first, "a panic in the call is no answer either");
                Ok(ids.into_iter().map(|id| (id, 0)).collect())
            }
        });
        let refused = batch.ask(id(1)).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::IdentityUnavailable);
        assert_eq!(batch.ask(id(1)).await.unwrap(), Some(0));
    }

    #[tokio::test]
    async fn who_is_cancelled_takes_nobody_with_him() {
        let (batch, _) = counted();
        {
            let mut leaver = std::pin::pin!(batch.ask(id(1)));
            assert!(futures::poll!(leaver.as_mut()).is_pending());
        }
        assert_eq!(batch.ask(id(2)).await.unwrap(), Some(2));
    }
}

//! A gateway of a trial, with calls and a stream that never rest.

use super::{Link, MS, Truth};
use crate::{
    address::Address,
    call::{InGroup, Known, Stands},
    callers::Callers,
    credential::{owned, tests::key},
    guard::Guard,
    layer::testing::group,
    standing::{Standing, Stream},
};
use chassis::{
    changes::{Feed, Identity, LEASE},
    clock::Clock,
};
use contract::{Reason, Refusal, methods};
use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

/// One gateway of a trial.
pub(super) struct Gateway {
    clock: Clock,
    feed: Arc<Feed>,
    pub(super) link: Arc<Link>,
    callers: Arc<Callers<Link>>,
    /// When the change was acknowledged.
    acknowledged: Arc<Mutex<Option<Duration>>>,
    /// Calls that passed after the acknowledgement: the lease had not ended, so they may.
    pub(super) late: AtomicUsize,
}

impl Gateway {
    pub(super) fn new(clock: &Clock, truth: &Arc<Truth>, seed: u64, acknowledged: &Arc<Mutex<Option<Duration>>>) -> Arc<Self> {
        let (clock, feed) = (clock.clone(), Feed::new(clock.clone()));
        let link = Arc::new(Link::new(truth, seed));
        let callers = Arc::new(Callers::new(link.clone(), &feed, Guard::new(clock.clone(), None), [3; 32]));
        Arc::new(Self { clock, feed, link, callers, acknowledged: acknowledged.clone(), late: 0.into() })
    }

    /// What a call does before it is sent on.
    pub(super) async fn passes(&self, path: &str) -> Result<(Known, InGroup), Refusal> {
        let (text, from) = (key('a'), Address::default());
        let number = self.callers.key(&text);
        let known = match self.callers.current(number, from) {
            Some(known) => known?,
            None => self.callers.prove(number, &owned(&text), from).await?,
        };
        let acting = self.callers.acting(&known.caller, Some(group(2)), methods().get(path).unwrap()).await?;
        Ok((known, acting))
    }

    /// Something passed that began at that time.
    fn passed(&self, what: &str, begun: Duration) {
        let Some(acknowledged) = *self.acknowledged.lock().unwrap() else { return };
        let after = begun.saturating_sub(acknowledged);
        assert!(begun < acknowledged || after < LEASE, "{what} passed that began {after:?} after the acknowledgement");
        self.late.fetch_add((begun >= acknowledged).into(), SeqCst);
    }

    /// Calls without end.
    pub(super) async fn load(self: Arc<Self>) {
        loop {
            let begun = self.clock.now();
            if self.passes("/one.ontology.v1.ThingService/DeleteThing").await.is_ok() {
                self.passed("a call", begun);
            }
            sleep(self.link.dice.millis(15)).await;
        }
    }

    /// A stream that has a frame every few milliseconds, until it is ended; when, and why.
    pub(super) async fn watch(self: Arc<Self>) -> (Duration, Reason) {
        let path = "/one.events.v1.EventService/WatchEvents";
        let (known, acting) = self.passes(path).await.unwrap();
        let stream = Stream { known, asked: Some(group(2)), method: methods().get(path).unwrap(), acting };
        let mut standing = Standing::new(self.callers.clone(), stream);
        loop {
            match poll_fn(|context| standing.poll_stands(context)).await {
                Ok(()) => self.passed("a frame", self.clock.now()),
                Err(refusal) => return (self.clock.now(), refusal.reason()),
            }
            sleep(self.link.dice.millis(30)).await;
        }
    }

    /// The feed as a gateway follows it, one question at a time.
    pub(super) async fn follow(self: Arc<Self>) {
        self.feed.clone().run(self.link.clone(), CancellationToken::new()).await;
    }

    /// The feed with many questions under way, whose answers come in any order.
    pub(super) async fn follow_out_of_order(self: Arc<Self>) {
        let mut questions = JoinSet::new();
        loop {
            let gateway = self.clone();
            questions.spawn(async move {
                let asked = gateway.clock.now();
                if let Ok(answer) = gateway.link.changes(gateway.feed.position()).await {
                    gateway.feed.answered(asked, &answer);
                }
            });
            sleep(70 * MS).await;
        }
    }
}

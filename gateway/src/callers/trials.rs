//! A hundred trials of what takes rights away, each with four gateways that hear of identity late, out of order, or not at all.
//!
//! Time is simulated and all chance comes from the trial's number, so a trial that fails fails again. What is asserted is the arithmetic:
//! a call that began later than the acknowledgement and one lease is refused by every gateway, and no frame of a stream passes then.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    call::{Known, Stands},
    credential::tests::key,
    layer::testing::{caller, group},
    standing::{Standing, Stream},
};
use chassis::{
    acting::GroupState,
    changes::{Changes, LEASE, unavailable},
    clock::Clock,
    principal::Quotas,
};
use contract::{Role, Scope, Scopes, methods};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

const TRIALS: u64 = 100;
const GATEWAYS: usize = 4;
const MS: Duration = Duration::from_millis(1);
/// How long identity lets a question without news wait.
const PATIENCE: Duration = Duration::from_millis(200);

/// What takes rights away.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Revoked,
    Archived,
    ClosedToParents,
    RoleLowered,
    ScopesNarrowed,
}

const CHANGES: [Change; 5] = [Change::Revoked, Change::Archived, Change::ClosedToParents, Change::RoleLowered, Change::ScopesNarrowed];

impl Change {
    /// Whose change it is: the key's, its group's, or that of the group it acts in.
    fn subject(self) -> Uuid {
        Uuid::from_u128(match self {
            Change::Revoked | Change::RoleLowered | Change::ScopesNarrowed => 100,
            Change::Archived => 1,
            Change::ClosedToParents => 2,
        })
    }
}

/// What happens to what is sent between a gateway and identity.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It arrives in a few milliseconds.
    None,
    /// Up to a second each way.
    Slow,
    /// Questions arrive at once, and answers late.
    Late,
    /// No connection.
    Cut,
    /// Nothing arrives, and nobody says so.
    Silent,
    /// Any of these, for each question anew.
    Mixed,
}

const FAULTS: [Fault; 6] = [Fault::None, Fault::Slow, Fault::Late, Fault::Cut, Fault::Silent, Fault::Mixed];

/// Chance out of a number: SplitMix64.
struct Dice(AtomicU64);

impl Dice {
    fn below(&self, bound: u64) -> u64 {
        let mut mixed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, SeqCst).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn millis(&self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }

    fn of<T: Copy>(&self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// Identity as it is: what has changed, in order.
#[derive(Default)]
struct Truth(Mutex<(Vec<Uuid>, Option<Change>)>);

impl Truth {
    fn commit(&self, subject: Uuid, change: Option<Change>) {
        let mut truth = self.0.lock().unwrap();
        truth.0.push(subject);
        truth.1 = truth.1.or(change);
    }

    fn change(&self) -> Option<Change> {
        self.0.lock().unwrap().1
    }

    fn after(&self, after: u64) -> Changes {
        let log = &self.0.lock().unwrap().0;
        Changes { after, head: log.len() as u64, ids: log[after as usize..].to_vec(), reset: false }
    }

    fn proven(&self) -> Fresh<Proven> {
        let change = self.change();
        let known = caller(100, |caller| match change {
            Some(Change::RoleLowered) => caller.grants[0].role = Role::Customer,
            Some(Change::ScopesNarrowed) => caller.scopes = Scopes::of(Scope::ThingsRead),
            _ => {}
        });
        let revoked = change == Some(Change::Revoked);
        let state = if revoked { Err(Refusal::new(Reason::KeyRevoked, "revoked")) } else { Ok(known.caller) };
        let ids = vec![Uuid::from_u128(100), *group(1)];
        Fresh { value: Proven { credential: Uuid::from_u128(100), home: group(1), proved: 1, state }, ids, expires: None }
    }

    /// Group 2 below group 1, which is the key's.
    fn line(&self) -> Fresh<Option<Arc<Line>>> {
        let change = self.change();
        let state = |number: u128| GroupState {
            id: group(number),
            archived: number == 1 && change == Some(Change::Archived),
            allow_parent_access: change != Some(Change::ClosedToParents),
        };
        let line = Line { groups: [2, 1].map(state).to_vec(), quotas: Quotas { groups: 1, things: 1 } };
        Fresh { value: Some(Arc::new(line)), ids: vec![*group(2), *group(1)], expires: None }
    }
}

/// Identity as one gateway reaches it.
struct Link {
    truth: Arc<Truth>,
    dice: Dice,
    fault: Mutex<Fault>,
}

impl Link {
    fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// A question on its way there and its answer on its way back.
    async fn carry<A>(&self, question: impl AsyncFnOnce() -> A) -> Result<A, Refusal> {
        let fault = *self.fault.lock().unwrap();
        let fault = if matches!(fault, Fault::Mixed) { self.dice.of(&FAULTS[..5]) } else { fault };
        let (there, back) = match fault {
            Fault::Cut => return Err(unavailable()),
            Fault::Silent => {
                sleep(Duration::from_secs(1)).await;
                return Err(unavailable());
            }
            Fault::None | Fault::Mixed => (self.dice.millis(5), self.dice.millis(5)),
            Fault::Slow => (self.dice.millis(1_000), self.dice.millis(1_000)),
            Fault::Late => (MS, self.dice.millis(1_500)),
        };
        sleep(there).await;
        let answer = question().await;
        sleep(back).await;
        Ok(answer)
    }
}

impl Identity for Link {
    async fn verify(&self, presented: &str) -> Result<Fresh<Proven>, Refusal> {
        assert_eq!(presented, key('a'));
        self.carry(async || self.truth.proven()).await
    }

    async fn check(&self, _: Uuid) -> Result<Fresh<Proven>, Refusal> {
        self.carry(async || self.truth.proven()).await
    }

    async fn group(&self, _: GroupId) -> Result<Fresh<Option<Arc<Line>>>, Refusal> {
        self.carry(async || self.truth.line()).await
    }

    async fn changes(&self, after: u64) -> Result<Changes, Refusal> {
        let wait = async || {
            let asked = Instant::now();
            loop {
                let answer = self.truth.after(after);
                if answer.head != after || asked.elapsed() >= PATIENCE {
                    return answer;
                }
                sleep(10 * MS).await;
            }
        };
        self.carry(wait).await
    }
}

/// One gateway of a trial.
struct Gateway {
    clock: Clock,
    feed: Arc<Feed>,
    link: Arc<Link>,
    callers: Arc<Callers<Link>>,
    /// When the change was acknowledged.
    acknowledged: Arc<Mutex<Option<Duration>>>,
    /// Calls that passed after the acknowledgement: the lease had not ended, so they may.
    late: AtomicUsize,
}

impl Gateway {
    fn new(clock: &Clock, truth: &Arc<Truth>, seed: u64, acknowledged: &Arc<Mutex<Option<Duration>>>) -> Arc<Self> {
        let (clock, feed) = (clock.clone(), Feed::new(clock.clone()));
        let link = Arc::new(Link { truth: truth.clone(), dice: Dice(seed.into()), fault: Mutex::new(Fault::None) });
        let callers = Arc::new(Callers::new(link.clone(), &feed, Guard::new(clock.clone(), None), [3; 32]));
        Arc::new(Self { clock, feed, link, callers, acknowledged: acknowledged.clone(), late: 0.into() })
    }

    /// What a call does before it is sent on.
    async fn passes(&self, path: &str) -> Result<(Known, InGroup), Refusal> {
        let (text, from) = (key('a'), Address::default());
        let number = self.callers.key(&text);
        let known = match self.callers.current(number, from) {
            Some(known) => known?,
            None => self.callers.prove(number, &crate::credential::owned(&text), from).await?,
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
    async fn load(self: Arc<Self>) {
        loop {
            let begun = self.clock.now();
            if self.passes("/one.ontology.v1.ThingService/DeleteThing").await.is_ok() {
                self.passed("a call", begun);
            }
            sleep(self.link.dice.millis(15)).await;
        }
    }

    /// A stream that has a frame every few milliseconds, until it is ended; when, and why.
    async fn watch(self: Arc<Self>) -> (Duration, Reason) {
        let path = "/one.events.v1.EventService/WatchEvents";
        let (known, acting) = self.passes(path).await.unwrap();
        let stream = Stream { known, asked: Some(group(2)), method: methods().get(path).unwrap(), acting };
        let mut standing = Standing::new(self.callers.clone(), stream);
        loop {
            match std::future::poll_fn(|context| standing.poll_stands(context)).await {
                Ok(()) => self.passed("a frame", self.clock.now()),
                Err(refusal) => return (self.clock.now(), refusal.reason()),
            }
            sleep(self.link.dice.millis(30)).await;
        }
    }

    /// The feed as a gateway follows it, one question at a time.
    async fn follow(self: Arc<Self>) {
        self.feed.clone().run(self.link.clone(), CancellationToken::new()).await;
    }

    /// The feed with many questions under way, whose answers come in any order.
    async fn follow_out_of_order(self: Arc<Self>) {
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

/// Lets the simulated clock go with tokio's.
async fn tick(clock: Clock) {
    let mut last = Instant::now();
    loop {
        sleep(MS).await;
        let now = Instant::now();
        clock.advance(now - last);
        last = now;
    }
}

struct Trial {
    dice: Dice,
    clock: Clock,
    truth: Arc<Truth>,
    acknowledged: Arc<Mutex<Option<Duration>>>,
    gateways: Vec<Arc<Gateway>>,
    work: JoinSet<()>,
    watches: JoinSet<(Duration, Reason)>,
}

impl Trial {
    /// Four gateways that answer, with a stream each.
    async fn new(number: u64) -> Trial {
        let (clock, truth, acknowledged) = (Clock::still(Duration::from_secs(1_700_000_000)), Arc::default(), Arc::default());
        let gateways: Vec<_> = (0..GATEWAYS as u64).map(|at| Gateway::new(&clock, &truth, number << 8 | at, &acknowledged)).collect();
        let (mut work, mut watches) = (JoinSet::new(), JoinSet::new());
        work.spawn(tick(clock.clone()));
        for (at, gateway) in gateways.iter().enumerate() {
            if at % 2 == 0 {
                work.spawn(gateway.clone().follow())
            } else {
                work.spawn(gateway.clone().follow_out_of_order())
            };
            work.spawn(gateway.clone().load());
            watches.spawn(gateway.clone().watch());
        }
        sleep(500 * MS).await;
        Trial { dice: Dice((number << 8 | 255).into()), clock, truth, acknowledged, gateways, work, watches }
    }

    /// Faults begin, the change is made and acknowledged, and the faults end.
    async fn run(&mut self, change: Change) {
        for gateway in &self.gateways {
            gateway.link.set(self.dice.of(&FAULTS));
        }
        for _ in 0..self.dice.below(20) {
            // Others' changes, and such as take nothing away: a limit of the group, say.
            self.truth.commit(Uuid::from_u128(self.dice.of(&[1, 2, 7, 100])), None);
            sleep(self.dice.millis(40)).await;
        }
        self.truth.commit(change.subject(), Some(change));
        *self.acknowledged.lock().unwrap() = Some(self.clock.now());
        sleep(Duration::from_secs(2)).await;
        for gateway in &self.gateways {
            gateway.link.set(Fault::None);
        }
        sleep(Duration::from_secs(2)).await;
    }

    /// Every stream has ended within the second; how many calls passed while a lease still allowed it.
    async fn finish(mut self, change: Change) -> usize {
        let acknowledged = self.acknowledged.lock().unwrap().unwrap();
        while let Some(ended) = self.watches.join_next().await {
            let (at, reason) = ended.expect("no frame passes too late");
            let after = at.saturating_sub(acknowledged);
            assert!(after < Duration::from_secs(1), "a stream ended {after:?} after the acknowledgement");
            assert!(matches!(reason, Reason::AccessChanged | Reason::IdentityUnavailable), "{reason:?}");
        }
        for gateway in &self.gateways {
            let refusal = gateway.passes("/one.ontology.v1.ThingService/DeleteThing").await.unwrap_err();
            let expected = match change {
                Change::Revoked => Reason::KeyRevoked,
                Change::Archived | Change::ClosedToParents => Reason::GroupNotFound,
                Change::RoleLowered => Reason::InsufficientRole,
                Change::ScopesNarrowed => Reason::InsufficientScopes,
            };
            assert_eq!(refusal.reason(), expected);
        }
        if let Some(ended) = self.work.try_join_next() {
            ended.expect("no call passes too late");
        }
        self.gateways.iter().map(|gateway| gateway.late.load(SeqCst)).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_is_heard_of_identity_nothing_passes_one_lease_after_the_acknowledgement() {
    let mut late = 0;
    for number in 0..TRIALS {
        let change = CHANGES[number as usize % CHANGES.len()];
        let mut trial = Trial::new(number).await;
        trial.run(change).await;
        late += trial.finish(change).await;
        println!("trial {number}: {change:?}");
    }
    assert!(late > 100, "the caches were in use when rights were taken away: {late}");
}

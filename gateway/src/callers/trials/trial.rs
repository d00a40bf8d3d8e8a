//! One trial.

use super::{Change, Dice, FAULTS, Fault, Gateway, MS, Truth};
use chassis::clock::Clock;
use contract::Reason;
use std::{
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

const GATEWAYS: usize = 4;

/// Four gateways, and what is done to them.
pub(super) struct Trial {
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
    pub(super) async fn new(number: u64) -> Trial {
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
        Trial { dice: Dice::new(number << 8 | 255), clock, truth, acknowledged, gateways, work, watches }
    }

    /// Faults begin, the change is made and acknowledged, and the faults end.
    pub(super) async fn run(&mut self, change: Change) {
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
    pub(super) async fn finish(mut self, change: Change) -> usize {
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

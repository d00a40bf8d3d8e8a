//! The way from a gateway to identity, and what befalls it.

use super::{Dice, MS, Truth};
use crate::credential::tests::key;
use chassis::changes::{Changes, Fresh, Identity, Line, Proven, unavailable};
use contract::{Refusal, id::GroupId};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// How long identity lets a question without news wait.
const PATIENCE: Duration = Duration::from_millis(200);

/// What happens to what is sent between a gateway and identity.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
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

pub(super) const FAULTS: [Fault; 6] = [Fault::None, Fault::Slow, Fault::Late, Fault::Cut, Fault::Silent, Fault::Mixed];

/// Identity as one gateway reaches it.
pub(super) struct Link {
    truth: Arc<Truth>,
    pub(super) dice: Dice,
    fault: Mutex<Fault>,
}

impl Link {
    /// One that works.
    pub(super) fn new(truth: &Arc<Truth>, number: u64) -> Self {
        Self { truth: truth.clone(), dice: Dice::new(number), fault: Mutex::new(Fault::None) }
    }

    pub(super) fn set(&self, fault: Fault) {
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

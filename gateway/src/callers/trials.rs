//! A hundred trials of what takes rights away, each with four gateways that hear of identity late, out of order, or not at all.
//!
//! Time is simulated and all chance comes from the trial's number, so a trial that fails fails again. What is asserted is the arithmetic:
//! a call that began later than the acknowledgement and one lease is refused by every gateway, and no frame of a stream passes then.

#![allow(clippy::unwrap_used)]

mod change;
mod dice;
mod gateway;
mod link;
mod trial;
mod truth;

use change::{CHANGES, Change};
use dice::Dice;
use gateway::Gateway;
use link::{FAULTS, Fault, Link};
use std::time::Duration;
use trial::Trial;
use truth::Truth;

const TRIALS: u64 = 100;
const MS: Duration = Duration::from_millis(1);

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

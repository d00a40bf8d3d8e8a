//! Calls that come when they are due, whether the last were answered or not.

use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// Looks every millisecond which calls are due, and has them started: each with its number and when it was due.
pub(crate) async fn pace(per_second: f64, time: Duration, mut start: impl FnMut(usize, Instant)) {
    let count = (time.as_secs_f64() * per_second) as usize;
    let mut every = interval(Duration::from_millis(1));
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (begun, mut started) = (Instant::now(), 0);
    while started < count {
        every.tick().await;
        let due = count.min((begun.elapsed().as_secs_f64() * per_second) as usize + 1);
        for number in started..due {
            start(number, begun + Duration::from_secs_f64(number as f64 / per_second));
        }
        started = due;
    }
}

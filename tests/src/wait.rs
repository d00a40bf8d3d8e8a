//! Waiting for conditions.

use std::{
    future::Future,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer; panics with `what` if none comes for so long that none will.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl FnMut() -> F) -> T {
    within(PATIENCE, what, ask).await
}

/// The same with a bound of its own.
///
/// # Panics
/// If the time is over.
pub async fn within<T, F: Future<Output = Option<T>>>(patience: Duration, what: &str, mut ask: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < patience, "waited {patience:?} for: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

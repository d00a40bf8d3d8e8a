//! A thread of its own for what has to be on time however busy all others are: the change feed, whose lease is shorter than a line of calls
//! may be, and the admin port, where an orchestrator asks whether this process lives.

use crate::failure::Failure;
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The thread, and its runtime; both end when it is dropped.
pub(crate) struct Vital {
    runtime: Handle,
    _end: DropGuard,
}

impl Vital {
    /// Nothing runs on it yet.
    pub(crate) fn start() -> Result<Vital, Failure> {
        let none = |error| Failure::start(format!("no thread for what must be on time: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(none)?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone();
        thread::Builder::new().name("vital".to_owned()).spawn(move || runtime.block_on(ended.cancelled())).map_err(none)?;
        Ok(Vital { runtime: handle, _end: end.drop_guard() })
    }

    /// Where to spawn.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};

    /// What takes every thread of the runtime it stands in stops nothing here.
    #[tokio::test]
    async fn it_runs_while_all_other_threads_are_taken() {
        let vital = Vital::start().unwrap_or_else(|_| panic!("a thread"));
        let (said, hears) = mpsc::channel();
        vital.runtime().spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let _ = said.send(());
        });
        // Blocks the only thread of this test's runtime.
        assert!(hears.recv_timeout(Duration::from_secs(60)).is_ok());
    }

    #[test]
    fn what_runs_on_it_ends_with_it() {
        let vital = Vital::start().unwrap_or_else(|_| panic!("a thread"));
        let (held, hears) = mpsc::channel::<()>();
        vital.runtime().spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(vital);
        assert_eq!(hears.recv_timeout(Duration::from_secs(60)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}

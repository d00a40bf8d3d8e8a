//! Whether the store of a service answers, and who is told.

use chassis::{admin::Need, health::Health};
use std::time::Duration;
use store::Db;
use tokio_util::sync::CancellationToken;

/// Between two looks. Whoever sends calls here asks not much more often.
const LOOK: Duration = Duration::from_secs(1);

/// The store of one service of this process, and what its answers mean: for readiness the whole process, for `grpc.health.v1` the service.
pub(crate) struct Pulse {
    pub(crate) service: &'static str,
    pub(crate) db: Db,
    pub(crate) health: Health,
    pub(crate) need: Need,
}

impl Pulse {
    /// Until `stop`. It begins with a store that answers, for it was opened just now.
    pub(crate) async fn run(self, stop: CancellationToken) {
        self.tell(true).await;
        stop.run_until_cancelled(self.look()).await;
    }

    async fn look(&self) {
        let mut answered = true;
        loop {
            tokio::time::sleep(LOOK).await;
            let answer = self.db.answers().await;
            if answer.is_ok() != answered {
                answered = !answered;
                self.tell(answered).await;
                match answer {
                    Ok(()) => tracing::info!(service = self.service, "the store answers again"),
                    Err(error) => tracing::warn!(service = self.service, %error, "the store does not answer"),
                }
            }
        }
    }

    async fn tell(&self, answers: bool) {
        self.need.set(answers);
        self.health.all(answers).await;
    }
}

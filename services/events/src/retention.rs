//! How long what is on record is kept: identity tells it, and from time to time what is too old goes.

use crate::{log::Log, request_log::RequestLog};
use contract::{
    Refusal,
    id::GroupId,
    internal::v1::{SetRetentionRequest, SetRetentionResponse, retention_service_server::RetentionService},
};
use std::{collections::BTreeMap, time::Duration};
use store::{At, Db, Result, powers};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// How often what is too old is looked for.
const PAUSE: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);

/// Takes what is too old out of both logs. Clones are the same.
#[derive(Clone)]
pub(crate) struct Retention {
    pub(crate) db: Db,
    pub(crate) log: Log,
    pub(crate) requests: RequestLog,
}

impl Retention {
    /// Until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        while let Some(done) = stop.run_until_cancelled(self.retain()).await {
            if let Err(error) = done {
                tracing::warn!(%error, "retention");
            }
            stop.run_until_cancelled(sleep(PAUSE)).await;
        }
    }

    /// Goes once through all groups that were told of; the others keep what they have. Two replicas may do so at once: what the other took
    /// is gone.
    pub(crate) async fn retain(&self) -> Result<()> {
        let mut after = GroupId::default();
        loop {
            let some = self.told(after).await?;
            let Some((last, _)) = some.last() else { break };
            after = *last;
            let now = At(self.db.clock().micros());
            for (group, days) in some {
                let keep_from = now.earlier(DAY * u32::try_from(days).unwrap_or(u32::MAX));
                while self.log.retain(group, keep_from).await? {}
                while self.requests.retain(group, keep_from).await? {}
            }
        }
        self.requests.retain_sources().await
    }

    async fn told(&self, after: GroupId) -> Result<Vec<(GroupId, i64)>> {
        let system = self.db.system("retention goes through all groups");
        system.sql("select group_id, days from retention where group_id > $1 order by group_id limit 500").bind(after).all().await
    }

    /// Keeps what was told; what was known already is not written.
    async fn set(&self, told: &SetRetentionRequest) -> Result<()> {
        let days = |of: &contract::internal::v1::Retention| Some((Uuid::from_slice(&of.group_id).ok()?, of.days.max(1)));
        let days: BTreeMap<Uuid, i64> = told.retentions.iter().filter_map(days).collect();
        let mut tx = self.db.system("how long each group keeps its records is identity's to tell").begin().await?;
        if let Ok(platform) = Uuid::from_slice(&told.platform_id) {
            let keep = tx.sql("insert into platform (name, group_ref) values ($1, $2) on conflict (name) do nothing");
            keep.bind("platform").bind(platform).run().await?;
        }
        for some in powers(&days.into_iter().collect::<Vec<_>>()) {
            tx.sql("insert into retention (group_id, days) values ")
                .rows(some, 2, |sql, (group, days)| sql.bind(*group).bind(*days))
                .push(" on conflict (group_id) do update set days = excluded.days where retention.days <> excluded.days")
                .run()
                .await?;
        }
        tx.commit().await
    }
}

#[tonic::async_trait]
impl RetentionService for Retention {
    async fn set_retention(&self, request: Request<SetRetentionRequest>) -> std::result::Result<Response<SetRetentionResponse>, Status> {
        self.set(request.get_ref()).await.map_err(Refusal::from)?;
        Ok(Response::new(SetRetentionResponse {}))
    }
}

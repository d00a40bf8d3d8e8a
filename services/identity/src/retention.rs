//! Telling the events service how long what is on record of each group is kept, and which group is the platform's.

use crate::{Identity, tiers::Tier};
use contract::{
    id::GroupId,
    internal::v1::{Retention, SetRetentionRequest, retention_service_client::RetentionServiceClient},
};
use prost::bytes::Bytes;
use std::{future::Future, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, StdError},
};

/// How often all of it is told: so long may a changed tier take to count.
const PAUSE: Duration = Duration::from_secs(60);
/// After an error.
const AGAIN: Duration = Duration::from_millis(200);

/// `RetentionService.SetRetention`, here or at the end of a channel.
pub trait Keeper: Send + Sync + 'static {
    /// Tells it.
    fn set(&self, told: SetRetentionRequest) -> impl Future<Output = Result<(), Status>> + Send;
}

impl<T> Keeper for RetentionServiceClient<T>
where
    T: GrpcService<Body, Future: Send, Error: Into<StdError>> + Clone + Send + Sync + 'static,
    T::ResponseBody: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    async fn set(&self, told: SetRetentionRequest) -> Result<(), Status> {
        self.clone().set_retention(told).await.map(drop)
    }
}

/// Why it was not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the events service does not take it: {0}")]
    Keeper(#[from] Box<Status>),
}

impl Identity {
    /// Tells it again and again, until `stop`.
    pub(crate) async fn tell_retention(&self, keeper: &impl Keeper, stop: &CancellationToken) {
        while let Some(told) = stop.run_until_cancelled(self.tell_all(keeper)).await {
            let pause = match told {
                Ok(()) => PAUSE,
                Err(error) => {
                    tracing::debug!(%error, "how long records are kept could not be told");
                    AGAIN
                }
            };
            stop.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// Tells it once, of all groups.
    pub(crate) async fn tell_all(&self, keeper: &impl Keeper) -> Result<(), Error> {
        let platform_id = self.platform().await?;
        let mut after = GroupId::default();
        loop {
            let some = self.tiers_after(after).await?;
            let Some((last, _)) = some.last() else { return Ok(()) };
            after = *last;
            let retentions = some.iter().map(|(group, tier)| Retention { group_id: bytes(*group), days: days(tier) }).collect();
            keeper.set(SetRetentionRequest { retentions, platform_id: platform_id.clone() }).await.map_err(Box::new)?;
        }
    }

    async fn tiers_after(&self, after: GroupId) -> store::Result<Vec<(GroupId, String)>> {
        self.db
            .system("how long the records of all tenants are kept")
            .sql(
                "select g.group_id, (select r.tier from groups r where r.group_id = g.root_id) as tier
                 from groups g where g.group_id > $1 order by g.group_id limit 500",
            )
            .bind(after)
            .all()
            .await
    }

    async fn platform(&self) -> store::Result<Bytes> {
        let system = self.db.system("the platform's group is nobody's tenant");
        let row: Option<(GroupId,)> = system.sql("select group_ref from bootstrap where name = $1").bind("platform").opt().await?;
        Ok(row.map(|(group,)| bytes(group)).unwrap_or_default())
    }
}

/// A tier of a newer release keeps rather too long.
fn days(tier: &str) -> i64 {
    Tier::parse(tier).unwrap_or(Tier::Enterprise).days_kept()
}

fn bytes(group: GroupId) -> Bytes {
    Bytes::copy_from_slice(group.as_bytes())
}

#[cfg(test)]
mod tests;

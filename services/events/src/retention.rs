//! How long what is on record is kept: identity knows the tiers, and from time to time what is too old goes.

use crate::{log::Log, request_log::RequestLog};
use bytes::Bytes;
use chassis::upstream::Client;
use contract::{
    id::GroupId,
    internal::v1::{GetRetentionRequest, retention_service_client::RetentionServiceClient},
};
use std::time::Duration;
use store::At;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How often what is too old is looked for.
const PAUSE: Duration = Duration::from_secs(600);
/// How often identity is asked for what it did not say.
const AGAIN: Duration = Duration::from_millis(200);
const DAY: Duration = Duration::from_secs(86_400);

/// Who knows how long the records of groups are kept.
pub trait Tiers: Send + Sync + 'static {
    /// Of these groups.
    fn retention(&self, groups: &[GroupId]) -> impl Future<Output = Result<Kept, Status>> + Send;
}

/// What is kept for how long.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Groups that exist, and for how many days.
    pub days: Vec<(GroupId, u32)>,
    /// The platform's own group, once it exists.
    pub platform: Option<GroupId>,
}

/// Identity at the end of a channel.
pub struct Identity(RetentionServiceClient<Client>);

impl Identity {
    /// Over a channel that signs for identity.
    #[must_use]
    pub fn new(channel: Client) -> Self {
        Self(RetentionServiceClient::new(channel))
    }
}

impl Tiers for Identity {
    async fn retention(&self, groups: &[GroupId]) -> Result<Kept, Status> {
        let ids = groups.iter().map(|group| Bytes::copy_from_slice(group.as_bytes())).collect();
        let answer = self.0.clone().get_retention(GetRetentionRequest { ids }).await?.into_inner();
        let days = answer.retentions.iter().filter_map(|of| Some((GroupId::from_slice(&of.group_id)?, u32::try_from(of.days).ok()?)));
        Ok(Kept { days: days.collect(), platform: GroupId::from_slice(&answer.platform_id) })
    }
}

/// Why nothing went.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("identity does not say how long records are kept: {0}")]
    Identity(#[from] Box<Status>),
}

/// Takes what is too old out of both logs.
pub(crate) struct Retention<T> {
    pub(crate) log: Log,
    pub(crate) requests: RequestLog,
    pub(crate) tiers: T,
}

impl<T: Tiers> Retention<T> {
    /// Until `stop`.
    pub(crate) async fn run(self, stop: &CancellationToken) {
        while let Some(false) = stop.run_until_cancelled(self.meet()).await {
            stop.run_until_cancelled(sleep(AGAIN)).await;
        }
        while let Some(done) = stop.run_until_cancelled(self.retain()).await {
            if let Err(error) = done {
                tracing::warn!(%error, "retention");
            }
            stop.run_until_cancelled(sleep(PAUSE)).await;
        }
    }

    /// Learns which group is the platform's. Identity may start after this service.
    async fn meet(&self) -> bool {
        let platform = self.tiers.retention(&[]).await.ok().and_then(|kept| kept.platform);
        if let Some(platform) = platform {
            self.requests.belongs_to(platform);
        }
        platform.is_some()
    }

    /// Goes once through all groups. Two replicas may do so at once: what the other took is gone.
    pub(crate) async fn retain(&self) -> Result<(), Error> {
        let mut after = GroupId::default();
        loop {
            let some = self.groups(after).await?;
            let Some(last) = some.last() else { break };
            after = *last;
            for (group, keep_from) in self.keep_from(&some).await? {
                while self.log.retain(group, keep_from).await? {}
                while self.requests.retain(group, keep_from).await? {}
            }
        }
        Ok(self.requests.retain_sources().await?)
    }

    /// Groups with something in one of the logs, after that one.
    async fn groups(&self, after: GroupId) -> Result<Vec<GroupId>, Error> {
        let groups: Vec<(GroupId,)> = self
            .requests
            .db
            .system("retention goes through all groups")
            .sql(
                "select group_id from log_group where group_id > $1 union select group_id from request_group where group_id > $1
                 order by group_id limit 500",
            )
            .bind(after)
            .all()
            .await?;
        Ok(groups.into_iter().map(|(group,)| group).collect())
    }

    /// A group that identity does not know keeps what it has: to forget takes somebody who says so.
    async fn keep_from(&self, groups: &[GroupId]) -> Result<Vec<(GroupId, At)>, Error> {
        let kept = self.tiers.retention(groups).await.map_err(Box::new)?;
        let now = At(self.requests.db.clock().micros());
        Ok(kept.days.into_iter().map(|(group, days)| (group, now.earlier(DAY * days))).collect())
    }
}

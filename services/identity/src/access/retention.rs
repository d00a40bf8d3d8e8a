//! How long what is on record of groups is kept, and which group is the platform's: for the events service.

use super::{padded, raw, uuids};
use crate::{Identity, tiers::Tier};
use contract::{
    Refusal,
    internal::v1::{GetRetentionRequest, GetRetentionResponse, Retention, retention_service_server::RetentionService},
};
use store::Db;
use tonic::{Request, Response, Status};
use uuid::Uuid;

#[tonic::async_trait]
impl RetentionService for Identity {
    async fn get_retention(&self, request: Request<GetRetentionRequest>) -> Result<Response<GetRetentionResponse>, Status> {
        let retentions = of(&self.db, &uuids(&request.get_ref().ids)?).await?;
        let platform = platform(&self.db).await?;
        Ok(Response::new(GetRetentionResponse { retentions, platform_id: platform.as_ref().map(raw).unwrap_or_default() }))
    }
}

/// Of these groups, in no order; those that are none are left out.
async fn of(db: &Db, ids: &[Uuid]) -> Result<Vec<Retention>, Refusal> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let select = db.system("what is kept of all tenants is the platform's to know").sql(
        "select g.group_id, (select r.tier from groups r where r.group_id = g.root_id) as tier
         from groups g
         where g.group_id in (",
    );
    let tiers: Vec<(Uuid, String)> = select.rows(&padded(ids), 1, |sql, id| sql.bind(*id)).push(")").all().await?;
    let days = |tier: &str| Tier::parse(tier).unwrap_or(Tier::Enterprise).days_kept(); // a tier of a newer release: rather too long
    Ok(tiers.iter().map(|(group, tier)| Retention { group_id: raw(group), days: days(tier) }).collect())
}

/// The platform's own group, once the first start has made it.
async fn platform(db: &Db) -> Result<Option<Uuid>, Refusal> {
    let row: Option<(Uuid,)> =
        db.system("the platform's group is nobody's tenant").sql("select group_ref from bootstrap where name = $1").bind("platform").opt().await?;
    Ok(row.map(|(group,)| group))
}

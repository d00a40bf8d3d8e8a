//! Who am I.

use crate::access::standing;
use chassis::principal::Principal;
use contract::{
    Refusal,
    identity::v1::{Caller, Limit},
};
use prost_types::Duration;
use store::{At, Db};

/// The caller as the platform sees it. What is spent is the credential's own group's; what there may be is the acting group's.
pub(crate) async fn caller(principal: &Principal, db: &Db) -> Result<Caller, Refusal> {
    let known = standing::by_id(db, &[principal.credential.id]).await?.pop();
    let limit = |name: &str, quota: i64, seconds: Option<i64>| Limit {
        name: name.to_owned(),
        quota,
        window: seconds.map(|seconds| Duration { seconds, nanos: 0 }),
    };
    let mut limits = Vec::new();
    if let Some(known) = &known {
        let allowed = known.limits();
        for (prefix, rate) in [("", allowed.key), ("organisation-", allowed.organisation)] {
            limits.push(limit(&format!("{prefix}minute"), rate.minute, Some(60)));
            limits.push(limit(&format!("{prefix}day"), rate.day, Some(86_400)));
        }
    }
    limits.push(limit("groups", principal.quotas.groups, None));
    limits.push(limit("things", principal.quotas.things, None));
    Ok(Caller {
        actor: Some(principal.actor_message()),
        key: known.map(|known| known.key.message(At(db.clock().micros()))),
        home_group_id: principal.home.to_string(),
        group_id: principal.group.to_string(),
        root_id: principal.root.to_string(),
        role: principal.role.word().to_owned(),
        scopes: principal.scopes.words().into_iter().map(str::to_owned).collect(),
        limits,
    })
}

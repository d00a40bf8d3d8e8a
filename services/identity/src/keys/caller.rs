//! Who am I.

use crate::access::standing;
use chassis::{left::Left, principal::Principal};
use contract::{
    Refusal,
    identity::v1::{Caller, Limit},
};
use prost_types::{Duration, Timestamp};
use store::{At, Db};

/// The caller as the platform sees it. What is spent is the credential's own group's; what there may be is the acting group's; what is left,
/// only the gateway knows.
pub(crate) async fn caller(principal: &Principal, db: &Db, left: &[Left<'_>]) -> Result<Caller, Refusal> {
    let known = standing::by_id(db, &[principal.credential.id]).await?.pop();
    let mut limits = Vec::new();
    if let Some(known) = &known {
        let allowed = known.limits();
        for (prefix, rate) in [("", allowed.key), ("organisation-", allowed.organisation)] {
            limits.push(window(format!("{prefix}minute"), rate.minute, 60, left));
            limits.push(window(format!("{prefix}day"), rate.day, 86_400, left));
        }
    }
    for (name, quota) in [("groups", principal.quotas.groups), ("things", principal.quotas.things)] {
        limits.push(Limit { name: name.to_owned(), quota, ..Limit::default() });
    }
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

/// A window of requests, and what is left of it if the gateway counts it.
fn window(name: String, quota: i64, seconds: i64, left: &[Left<'_>]) -> Limit {
    let left = left.iter().find(|left| left.name == name);
    let shown = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Limit {
        name,
        quota,
        window: Some(Duration { seconds, nanos: 0 }),
        remaining: left.map(|left| shown(left.requests)),
        reset_time: left.map(|left| Timestamp { seconds: shown(left.resets), nanos: 0 }),
    }
}

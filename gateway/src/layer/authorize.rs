//! Scope, role, acting group; and once an answer streams, whether all of it still holds.

use crate::{
    call::Call,
    callers::Callers,
    stack::{Answer, Layer, Next},
    standing::{Standing, Stream},
};
use chassis::changes::Identity;
use contract::{Reason, Refusal, id::GroupId};
use http::{HeaderMap, HeaderName};
use std::sync::Arc;

const GROUP: HeaderName = HeaderName::from_static("x-group-id");

/// The layer.
pub struct Authorize<I>(pub Arc<Callers<I>>);

/// The group that is asked for.
fn asked(headers: &HeaderMap) -> Result<Option<GroupId>, Refusal> {
    let mut sent = headers.get_all(GROUP).iter();
    let Some(first) = sent.next() else { return Ok(None) };
    let same = sent.all(|other| other == first);
    let group = first.to_str().ok().filter(|_| same).and_then(GroupId::parse);
    group.map(Some).ok_or_else(malformed)
}

fn malformed() -> Refusal {
    Refusal::new(Reason::InvalidMetadata, "x-group-id must be the id of one group, a UUID")
        .with("header", "x-group-id")
        .field("x-group-id", "is not a UUID")
}

impl<I: Identity> Authorize<I> {
    /// Ends an open stream as soon as it could not be opened again, and lets nothing pass while that is not known.
    fn watch(&self, call: &mut Call) {
        let (Some(known), Some(acting)) = (call.caller.clone(), call.acting) else { return };
        let stream = Stream { known, asked: call.asked, method: call.method(), acting };
        call.ends.standing = Some(Box::new(Standing::new(self.0.clone(), stream)));
    }
}

impl<I: Identity> Layer for Authorize<I> {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        let Some(known) = &call.caller else { return next.call(call).await }; // a public call of nobody, in no group
        call.asked = asked(call.headers())?;
        call.acting = Some(self.0.acting(&known.caller, call.asked, call.method()).await?);
        if let (Some(trace), Some(group)) = (&call.trace, call.acting) {
            trace.in_group(group.acting.group);
        }
        let answer = next.call(call).await?;
        if call.method().server_streaming {
            self.watch(call);
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::{House, call, caller, group, ok, routed};
    use chassis::principal::Grant;
    use contract::{Role, Scope, Scopes};
    use std::{future::poll_fn, task::Poll, time::Duration};

    const GET: &str = "/one.ontology.v1.ThingService/GetThing";
    const KEYS: &str = "/one.identity.v1.KeyService/ListKeys";
    const WATCH: &str = "/one.events.v1.EventService/WatchEvents";

    /// Group 1 is an organisation; 2 stands below it, 3 below 2; 4 is another's, 5 archived; 2 allows access from above, 3 does not.
    async fn acts(role: Role, scopes: Scopes, path: &str, asked: Option<&str>) -> Result<(u128, Role, bool), Reason> {
        let house = House::new();
        let mut call = routed(call(path, &asked.map(|group| ("x-group-id", group)).into_iter().collect::<Vec<_>>()));
        call.caller = Some(caller(1, |caller| (caller.grants, caller.scopes) = (vec![Grant { group: group(1), role }], scopes)));
        Authorize(house.callers.clone()).call(&mut call, &|_: &mut Call| ok()).await.map_err(|refusal| refusal.reason())?;
        let acting = call.acting.unwrap().acting;
        Ok((acting.group.as_u128(), acting.role, acting.inherited))
    }

    #[tokio::test]
    async fn the_acting_group_is_home_or_one_below_and_everything_else_is_not_found() {
        let id = |number: u128| uuid::Uuid::from_u128(number).to_string();
        let (second, third) = (id(2), id(3));
        for (path, asked, expected) in [
            (GET, None, Ok((1, Role::GroupOwner, false))),
            (GET, Some(second.as_str()), Ok((2, Role::GroupOwner, true))),
            (GET, Some(&third), Err(Reason::GroupNotFound)),
            (KEYS, Some(&third), Ok((3, Role::GroupOwner, true))),
            (GET, Some(&id(4)), Err(Reason::GroupNotFound)),
            (GET, Some(&id(5)), Err(Reason::GroupNotFound)),
            (GET, Some(&id(99)), Err(Reason::GroupNotFound)),
            (GET, Some("nonsense"), Err(Reason::InvalidMetadata)),
            (GET, Some(""), Err(Reason::InvalidMetadata)),
        ] {
            assert_eq!(acts(Role::GroupOwner, Scopes::ALL, path, asked).await, expected, "{path} {asked:?}");
        }
    }

    #[tokio::test]
    async fn a_missing_scope_and_a_missing_role_are_told_apart() {
        let keys = Scopes::of(Scope::ApiKeysManage);
        assert_eq!(acts(Role::GroupOwner, keys, GET, None).await, Err(Reason::InsufficientScopes));
        assert_eq!(acts(Role::Customer, Scopes::ALL, KEYS, None).await.err(), Some(Reason::InsufficientRole));
    }

    #[tokio::test]
    async fn two_groups_in_one_call_are_malformed() {
        let house = House::new();
        let mut call = routed(call(GET, &[("x-group-id", &group(1).to_string()), ("x-group-id", &group(2).to_string())]));
        call.caller = Some(caller(1, |_| ()));
        let refusal = Authorize(house.callers.clone()).call(&mut call, &|_: &mut Call| ok()).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::InvalidMetadata);
    }

    /// What ends a silent stream of key 1 after `change`.
    async fn ends(change: impl AsyncFnOnce(&House)) -> Refusal {
        let house = House::new();
        let mut call = routed(call(WATCH, &[]));
        call.caller = Some(house.known().await);
        Authorize(house.callers.clone()).call(&mut call, &|_: &mut Call| ok()).await.unwrap();
        let mut standing = std::mem::take(&mut call.ends).standing.unwrap();
        let mut ended = std::pin::pin!(poll_fn(|context| match standing.poll_stands(context) {
            Poll::Ready(Err(refusal)) => Poll::Ready(refusal),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }));
        assert!(tokio::time::timeout(Duration::from_secs(5), &mut ended).await.is_err(), "nothing has changed");
        change(&house).await;
        ended.await
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_key_is_revoked_its_group_archived_or_identity_is_gone() {
        let revoked = ends(async |house| {
            house.identity.revoke();
            house.news();
        });
        assert_eq!(revoked.await.reason(), Reason::AccessChanged);
        let archived = ends(async |house| {
            house.identity.archive(1);
            house.news();
        });
        assert_eq!(archived.await.reason(), Reason::AccessChanged);
        let away = ends(async |house| {
            house.identity.leave();
            house.clock.advance(chassis::changes::LEASE);
        });
        assert_eq!(away.await.reason(), Reason::IdentityUnavailable);
    }
}

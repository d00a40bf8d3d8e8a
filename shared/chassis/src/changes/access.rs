//! Identity, asked over its own service.

use super::{
    Caller, Changes, Fresh, Identity, Line, Proven,
    batch::Batch,
    caller::{refused, unproven},
    unavailable,
};
use crate::clock::Clock;
use bytes::Bytes;
use contract::{
    Reason, Refusal,
    id::GroupId,
    internal::v1::{
        self, CheckCredentialsRequest, Credential, GetGroupsRequest, ListChangesRequest, VerifyCredentialRequest,
        access_service_client::AccessServiceClient, credential::State,
    },
};
use http_body::Body;
use std::{collections::HashMap, error::Error, future::Future, sync::Arc, time::Duration};
use tonic::{Code, Status, client::GrpcService};
use uuid::Uuid;

/// A proof may wait in identity's queue of hashes.
const PROOF: Duration = Duration::from_secs(5);

/// Asks identity over a client channel, [`Client`](crate::upstream::Client) as a rule.
pub struct Access<T> {
    client: AccessServiceClient<T>,
    clock: Clock,
    credentials: Batch<Credential>,
    lines: Batch<v1::Line>,
}

impl<T> Access<T>
where
    T: GrpcService<tonic::body::Body, Future: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
    T::ResponseBody: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>> + Send> + Send + 'static,
{
    /// Asks over this channel, which signs for identity.
    pub fn new(channel: T, clock: Clock) -> Self {
        let client = AccessServiceClient::new(channel);
        let (checks, groups) = (client.clone(), client.clone());
        Self {
            client,
            clock,
            credentials: Batch::new(move |ids| check(checks.clone(), ids)),
            lines: Batch::new(move |ids| lines(groups.clone(), ids)),
        }
    }

    fn proven(&self, credential: &Credential) -> Result<Fresh<Proven>, Refusal> {
        let id = id(&credential.id)?;
        let mut expires = None;
        let state = match &credential.state {
            Some(State::Standing(standing)) => {
                expires = Some(standing.expire_micros).filter(|at| *at > 0);
                Ok(Arc::new(Caller::read(id, standing).ok_or_else(|| unreadable("a standing"))?))
            }
            Some(State::Refused(reason)) => Err(refused(id, Reason::try_from(*reason).unwrap_or_default())),
            None => return Err(unreadable("a credential without state")),
        };
        let ids = credential.depends_on.iter().map(|of| self::id(of)).chain([Ok(id)]).collect::<Result<_, _>>()?;
        let home = GroupId::from_slice(&credential.group_id).unwrap_or_default();
        Ok(Fresh { value: Proven { credential: id, home, proved: self.clock.micros(), state }, ids, expires })
    }
}

impl<T> Identity for Access<T>
where
    T: GrpcService<tonic::body::Body, Future: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
    T::ResponseBody: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>> + Send> + Send + 'static,
{
    async fn verify(&self, presented: &str) -> Result<Fresh<Proven>, Refusal> {
        let mut client = self.client.clone();
        let request = VerifyCredentialRequest { presented: presented.to_owned() };
        let answer = within(PROOF, client.verify_credential(request)).await;
        self.proven(&answer.map_err(no_proof)?.into_inner())
    }

    async fn check(&self, credential: Uuid) -> Result<Fresh<Proven>, Refusal> {
        match self.credentials.ask(credential).await? {
            Some(known) => self.proven(&known),
            None => Ok(Fresh {
                value: Proven { credential, home: GroupId::default(), proved: 0, state: Err(unproven()) },
                ids: vec![credential],
                expires: None,
            }),
        }
    }

    async fn group(&self, group: GroupId) -> Result<Fresh<Option<Arc<Line>>>, Refusal> {
        let line = self.lines.ask(*group).await?;
        let line = line.map(|line| Line::read(&line).ok_or_else(|| unreadable("a group"))).transpose()?;
        let above = line.iter().flat_map(|line| &line.groups).map(|group| *group.id);
        let ids = [*group].into_iter().chain(above.filter(|id| *id != *group)).collect();
        Ok(Fresh { value: line.map(Arc::new), ids, expires: None })
    }

    async fn changes(&self, after: u64) -> Result<Changes, Refusal> {
        let answer = self.client.clone().list_changes(ListChangesRequest { after }).await.map_err(away)?.into_inner();
        let ids = answer.ids.iter().map(|id| self::id(id)).collect::<Result<_, _>>()?;
        Ok(Changes { after: answer.after, head: answer.head, ids, reset: answer.reset })
    }
}

async fn check<T>(mut client: AccessServiceClient<T>, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Credential>, Refusal>
where
    T: GrpcService<tonic::body::Body, Error: Into<Box<dyn Error + Send + Sync>>>,
    T::ResponseBody: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>> + Send> + Send + 'static,
{
    let answer = client.check_credentials(CheckCredentialsRequest { ids: raw(&ids) }).await.map_err(away)?;
    answer.into_inner().credentials.into_iter().map(|credential| Ok((id(&credential.id)?, credential))).collect()
}

async fn lines<T>(mut client: AccessServiceClient<T>, ids: Vec<Uuid>) -> Result<HashMap<Uuid, v1::Line>, Refusal>
where
    T: GrpcService<tonic::body::Body, Error: Into<Box<dyn Error + Send + Sync>>>,
    T::ResponseBody: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>> + Send> + Send + 'static,
{
    let answer = client.get_groups(GetGroupsRequest { ids: raw(&ids) }).await.map_err(away)?;
    let first = |line: &v1::Line| line.groups.first().map(|group| id(&group.id));
    answer.into_inner().lines.into_iter().filter_map(|line| Some(first(&line)?.map(|id| (id, line)))).collect()
}

async fn within<A>(limit: Duration, answer: impl Future<Output = Result<A, Status>>) -> Result<A, Status> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("identity did not answer")))
}

fn raw(ids: &[Uuid]) -> Vec<Bytes> {
    ids.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect()
}

fn id(bytes: &[u8]) -> Result<Uuid, Refusal> {
    Uuid::from_slice(bytes).map_err(|_| unreadable("an id"))
}

/// Identity says what this build does not know: as good as no answer.
fn unreadable(what: &str) -> Refusal {
    tracing::error!(what, "identity answered what cannot be read; is it of another release?");
    unavailable()
}

fn away(status: Status) -> Refusal {
    tracing::warn!(code = ?status.code(), message = status.message(), "identity does not answer");
    unavailable()
}

/// That the credential is none, identity says with one code; everything else is no answer.
fn no_proof(status: Status) -> Refusal {
    if status.code() == Code::Unauthenticated && is_unproven(&status) { unproven() } else { away(status) }
}

/// UNAUTHENTICATED is also the answer to a gateway that identity does not trust, which must not look like a wrong key.
fn is_unproven(status: &Status) -> bool {
    use tonic_types::StatusExt;
    status.get_details_error_info().is_some_and(|info| info.reason == Reason::InvalidApiKey.word())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::principal::{ActorKind, CredentialKind, refused as untrusted};
    use contract::{
        Role, Scopes,
        internal::v1::{
            CheckCredentialsResponse, GetGroupsResponse, Grant, GroupState, ListChangesResponse, Rate, Standing,
            access_service_server::{AccessService, AccessServiceServer},
        },
    };
    use tonic::{Request, Response};

    /// Key 1 stands, 2 is revoked, 3 is what no build knows, all others are unknown.
    #[derive(Clone)]
    struct Fake;

    fn bytes(number: u128) -> Bytes {
        Bytes::copy_from_slice(Uuid::from_u128(number).as_bytes())
    }

    fn credential(number: u128) -> Option<Credential> {
        let standing = Standing {
            kind: CredentialKind::Key.into(),
            actor_kind: ActorKind::Key.into(),
            actor_id: bytes(7),
            home_group_id: bytes(8),
            root_id: bytes(9),
            grants: vec![Grant { group_id: bytes(8), role: Role::GroupUser.into() }],
            scopes: Scopes::ALL.0,
            expire_micros: 5,
            rate: Some(Rate { per_minute: 60, per_day: -1 }),
            root_rate: None,
        };
        let state = match number {
            1 => State::Standing(standing),
            2 => State::Refused(Reason::KeyRevoked.into()),
            3 => State::Standing(Standing { actor_kind: 99, ..standing }),
            _ => return None,
        };
        Some(Credential { id: bytes(number), depends_on: vec![bytes(8)], state: Some(state), group_id: bytes(8) })
    }

    #[tonic::async_trait]
    impl AccessService for Fake {
        async fn verify_credential(&self, request: Request<VerifyCredentialRequest>) -> Result<Response<Credential>, Status> {
            match request.get_ref().presented.as_str() {
                "right" => Ok(Response::new(credential(1).unwrap())),
                "untrusted" => Err(untrusted().into()),
                "away" => Err(Status::unavailable("full")),
                _ => Err(Refusal::new(Reason::InvalidApiKey, "identity's own sentence").into()),
            }
        }

        async fn check_credentials(&self, request: Request<CheckCredentialsRequest>) -> Result<Response<CheckCredentialsResponse>, Status> {
            let number = |id: &Bytes| Uuid::from_slice(id).unwrap().as_u128();
            let credentials = request.get_ref().ids.iter().filter_map(|id| credential(number(id))).collect();
            Ok(Response::new(CheckCredentialsResponse { credentials }))
        }

        async fn get_groups(&self, request: Request<GetGroupsRequest>) -> Result<Response<GetGroupsResponse>, Status> {
            let state = |id: Bytes| GroupState { id, ..GroupState::default() };
            let known = request.get_ref().ids.iter().filter(|id| **id == bytes(8));
            let lines = known.map(|id| v1::Line { groups: vec![state(id.clone()), state(bytes(9))], quotas: None });
            Ok(Response::new(GetGroupsResponse { lines: lines.collect() }))
        }

        async fn list_changes(&self, request: Request<ListChangesRequest>) -> Result<Response<ListChangesResponse>, Status> {
            let after = request.get_ref().after;
            Ok(Response::new(ListChangesResponse { after, head: after + 2, ids: vec![bytes(1), bytes(8)], reset: after == 5 }))
        }
    }

    fn access() -> Access<AccessServiceServer<Fake>> {
        Access::new(AccessServiceServer::new(Fake), Clock::still(Duration::from_secs(1)))
    }

    #[tokio::test]
    async fn a_proof_is_a_caller_and_what_makes_it_old() {
        let fresh = access().verify("right").await.unwrap();
        let caller = fresh.value.state.unwrap();
        assert_eq!((fresh.value.credential, fresh.value.proved, fresh.expires), (Uuid::from_u128(1), 1_000_000, Some(5)));
        assert_eq!(fresh.ids, [Uuid::from_u128(8), Uuid::from_u128(1)]);
        assert_eq!((caller.home.as_u128(), caller.root.as_u128(), caller.actor.key_id.unwrap().as_u128()), (8, 9, 1));
        assert_eq!((caller.rate.per_minute, caller.rate.per_day, caller.root_rate.per_minute), (60, -1, 0));
    }

    #[tokio::test]
    async fn only_a_wrong_key_is_called_wrong() {
        for (presented, expected) in [("wrong", unproven()), ("untrusted", unavailable()), ("away", unavailable())] {
            assert_eq!(access().verify(presented).await.unwrap_err(), expected, "{presented}");
        }
    }

    #[tokio::test]
    async fn a_state_is_kept_whatever_it_is_but_half_of_one_is_no_answer() {
        let access = access();
        let reason = async |number| access.check(Uuid::from_u128(number)).await.map(|fresh| fresh.value.state.err().map(|refusal| refusal.reason()));
        assert_eq!(reason(1).await, Ok(None));
        assert_eq!(reason(2).await, Ok(Some(Reason::KeyRevoked)));
        assert_eq!(reason(4).await, Ok(Some(Reason::InvalidApiKey)));
        assert_eq!(reason(3).await, Err(unavailable()));
    }

    #[tokio::test]
    async fn groups_and_changes_are_read_with_their_ids() {
        let access = access();
        let group = access.group(GroupId(Uuid::from_u128(8))).await.unwrap();
        assert_eq!(group.value.unwrap().groups.len(), 2);
        assert_eq!(group.ids, [Uuid::from_u128(8), Uuid::from_u128(9)]);
        let unknown = access.group(GroupId(Uuid::from_u128(50))).await.unwrap();
        assert_eq!((unknown.value, unknown.ids), (None, vec![Uuid::from_u128(50)]));
        let changes = access.changes(5).await.unwrap();
        assert_eq!((changes.after, changes.head, changes.ids.len(), changes.reset), (5, 7, 2, true));
    }
}

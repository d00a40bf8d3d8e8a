//! API keys: what programs prove themselves with.

mod caller;
pub(crate) mod create;
mod list;
mod revoke;
pub(crate) mod row;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use crate::Identity;
use ::store::At;
use chassis::{
    left,
    principal::{self, Principal},
};
use contract::{
    Reason, Refusal,
    id::KeyId,
    identity::v1::{
        Caller, CreateKeyRequest, CreateKeyResponse, GetCallerRequest, GetKeyRequest, Key, ListKeysRequest, ListKeysResponse, RevokeKeyRequest,
        key_service_server::KeyService,
    },
};
use create::Prepared;
use futures::FutureExt;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl KeyService for Identity {
    async fn create_key(&self, request: Request<CreateKeyRequest>) -> Result<Response<CreateKeyResponse>, Status> {
        let group = principal::of(&request)?.group;
        let prepared = Prepared::of(&self.hasher, &self.db, group).await?;
        self.db.mutate(request, |principal, tx, input| create::create(principal, tx, input, prepared).boxed()).await
    }

    async fn get_key(&self, request: Request<GetKeyRequest>) -> Result<Response<Key>, Status> {
        let principal = principal::of(&request)?;
        Ok(Response::new(self.key(&principal, &request.get_ref().id).await?))
    }

    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        let principal = principal::of(&request)?;
        Ok(Response::new(list::list(&principal, &self.db, request.into_inner()).await?))
    }

    async fn revoke_key(&self, request: Request<RevokeKeyRequest>) -> Result<Response<Key>, Status> {
        let answer = self.db.mutate(request, |principal, tx, input| revoke::revoke(principal, tx, input).boxed()).await?;
        self.changes.hint();
        Ok(answer)
    }

    async fn get_caller(&self, request: Request<GetCallerRequest>) -> Result<Response<Caller>, Status> {
        let principal = principal::of(&request)?;
        let headers = request.into_parts().0.into_headers();
        Ok(Response::new(caller::caller(&principal, &self.db, &left::of(&headers)).await?))
    }
}

impl Identity {
    /// A key of the acting group.
    async fn key(&self, principal: &Principal, id: &str) -> Result<Key, Refusal> {
        let id = KeyId::parse(id).ok_or_else(|| invalid("id", "must be a UUID"))?;
        let found = store::get(&self.db, principal.group, id).await?;
        found.map(|key| key.message(At(self.db.clock().micros()))).ok_or_else(not_found)
    }
}

/// The answer for another's key, and for one that never was.
fn not_found() -> Refusal {
    Refusal::new(Reason::KeyNotFound, "there is no such key in the acting group; ListKeys shows them")
}

fn invalid(path: impl Into<String>, what: impl Into<String>) -> Refusal {
    let (path, what) = (path.into(), what.into());
    Refusal::new(Reason::InvalidField, format!("{path}: {what}")).field(path, what)
}

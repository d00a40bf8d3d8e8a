//! What the gateways ask: proofs, states, lines, and what changed.

mod lines;
pub(crate) mod standing;
#[cfg(test)]
mod tests;

use crate::{Identity, secret::Secret};
use chassis::changes::unproven;
use contract::{
    Reason, Refusal,
    internal::v1::{
        CheckCredentialsRequest, CheckCredentialsResponse, Credential, GetGroupsRequest, GetGroupsResponse, ListChangesRequest, ListChangesResponse,
        VerifyCredentialRequest, access_service_server::AccessService,
    },
};
use prost::bytes::Bytes;
use std::collections::HashMap;
use store::At;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Ids in one question.
const MOST: usize = 1_000;

#[tonic::async_trait]
impl AccessService for Identity {
    async fn verify_credential(&self, request: Request<VerifyCredentialRequest>) -> Result<Response<Credential>, Status> {
        Ok(Response::new(self.verify(&request.get_ref().presented).await?))
    }

    async fn check_credentials(&self, request: Request<CheckCredentialsRequest>) -> Result<Response<CheckCredentialsResponse>, Status> {
        let credentials = self.check(&uuids(&request.get_ref().ids)?).await?;
        Ok(Response::new(CheckCredentialsResponse { credentials }))
    }

    async fn get_groups(&self, request: Request<GetGroupsRequest>) -> Result<Response<GetGroupsResponse>, Status> {
        let lines = lines::lines(&self.db, &uuids(&request.get_ref().ids)?).await?;
        Ok(Response::new(GetGroupsResponse { lines }))
    }

    async fn list_changes(&self, request: Request<ListChangesRequest>) -> Result<Response<ListChangesResponse>, Status> {
        let after = i64::try_from(request.get_ref().after).unwrap_or(i64::MAX); // ahead of any feed: RESET
        Ok(Response::new(self.changes.after(after).await?))
    }
}

impl Identity {
    /// Proves a credential. Whatever is wrong before the secret has matched, the answer is the same.
    pub(crate) async fn verify(&self, presented: &str) -> Result<Credential, Refusal> {
        let secret = Secret::parse(presented).ok_or_else(unproven)?;
        let known = standing::by_handle(&self.db, secret.handle()).await?.ok_or_else(unproven)?;
        if !self.hasher.check(&known.proof, secret.proof(), *known.key.id.as_bytes()).await? {
            return Err(unproven());
        }
        Ok(known.credential(self.now()))
    }

    /// The present state of credentials, in the order asked.
    pub(crate) async fn check(&self, ids: &[Uuid]) -> Result<Vec<Credential>, Refusal> {
        let now = self.now();
        let mut known: HashMap<Uuid, Credential> =
            standing::by_id(&self.db, ids).await?.into_iter().map(|known| (*known.key.id, known.credential(now))).collect();
        Ok(ids.iter().filter_map(|id| known.remove(id)).collect())
    }

    fn now(&self) -> At {
        At(self.db.clock().micros())
    }
}

fn uuids(ids: &[Bytes]) -> Result<Vec<Uuid>, Refusal> {
    let wrong = |what: &'static str| Refusal::new(Reason::InvalidField, what).field("ids", what);
    if ids.len() > MOST {
        return Err(wrong("ids: at most 1,000"));
    }
    ids.iter().map(|id| Uuid::from_slice(id).map_err(|_| wrong("ids: 16 bytes each"))).collect()
}

fn raw(id: &Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

/// As many as the next power of two, the last one repeated: eleven texts to prepare, where any length would be a thousand.
fn padded(ids: &[Uuid]) -> Vec<Uuid> {
    let mut ids = ids.to_vec();
    if let Some(last) = ids.last().copied() {
        ids.resize(ids.len().next_power_of_two(), last);
    }
    ids
}

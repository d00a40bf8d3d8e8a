//! Groups: the tenants, and the tree they stand in.
//!
//! `parent_id` never changes, so a cycle can't arise. Whether a group is below another is one indexed row of `group_line`.

mod create;
mod kind;
mod list;
pub(crate) mod row;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod update;

use crate::Identity;
use ::store::{NewEvent, Target};
use chassis::principal::{self, Principal};
use contract::{
    Reason, Refusal, Role,
    id::GroupId,
    identity::v1::{
        CreateGroupRequest, DeleteGroupRequest, GetGroupRequest, Group, ListGroupsRequest, ListGroupsResponse, UpdateGroupRequest,
        group_service_server::GroupService,
    },
    json,
};
use futures::FutureExt;
use row::Stored;
use serde_json::{Map, Value};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl GroupService for Identity {
    async fn create_group(&self, request: Request<CreateGroupRequest>) -> Result<Response<Group>, Status> {
        self.db.mutate(request, |principal, tx, input| create::create(principal, tx, input).boxed()).await
    }

    async fn get_group(&self, request: Request<GetGroupRequest>) -> Result<Response<Group>, Status> {
        let principal = principal::of(&request)?;
        Ok(Response::new(self.group(&principal, &request.get_ref().id).await?))
    }

    async fn list_groups(&self, request: Request<ListGroupsRequest>) -> Result<Response<ListGroupsResponse>, Status> {
        let principal = principal::of(&request)?;
        Ok(Response::new(list::list(&principal, &self.db, request.into_inner()).await?))
    }

    async fn update_group(&self, request: Request<UpdateGroupRequest>) -> Result<Response<Group>, Status> {
        let answer = self.db.mutate(request, |principal, tx, input| update::update(principal, tx, input).boxed()).await?;
        self.changes.hint();
        Ok(answer)
    }

    async fn delete_group(&self, request: Request<DeleteGroupRequest>) -> Result<Response<Group>, Status> {
        let answer = self.db.mutate(request, |principal, tx, input| update::delete(principal, tx, input).boxed()).await?;
        self.changes.hint();
        Ok(answer)
    }
}

impl Identity {
    /// A group that this caller sees.
    async fn group(&self, principal: &Principal, id: &str) -> Result<Group, Refusal> {
        let id = GroupId::parse(id).ok_or_else(|| invalid("id", "must be a UUID"))?;
        let found = store::get(&self.db, id, above(principal, id)).await?;
        found.map(|group| group.message()).ok_or_else(not_found)
    }
}

/// Who sees all groups: a platform owner in its own group.
fn sees_all(principal: &Principal) -> bool {
    principal.role == Role::PlatformOwner && principal.group == principal.home
}

/// What must stand in the line of `id`, that this caller may see it: the acting group; for who sees all, itself.
fn above(principal: &Principal, id: GroupId) -> GroupId {
    if sees_all(principal) { id } else { principal.group }
}

/// The answer for another's group, and for one that never was.
fn not_found() -> Refusal {
    Refusal::new(Reason::GroupNotFound, "there is no such group among the acting group and those below it; ListGroups shows them")
}

fn invalid(path: &'static str, what: impl Into<String>) -> Refusal {
    let what = what.into();
    Refusal::new(Reason::InvalidField, format!("{path}: {what}")).field(path, what)
}

fn platform_owner_required(what: &str) -> Refusal {
    Refusal::new(Reason::PlatformOwnerRequired, format!("only a platform owner may {what}"))
}

/// The tenant is the credential's and the header's to say: a body that names another is a mistake worth telling. A group owns itself, so
/// what was read and sent back names itself.
fn check_body(principal: &Principal, sent: &Group, id: Option<GroupId>) -> Result<(), Refusal> {
    let named = GroupId::parse(&sent.group_id);
    if sent.group_id.is_empty() || named == Some(principal.group) || (id.is_some() && named == id) {
        return Ok(());
    }
    Err(crate::mismatch(&sent.group_id))
}

/// The event of a change that was just written. A group stands in its own log.
pub(crate) fn changed<'a>(kind: &'a str, group: &Stored, changes: Map<String, Value>, previous: Option<Map<String, Value>>) -> NewEvent<'a> {
    let mut metadata = Map::new();
    if previous.is_none() {
        metadata.insert("name".to_owned(), group.name.clone().into());
        metadata.extend((!group.tier.is_empty()).then(|| ("plan".to_owned(), group.tier.clone().into())));
    }
    metadata.insert("changes".to_owned(), changes.into());
    metadata.extend(previous.map(|previous| ("previousValues".to_owned(), previous.into())));
    NewEvent {
        group: group.id,
        kind,
        target: Target { kind: "group", id: *group.id, revision: group.revision },
        metadata: Some(json::to_struct(&metadata)),
    }
}

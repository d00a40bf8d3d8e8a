//! What the tests of this crate share: a store with a platform and an organisation in it, and callers.

#![allow(clippy::unwrap_used)]

use crate::{Identity, MIGRATIONS, bootstrap, tiers::Tier};
use chassis::principal::Principal;
use contract::{
    Reason, Role, Scopes,
    id::GroupId,
    identity::v1::{
        CreateGroupRequest, CreateKeyRequest, CreateKeyResponse, Group, Key, group_service_server::GroupService, key_service_server::KeyService,
    },
    json,
};
use prost::Message;
use prost_types::Struct;
use serde_json::{Map, Value};
use std::sync::Arc;
use store::testing::Case;
use tempfile::TempDir;
use tonic::{Request, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

/// A first start on a store of its own.
pub(crate) struct World<'c> {
    pub(crate) case: &'c Case,
    pub(crate) identity: Identity,
    /// In the platform's group.
    pub(crate) platform: Principal,
    /// In the first organisation, which stands on the tier asked for.
    pub(crate) owner: Principal,
    /// The owner's key.
    pub(crate) key: String,
    pub(crate) folder: TempDir,
}

/// An event as the outbox has it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) kind: String,
    pub(crate) group: GroupId,
    pub(crate) target: Uuid,
    pub(crate) revision: i64,
    pub(crate) metadata: Map<String, Value>,
}

/// Runs a case in a new world on each engine; each statement it ran must have its index.
pub(crate) async fn worlds(tier: Tier, case: impl AsyncFn(World<'_>)) {
    store::testing::both(MIGRATIONS, async |store| {
        case(World::new(store, tier).await).await;
        store.explain_all().await;
    })
    .await;
}

impl<'c> World<'c> {
    async fn new(case: &'c Case, tier: Tier) -> Self {
        let (identity, folder) = (Identity::new(case.db.clone(), &case.options.secrets), tempfile::tempdir().unwrap());
        let key = bootstrap(&identity, folder.path(), tier).await.unwrap().unwrap();
        let groups: Vec<(String, GroupId)> =
            case.db.system("test").sql("select name, group_ref from bootstrap where name > $1 order by name").bind("").all().await.unwrap();
        let [(_, organisation), (_, platform)] = &groups[..] else { panic!("{groups:?}") };
        let platform = Principal::test(*platform, Role::PlatformOwner, Scopes::ALL);
        Self { case, identity, platform, owner: Principal::test(*organisation, Role::GroupOwner, Scopes::ALL), key, folder }
    }

    /// A group below the principal's.
    pub(crate) async fn below(&self, principal: &Principal, name: &str) -> Group {
        self.create_group(principal, &principal.group.to_string(), named(name)).await.unwrap()
    }

    pub(crate) async fn create_group(&self, principal: &Principal, parent_id: &str, group: Group) -> Result<Group, Status> {
        let input = CreateGroupRequest { group: Some(group), parent_id: parent_id.to_owned(), ..CreateGroupRequest::default() };
        Ok(self.identity.create_group(call(principal, input)).await?.into_inner())
    }

    pub(crate) async fn create_key(&self, principal: &Principal, key: Key) -> Result<CreateKeyResponse, Status> {
        let input = CreateKeyRequest { key: Some(key), ..CreateKeyRequest::default() };
        Ok(self.identity.create_key(call(principal, input)).await?.into_inner())
    }

    /// What the outbox holds, in order.
    pub(crate) async fn told(&self) -> Vec<Told> {
        let text = "select type, group_id, target_id, revision, metadata from outbox where number > $1 order by number";
        let rows: Vec<(String, GroupId, Uuid, i64, Vec<u8>)> = self.case.db.system("test").sql(text).bind(0).all().await.unwrap();
        let told = |(kind, group, target, revision, metadata): (String, GroupId, Uuid, i64, Vec<u8>)| {
            let metadata = json::from_struct(Struct::decode(&metadata[..]).unwrap()).unwrap();
            Told { kind, group, target, revision, metadata }
        };
        rows.into_iter().map(told).collect()
    }

    /// The ids in the feed after a position.
    pub(crate) async fn changed(&self) -> Vec<Uuid> {
        let rows: Vec<(Uuid,)> =
            self.case.db.system("test").sql("select subject from change where position > $1 order by position").bind(0).all().await.unwrap();
        rows.into_iter().map(|(id,)| id).collect()
    }
}

/// A request as the room hands it to a handler.
pub(crate) fn call<T>(principal: &Principal, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Arc::new(principal.clone()));
    request
}

pub(crate) fn named(name: &str) -> Group {
    Group { name: name.to_owned(), ..Group::default() }
}

/// The caller in another group, by a role it has above.
pub(crate) fn in_group(principal: &Principal, group: &Group) -> Principal {
    Principal { group: group_id(group), root: GroupId::parse(&group.root_id).unwrap(), inherited: true, ..principal.clone() }
}

/// A key's own principal there.
pub(crate) fn of_group(group: &Group, role: Role) -> Principal {
    Principal { root: GroupId::parse(&group.root_id).unwrap(), ..Principal::test(group_id(group), role, Scopes::ALL) }
}

pub(crate) fn group_id(group: &Group) -> GroupId {
    GroupId::parse(&group.id).unwrap()
}

/// The reason of a refusal, and the fields it names.
pub(crate) fn why(status: &Status) -> (Reason, Vec<String>) {
    let details = status.get_error_details();
    let reason = Reason::parse(&details.error_info().unwrap().reason).unwrap();
    let fields = details.bad_request().map(|bad| bad.field_violations.iter().map(|violation| violation.field.clone()).collect());
    (reason, fields.unwrap_or_default())
}

pub(crate) fn reason(status: &Status) -> Reason {
    why(status).0
}

/// All that a client gets of a refusal, with the id it asked for taken out.
pub(crate) fn bytes(status: &Status, asked: &str) -> String {
    format!("{:?} {:?} {:?}", status.code(), status.message().replace(asked, "ID"), String::from_utf8_lossy(status.details()).replace(asked, "ID"))
}

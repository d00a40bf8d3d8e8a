//! An identity that takes every key for the same owner's. Asked once; then the gateway's cache answers.

use chassis::{
    acting::GroupState,
    changes::{Caller, Changes, Fresh, Identity, Line, Proven, Rate},
    principal::{Actor, ActorKind, Credential, CredentialKind, Grant, Quotas},
};
use contract::{
    Refusal, Role, Scopes,
    id::{ActorId, GroupId, KeyId},
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

const PLENTY: Rate = Rate { per_minute: 1_000_000_000, per_day: 1_000_000_000 };

pub(crate) struct Everybody {
    key: Uuid,
    group: GroupId,
}

impl Default for Everybody {
    fn default() -> Self {
        Self { key: *KeyId::new(0), group: GroupId::new(0) }
    }
}

fn fresh<V>(value: V) -> Fresh<V> {
    Fresh { value, ids: Vec::new(), expires: None }
}

impl Identity for Everybody {
    async fn verify(&self, _: &str) -> Result<Fresh<Proven>, Refusal> {
        self.check(self.key).await
    }

    async fn check(&self, credential: Uuid) -> Result<Fresh<Proven>, Refusal> {
        let caller = Caller {
            credential: Credential { kind: CredentialKind::Key, id: credential },
            actor: Actor { kind: ActorKind::Key, id: ActorId(credential), key_id: Some(KeyId(credential)), on_behalf_of: None },
            home: self.group,
            root: self.group,
            grants: vec![Grant { group: self.group, role: Role::GroupOwner }],
            scopes: Scopes::ALL,
            rate: PLENTY,
            root_rate: PLENTY,
        };
        Ok(fresh(Proven { credential, home: self.group, proved: 0, state: Ok(Arc::new(caller)) }))
    }

    async fn group(&self, group: GroupId) -> Result<Fresh<Option<Arc<Line>>>, Refusal> {
        let groups = vec![GroupState { id: group, archived: false, allow_parent_access: false }];
        Ok(fresh(Some(Arc::new(Line { groups, quotas: Quotas { groups: -1, things: -1 } }))))
    }

    async fn changes(&self, after: u64) -> Result<Changes, Refusal> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(Changes { after, head: after, ids: Vec::new(), reset: false })
    }
}

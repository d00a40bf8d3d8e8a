//! What identity knows, and answers.

use super::Change;
use crate::layer::testing::{caller, group};
use chassis::{
    acting::GroupState,
    changes::{Changes, Fresh, Line, Proven},
    principal::Quotas,
};
use contract::{Reason, Refusal, Role, Scope, Scopes};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// Identity as it is: what has changed, in order.
#[derive(Default)]
pub(super) struct Truth(Mutex<(Vec<Uuid>, Option<Change>)>);

impl Truth {
    pub(super) fn commit(&self, subject: Uuid, change: Option<Change>) {
        let mut truth = self.0.lock().unwrap();
        truth.0.push(subject);
        truth.1 = truth.1.or(change);
    }

    fn change(&self) -> Option<Change> {
        self.0.lock().unwrap().1
    }

    pub(super) fn after(&self, after: u64) -> Changes {
        let log = &self.0.lock().unwrap().0;
        Changes { after, head: log.len() as u64, ids: log[after as usize..].to_vec(), reset: false }
    }

    pub(super) fn proven(&self) -> Fresh<Proven> {
        let change = self.change();
        let known = caller(100, |caller| match change {
            Some(Change::RoleLowered) => caller.grants[0].role = Role::Customer,
            Some(Change::ScopesNarrowed) => caller.scopes = Scopes::of(Scope::ThingsRead),
            _ => {}
        });
        let revoked = change == Some(Change::Revoked);
        let state = if revoked { Err(Refusal::new(Reason::KeyRevoked, "revoked")) } else { Ok(known.caller) };
        let ids = vec![Uuid::from_u128(100), *group(1)];
        Fresh { value: Proven { credential: Uuid::from_u128(100), home: group(1), proved: 1, state }, ids, expires: None }
    }

    /// Group 2 below group 1, which is the key's.
    pub(super) fn line(&self) -> Fresh<Option<Arc<Line>>> {
        let change = self.change();
        let state = |number: u128| GroupState {
            id: group(number),
            archived: number == 1 && change == Some(Change::Archived),
            allow_parent_access: change != Some(Change::ClosedToParents),
        };
        let line = Line { groups: [2, 1].map(state).to_vec(), quotas: Quotas { groups: 1, things: 1 } };
        Fresh { value: Some(Arc::new(line)), ids: vec![*group(2), *group(1)], expires: None }
    }
}

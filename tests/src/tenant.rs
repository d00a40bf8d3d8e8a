//! A customer of the platform.

use crate::Caller;
use contract::identity::v1::Group;
use std::ops::Deref;

/// A fresh organisation, and its owner, who is the [`Caller`] it stands for.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The organisation.
    pub group: Group,
    owner: Caller,
}

impl Tenant {
    /// A new organisation on that tier, made by the platform's owner.
    pub(crate) async fn new(platform: &Caller, group: Group) -> Tenant {
        let request = contract::identity::v1::CreateGroupRequest { group: Some(group), ..Default::default() };
        let group = platform.groups().create_group(request).await.expect("a platform owner makes organisations").into_inner();
        let owner = platform.acting_in(&group.id).create_key("owner", "group_owner", &["*"]).await;
        Tenant { owner: Caller::new(platform.gateway(), &owner.secret), group }
    }

    /// Its owner.
    pub fn owner(&self) -> &Caller {
        &self.owner
    }
}

impl Deref for Tenant {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.owner
    }
}

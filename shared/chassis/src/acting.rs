//! Who may act where, and as what. Pure: the gateway asks it, and so does a service where a call arrives that another makes for a caller.

use crate::principal::{self, Grant, Principal};
use contract::{Access, Method, Reason, Refusal, Role, Scopes, id::GroupId, internal::v1};

/// What counts of a group on the way from the one somebody wants to act in up to its organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// The group.
    pub id: GroupId,
    /// It was archived itself.
    pub archived: bool,
    /// Roles in the groups above count here.
    pub allow_parent_access: bool,
}

impl GroupState {
    /// The groups of an answer of identity; `None` if an id is not one.
    #[must_use]
    pub fn line(line: &v1::Line) -> Option<Vec<GroupState>> {
        let state = |group: &v1::GroupState| {
            Some(GroupState { id: GroupId::from_slice(&group.id)?, archived: group.archived, allow_parent_access: group.allow_parent_access })
        };
        line.groups.iter().map(state).collect()
    }
}

/// Somebody in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acting {
    /// The acting group.
    pub group: GroupId,
    /// Its organisation.
    pub root: GroupId,
    /// The role there: the highest of all that count.
    pub role: Role,
    /// The role comes from a group above.
    pub inherited: bool,
}

/// Who acts in the first group of `line`; the others are its parent, … its organisation. `None`, and so [`not_found`], for a group that is
/// unknown, foreign, archived or below an archived one, or in which no grant counts.
#[must_use]
pub fn acting(grants: &[Grant], line: &[GroupState], method: &Method) -> Option<Acting> {
    let (group, root) = (line.first()?, line.last()?);
    if line.iter().any(|group| group.archived) {
        return None;
    }
    let from_above = group.allow_parent_access || method.counts_parents();
    let counts = |grant: &Grant| {
        if grant.group == group.id {
            return Some((grant.role, false));
        }
        let above = from_above && line[1..].iter().any(|group| group.id == grant.group);
        (above || grant.role == Role::PlatformOwner).then_some((grant.role, true))
    };
    // Of two equal roles the group's own is the truth: it stays when a group above changes.
    let best = grants.iter().filter_map(counts).filter(|(role, _)| *role != Role::Unspecified);
    let (role, inherited) = best.max_by_key(|(role, inherited)| (*role as i32, !inherited))?;
    Some(Acting { group: group.id, root: root.id, role, inherited })
}

/// The one answer for a group in which the caller cannot act, whatever the reason.
#[must_use]
pub fn not_found() -> Refusal {
    Refusal::new(Reason::GroupNotFound, "there is no such group, or you may not act in it; x-group-id names a group of yours or one below it")
}

/// What a credential with these scopes holds in that role, if it is enough for the rpc.
pub fn authorize(role: Role, scopes: Scopes, method: &Method) -> Result<Scopes, Refusal> {
    let held = scopes & Scopes::of_role(role);
    // In this order: who lacks the scope because of the role is told of the role.
    require(scopes, method.scopes, &method.path)?;
    require_role(role, method.min_role, &method.path)?;
    require(held, method.scopes, &method.path)?;
    Ok(held)
}

impl Principal {
    /// The check of the gateway once more, for a call that another service makes for a caller. The platform itself may do all, and
    /// only it may call what is INTERNAL.
    pub fn authorize(&self, method: &Method) -> Result<(), Refusal> {
        if self.is_system() {
            return Ok(());
        }
        if method.access == Access::Internal {
            return Err(principal::refused());
        }
        require_role(self.role, method.min_role, &method.path)?; // first, for its scopes are cut to the role
        require(self.scopes, method.scopes, &method.path)
    }
}

pub(crate) fn require(held: Scopes, needed: Scopes, what: &str) -> Result<(), Refusal> {
    if held.has(needed) {
        return Ok(());
    }
    let missing = needed.without(held).words().join(" ");
    Err(Refusal::new(Reason::InsufficientScopes, format!("{what} needs the scope {missing}, which the credential does not hold"))
        .with("missing", missing))
}

pub(crate) fn require_role(role: Role, least: Role, what: &str) -> Result<(), Refusal> {
    if role as i32 >= least as i32 {
        return Ok(());
    }
    let sentence = format!("{what} needs the role {} in this group", least.word());
    Err(Refusal::new(Reason::InsufficientRole, sentence).with("needed", least.word()).with("role", role.word()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use contract::{Scope, methods};
    use uuid::Uuid;

    const CHILD: u128 = 3;
    const PARENT: u128 = 2;
    const ROOT: u128 = 1;

    fn group(id: u128) -> GroupState {
        GroupState { id: GroupId(Uuid::from_u128(id)), archived: false, allow_parent_access: false }
    }

    /// A group, its parent, its organisation.
    fn line() -> Vec<GroupState> {
        vec![group(CHILD), group(PARENT), group(ROOT)]
    }

    fn grant(id: u128, role: Role) -> Grant {
        Grant { group: GroupId(Uuid::from_u128(id)), role }
    }

    fn method(path: &str) -> &'static Method {
        methods().get(path).unwrap()
    }

    fn things() -> &'static Method {
        method("/one.ontology.v1.ThingService/DeleteThing")
    }

    fn groups() -> &'static Method {
        method("/one.identity.v1.GroupService/GetGroup")
    }

    fn role(grants: &[Grant], line: &[GroupState], method: &Method) -> Option<(Role, bool)> {
        acting(grants, line, method).map(|acting| (acting.role, acting.inherited))
    }

    #[test]
    fn a_grant_in_the_group_itself_counts() {
        let acting = acting(&[grant(CHILD, Role::GroupUser)], &line(), things()).unwrap();
        assert_eq!(acting, Acting { group: group(CHILD).id, root: group(ROOT).id, role: Role::GroupUser, inherited: false });
    }

    #[test]
    fn an_unknown_group_is_not_found() {
        assert_eq!(role(&[grant(CHILD, Role::GroupOwner), grant(ROOT, Role::PlatformOwner)], &[], groups()), None);
    }

    #[test]
    fn a_foreign_group_is_not_found() {
        for method in [things(), groups()] {
            assert_eq!(role(&[grant(9, Role::GroupOwner)], &line(), method), None);
            assert_eq!(role(&[], &line(), method), None);
        }
    }

    #[test]
    fn a_grant_below_does_not_count_above() {
        let parent = &line()[1..];
        assert_eq!(role(&[grant(CHILD, Role::GroupOwner)], parent, groups()), None);
    }

    #[test]
    fn what_is_archived_anywhere_above_is_not_found_by_anybody() {
        for at in 0..3 {
            let mut line = line();
            line[at].archived = true;
            for owner in [grant(CHILD, Role::GroupOwner), grant(ROOT, Role::GroupOwner), grant(9, Role::PlatformOwner)] {
                assert_eq!(role(&[owner], &line, groups()), None, "{at}");
            }
        }
    }

    #[test]
    fn grants_from_above_count_for_groups_and_keys_always() {
        for path in ["/one.identity.v1.GroupService/GetGroup", "/one.identity.v1.KeyService/CreateKey"] {
            for above in [PARENT, ROOT] {
                assert_eq!(role(&[grant(above, Role::GroupOwner)], &line(), method(path)), Some((Role::GroupOwner, true)));
            }
        }
    }

    #[test]
    fn grants_from_above_count_elsewhere_only_where_that_group_allows_it() {
        let above = [grant(ROOT, Role::GroupOwner)];
        for path in ["/one.ontology.v1.ThingService/GetThing", "/one.events.v1.EventService/WatchEvents"] {
            assert_eq!(role(&above, &line(), method(path)), None);
            let mut allowed = line();
            allowed[0].allow_parent_access = true;
            assert_eq!(role(&above, &allowed, method(path)), Some((Role::GroupOwner, true)));
            let mut parent_allows = line();
            parent_allows[1].allow_parent_access = true;
            assert_eq!(role(&above, &parent_allows, method(path)), None, "what the parent allows is the parent's");
        }
    }

    #[test]
    fn the_highest_of_the_grants_there_and_above_counts() {
        let grants = [grant(CHILD, Role::Customer), grant(PARENT, Role::GroupUser), grant(ROOT, Role::GroupOwner)];
        assert_eq!(role(&grants, &line(), groups()), Some((Role::GroupOwner, true)));
        assert_eq!(role(&grants, &line(), things()), Some((Role::Customer, false)), "above does not count there");
        let reversed = [grant(ROOT, Role::Customer), grant(CHILD, Role::GroupOwner)];
        assert_eq!(role(&reversed, &line(), groups()), Some((Role::GroupOwner, false)));
    }

    #[test]
    fn of_equal_roles_the_groups_own_is_named() {
        let grants = [grant(ROOT, Role::GroupUser), grant(CHILD, Role::GroupUser), grant(PARENT, Role::GroupUser)];
        assert_eq!(role(&grants, &line(), groups()), Some((Role::GroupUser, false)));
    }

    #[test]
    fn a_platform_owner_acts_anywhere() {
        for method in [things(), groups()] {
            assert_eq!(role(&[grant(9, Role::PlatformOwner)], &line(), method), Some((Role::PlatformOwner, true)));
        }
        assert_eq!(role(&[grant(CHILD, Role::PlatformOwner)], &line(), things()), Some((Role::PlatformOwner, false)));
    }

    #[test]
    fn a_grant_without_a_role_is_none() {
        assert_eq!(role(&[grant(CHILD, Role::Unspecified)], &line(), groups()), None);
    }

    #[test]
    fn the_line_of_identity_is_read_or_refused() {
        let state = |id: &'static [u8]| v1::GroupState { id: id.into(), archived: true, allow_parent_access: true };
        let read = GroupState::line(&v1::Line { groups: vec![state(&[7; 16])], quotas: None }).unwrap();
        assert_eq!(read, [GroupState { id: GroupId(Uuid::from_bytes([7; 16])), archived: true, allow_parent_access: true }]);
        assert_eq!(GroupState::line(&v1::Line { groups: vec![state(&[7; 15])], quotas: None }), None);
    }

    #[test]
    fn who_lacks_a_scope_is_told_which() {
        let refusal = authorize(Role::GroupOwner, Scopes::of(Scope::ThingsRead), things()).unwrap_err();
        assert_eq!(refusal.reason(), Reason::InsufficientScopes);
        assert!(refusal.message().contains("DeleteThing needs the scope things:delete"), "{}", refusal.message());
    }

    #[test]
    fn a_scope_holds_as_far_as_the_role() {
        let held = authorize(Role::GroupOwner, Scopes::ALL, things()).unwrap();
        assert!(held.has_star() && held.has(Scopes::of(Scope::ThingsDelete)));
        let read = method("/one.ontology.v1.ThingService/GetThing");
        let held = authorize(Role::Customer, Scopes::ALL, read).unwrap();
        assert!(held.has(Scopes::of(Scope::ThingsRead)) && !held.has(Scopes::of(Scope::ThingsWrite)));
    }

    #[test]
    fn a_role_too_low_is_named() {
        let refusal = authorize(Role::Customer, Scopes::ALL, things()).unwrap_err();
        assert_eq!(refusal.reason(), Reason::InsufficientRole, "{refusal:?}");
        for role in [Role::Unspecified, Role::Customer, Role::GroupUser, Role::GroupOwner, Role::PlatformOwner] {
            for method in methods().iter() {
                assert!(role >= method.min_role || authorize(role, Scopes::ALL, method).is_err(), "{role:?} {}", method.path);
            }
        }
    }

    #[test]
    fn the_check_runs_again_where_a_call_arrives() {
        let principal = |role, scopes| Principal::test(group(CHILD).id, role, scopes);
        assert!(principal(Role::GroupOwner, Scopes::ALL).authorize(things()).is_ok());
        assert!(principal(Role::GroupOwner, Scopes::of(Scope::ThingsRead)).authorize(things()).is_err());
        assert!(principal(Role::Customer, Scopes::ALL).authorize(things()).is_err());
        assert!(Principal::default().authorize(things()).is_err(), "nobody");
        assert!(methods().iter().all(|method| Principal::system().authorize(method).is_ok()));
    }
}

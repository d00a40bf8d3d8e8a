//! Changes of groups: what a mask says, archiving, restoring.

use super::{above, changed, check_body, kind::Kind, not_found, row::Stored, store};
use crate::{changes, tiers::Tier};
use ::store::{Tx, etag};
use chassis::principal::Principal;
use contract::{
    Refusal, Role, Scope,
    id::GroupId,
    identity::v1::{DeleteGroupRequest, Group, GroupLimits, GroupSettings, UpdateGroupRequest},
    mask::Mask,
};
use serde_json::{Map, Value};

/// What an update may name.
const PATHS: &[&str] = &[
    "name",
    "description",
    "status",
    "settings",
    "settings.visibility",
    "settings.join_policy",
    "settings.allow_parent_access",
    "tier",
    "limits",
    "limits.key_requests_per_minute",
    "limits.key_requests_per_day",
    "limits.requests_per_minute",
    "limits.requests_per_day",
    "limits.groups",
    "limits.things",
];

/// Changes what the mask names.
pub(crate) async fn update(principal: &Principal, tx: &mut Tx, input: UpdateGroupRequest) -> Result<Group, Refusal> {
    let sent = input.group.unwrap_or_default();
    let mask = Mask::read(input.update_mask.as_ref(), PATHS)?;
    let id = GroupId::parse(&sent.id).ok_or_else(|| super::invalid("group.id", "must be a UUID"))?;
    check_body(principal, &sent, Some(id))?;
    let old = store::lock(tx, id, above(principal, id)).await?.ok_or_else(not_found)?;
    etag::check(&sent.etag, old.revision)?;
    let new = Change { mask: &mask, sent: &sent, old: &old }.apply(tx)?;
    keep(principal, tx, &old, new).await
}

/// Archives.
pub(crate) async fn delete(principal: &Principal, tx: &mut Tx, input: DeleteGroupRequest) -> Result<Group, Refusal> {
    let id = GroupId::parse(&input.id).ok_or_else(|| super::invalid("id", "must be a UUID"))?;
    let old = store::lock(tx, id, above(principal, id)).await?.ok_or_else(not_found)?;
    etag::check(&input.etag, old.revision)?;
    let new = Stored { archive_time: old.archive_time.or(Some(tx.now())), ..old.clone() };
    keep(principal, tx, &old, new).await
}

/// Writes what became of a group, if anything did, and tells of it.
async fn keep(principal: &Principal, tx: &mut Tx, old: &Stored, mut new: Stored) -> Result<Group, Refusal> {
    if new == *old {
        return Ok(new.message());
    }
    check(principal, old, &new)?;
    (new.revision, new.update_time) = (old.revision + 1, tx.now());
    store::update(tx, &new).await?;
    tx.emit(event(old, &new))?;
    if is_cached(old, &new) {
        changes::record(tx, &[*new.id]).await?;
    }
    Ok(new.message())
}

/// Whether this caller may make this change.
fn check(principal: &Principal, old: &Stored, new: &Stored) -> Result<(), Refusal> {
    let is_platform_owner = principal.role == Role::PlatformOwner;
    if !is_platform_owner && (new.tier != old.tier || new.limits != old.limits) {
        return Err(super::platform_owner_required("set a tier or limits"));
    }
    if old.parent_id.is_some() && !new.tier.is_empty() {
        return Err(super::invalid("group.tier", "a tier is the organisation's; leave it out here"));
    }
    if new.archive_time.is_some() == old.archive_time.is_some() {
        return Ok(());
    }
    if old.parent_id.is_none() && !is_platform_owner {
        return Err(super::platform_owner_required("archive or restore an organisation"));
    }
    if is_platform_owner && new.id == principal.home {
        return Err(super::invalid("id", "the platform's own group cannot be archived: nobody could restore it"));
    }
    if new.archive_time.is_some() { principal.require(Scope::GroupsDelete) } else { Ok(()) }
}

/// What is cached of a group elsewhere: everything that decides who may do how much in it.
fn is_cached(old: &Stored, new: &Stored) -> bool {
    let of = |group: &Stored| (group.allow_parent_access, group.tier.clone(), group.limits, group.archive_time.is_some());
    of(old) != of(new)
}

fn event<'a>(old: &Stored, new: &Stored) -> ::store::NewEvent<'a> {
    let (before, after) = (old.state(), new.state());
    let differs = |name: &str| before.get(name) != after.get(name);
    let of = |state: &Map<String, Value>| state.iter().filter(|(name, _)| differs(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    let (kind, changes) = match (old.archive_time, new.archive_time) {
        (None, Some(_)) => ("group_archived", of(&after)),
        (Some(_), None) => ("group_updated", after.clone()), // it appears in lists again: who watches them needs all of it
        _ => ("group_updated", of(&after)),
    };
    changed(kind, new, changes, Some(of(&before)))
}

/// An update as it was sent, against what is there.
struct Change<'a> {
    mask: &'a Mask,
    sent: &'a Group,
    old: &'a Stored,
}

impl Change<'_> {
    fn apply(&self, tx: &Tx) -> Result<Stored, Refusal> {
        let (sent, old) = (self.sent, self.old);
        if !matches!(self.mask, Mask::Paths(_)) && !sent.r#type.is_empty() && sent.r#type != old.kind {
            return Err(super::invalid("group.type", format!("a group's type never changes; this one is {}", old.kind)));
        }
        let mut new = old.clone();
        if self.mask.has("name", !sent.name.is_empty()) {
            new.name.clone_from(&sent.name);
        }
        if new.name.is_empty() {
            return Err(super::invalid("group.name", "a group needs a name of 1 to 500 characters"));
        }
        if self.mask.has("description", !sent.description.is_empty()) {
            new.description.clone_from(&sent.description);
        }
        if self.mask.has("status", !sent.status.is_empty()) {
            new.archive_time = (sent.status == "archived").then(|| old.archive_time.unwrap_or(tx.now()));
        }
        if self.mask.has("tier", !sent.tier.is_empty()) {
            new.tier = self.tier();
        }
        self.settings(&mut new);
        self.limits(&mut new.limits);
        Ok(new)
    }

    fn tier(&self) -> String {
        let is_organisation = self.old.parent_id.is_none();
        if is_organisation && self.sent.tier.is_empty() { Tier::default().word().to_owned() } else { self.sent.tier.clone() }
    }

    fn settings(&self, new: &mut Stored) {
        let GroupSettings { visibility, join_policy, allow_parent_access } = self.sent.settings.clone().unwrap_or_default();
        let kind = Kind::parse(&self.old.kind).unwrap_or_default();
        let or = |sent: String, default: &str| if sent.is_empty() { default.to_owned() } else { sent };
        if self.mask.has("settings.visibility", !visibility.is_empty()) {
            new.visibility = or(visibility, kind.visibility);
        }
        if self.mask.has("settings.join_policy", !join_policy.is_empty()) {
            new.join_policy = or(join_policy, kind.join_policy);
        }
        if self.mask.has("settings.allow_parent_access", allow_parent_access.is_some()) {
            new.allow_parent_access = allow_parent_access.unwrap_or(false);
        }
    }

    fn limits(&self, new: &mut GroupLimits) {
        let sent = self.sent.limits.unwrap_or_default();
        let set = |path, new: &mut Option<i64>, sent: Option<i64>| {
            if self.mask.has(path, sent.is_some()) {
                *new = sent;
            }
        };
        set("limits.key_requests_per_minute", &mut new.key_requests_per_minute, sent.key_requests_per_minute);
        set("limits.key_requests_per_day", &mut new.key_requests_per_day, sent.key_requests_per_day);
        set("limits.requests_per_minute", &mut new.requests_per_minute, sent.requests_per_minute);
        set("limits.requests_per_day", &mut new.requests_per_day, sent.requests_per_day);
        set("limits.groups", &mut new.groups, sent.groups);
        set("limits.things", &mut new.things, sent.things);
    }
}

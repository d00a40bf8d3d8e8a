//! New groups.

use super::{
    above, changed, check_body,
    kind::Kind,
    not_found,
    row::Stored,
    store::{self, Above},
};
use crate::{
    secret,
    tiers::{Limits, Tier},
};
use ::store::{Creator, Tx};
use chassis::principal::Principal;
use contract::{
    Reason, Refusal, Role,
    id::GroupId,
    identity::v1::{CreateGroupRequest, Group, GroupLimits},
};

/// Groups can be nested so deep, an organisation counted.
const LEVELS: usize = 16;

/// Creates a group below the acting group, or an organisation.
pub(crate) async fn create(principal: &Principal, tx: &mut Tx, input: CreateGroupRequest) -> Result<Group, Refusal> {
    let sent = input.group.unwrap_or_default();
    check_body(principal, &sent, None)?;
    check(principal, &sent, &input.parent_id)?;
    let id = GroupId::new(tx.now().0);
    let place = place(principal, tx, &input.parent_id).await?;
    let group = group(principal, tx, id, sent, &place)?;
    let (root_tier, root_limits) = place.root.unwrap_or_else(|| (group.tier.clone(), group.limits));
    let tier = Tier::parse(&root_tier).unwrap_or_default();
    tx.count("groups", group.root_id, 1, Limits::of(tier, &root_limits, &GroupLimits::default()).groups).await?;
    store::insert(tx, &group).await?;
    tx.emit(changed("group_created", &group, group.state(), None))?;
    Ok(group.message())
}

/// What can be said without a look at other groups.
fn check(principal: &Principal, sent: &Group, parent_id: &str) -> Result<(), Refusal> {
    if sent.name.is_empty() {
        return Err(super::invalid("group.name", "a group needs a name of 1 to 500 characters"));
    }
    if sent.status == "archived" {
        return Err(super::invalid("group.status", "a new group is active; archive it afterwards"));
    }
    let is_platform_owner = principal.role == Role::PlatformOwner;
    let limited = sent.limits.is_some_and(|limits| limits != GroupLimits::default());
    if !is_platform_owner && (parent_id.is_empty() || !sent.tier.is_empty() || limited) {
        return Err(super::platform_owner_required(if parent_id.is_empty() { "create an organisation" } else { "set a tier or limits" }));
    }
    if !parent_id.is_empty() && !sent.tier.is_empty() {
        return Err(super::invalid("group.tier", "a tier is the organisation's; leave it out here"));
    }
    Ok(())
}

/// Where a new group stands.
#[derive(Default)]
struct Place {
    parent: Option<GroupId>,
    /// The organisation's id, its tier and its own numbers; none for a new organisation.
    root_id: Option<GroupId>,
    root: Option<(String, GroupLimits)>,
}

async fn place(principal: &Principal, tx: &mut Tx, parent_id: &str) -> Result<Place, Refusal> {
    if parent_id.is_empty() {
        return Ok(Place::default());
    }
    let parent = GroupId::parse(parent_id).ok_or_else(|| super::invalid("parent_id", "must be a UUID"))?;
    let line = store::line(tx, parent).await?;
    if !line.contains(&above(principal, parent)) {
        return Err(not_found());
    }
    tx.reach(&line).await?;
    let rows = store::above(tx, parent).await?;
    if rows.iter().any(|above| above.archive_time.is_some()) {
        return Err(not_found()); // below an archived group everything is archived
    }
    if line.len() >= LEVELS {
        let sentence = format!("groups can be nested at most {LEVELS} levels deep; create it higher up");
        return Err(Refusal::new(Reason::GroupTooDeep, sentence).with("limit", LEVELS.to_string()).precondition("DEPTH", "parent_id"));
    }
    let root = rows.into_iter().last().map(|Above { tier, limits, .. }| (tier, limits));
    Ok(Place { parent: Some(parent), root_id: line.last().copied(), root })
}

fn group(principal: &Principal, tx: &Tx, id: GroupId, sent: Group, place: &Place) -> Result<Stored, Refusal> {
    let kind = Kind::parse(&sent.r#type).ok_or_else(|| super::invalid("group.type", "is none of the six types"))?;
    let settings = sent.settings.unwrap_or_default();
    let or = |sent: String, default: &str| if sent.is_empty() { default.to_owned() } else { sent };
    let tier = if place.parent.is_some() { String::new() } else { or(sent.tier, Tier::default().word()) };
    Ok(Stored {
        id,
        parent_id: place.parent,
        root_id: place.root_id.unwrap_or(id),
        short_id: secret::short_id().map_err(Refusal::internal)?,
        kind: kind.name.to_owned(),
        name: sent.name,
        description: sent.description,
        visibility: or(settings.visibility, kind.visibility),
        join_policy: or(settings.join_policy, kind.join_policy),
        allow_parent_access: settings.allow_parent_access.unwrap_or(false),
        tier,
        limits: sent.limits.unwrap_or_default(),
        revision: 1,
        creator: Creator::of(principal),
        create_time: tx.now(),
        update_time: tx.now(),
        archive_time: None,
    })
}

//! Groups, and who acts in which.

use crate::support::{create, event_types, never, product};
use contract::{
    Reason,
    identity::v1::{CreateGroupRequest, DeleteGroupRequest, GetGroupRequest, Group, GroupSettings, ListGroupsRequest, UpdateGroupRequest},
};
use std::time::{Duration, Instant};
use tests::{Caller, Mesh, Refused, Refuses, eventually, on_every_mesh};
use tonic::Code;

async fn update(caller: &Caller, group: Group, paths: &[&str]) -> Result<tonic::Response<Group>, tonic::Status> {
    let request = UpdateGroupRequest { group: Some(group), update_mask: crate::support::mask(paths), ..Default::default() };
    caller.groups().update_group(request).await
}

async fn listed(caller: &Caller, parent: &str) -> Vec<String> {
    let request = ListGroupsRequest { parent_id: parent.to_owned(), order_by: "create_time".to_owned(), ..Default::default() };
    caller.groups().list_groups(request).await.unwrap().into_inner().groups.into_iter().map(|group| group.name).collect()
}

fn parent_access(id: &str) -> Group {
    let settings = GroupSettings { allow_parent_access: Some(true), ..GroupSettings::default() };
    Group { id: id.to_owned(), settings: Some(settings), ..Group::default() }
}

on_every_mesh![
    groups_nest_below_their_organisation,
    six_kinds_of_group_have_defaults_of_their_own,
    what_only_the_platform_does_is_refused_to_others,
    bounds_of_a_group_are_kept,
    the_acting_group_is_home_or_below,
    in_an_archived_group_nobody_acts,
    quotas_of_the_tier_hold,
    a_quota_holds_under_50_at_once,
];

async fn groups_nest_below_their_organisation(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let team = tenant.create_group("team", &tenant.group.id).await;
    let squad = tenant.create_group("squad", &team.id).await;
    assert_eq!(
        (squad.parent_id.as_str(), squad.root_id.as_str(), squad.group_id.as_str()),
        (team.id.as_str(), tenant.group.id.as_str(), squad.id.as_str())
    );
    assert_eq!((squad.status.as_str(), squad.r#type.as_str(), squad.revision), ("active", "organization", 1));
    assert!(squad.short_id.len() == 12 && squad.short_id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    let read = tenant.groups().get_group(GetGroupRequest { id: squad.id.clone() }).await.unwrap().into_inner();
    assert_eq!(read, squad);
    assert_eq!(listed(&tenant, "").await, ["a tenant", "team", "squad"]);
    assert_eq!(listed(&tenant, &tenant.group.id).await, ["team"]);
    let in_squad = tenant.acting_in(&squad.id);
    assert_eq!(event_types(&tenant, &tenant.group.id, 1).await, ["group_created"]);
    let refused = in_squad.events().list_events(contract::events::v1::ListEventsRequest::default()).await.refused();
    assert_eq!(refused.reason, Reason::GroupNotFound, "an owner above acts below only where that group lets it");
}

async fn six_kinds_of_group_have_defaults_of_their_own(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for (kind, visibility, join_policy) in [
        ("friend_circle", "private", "invite_only"),
        ("business", "private", "invite_only"),
        ("community", "public", "approval_required"),
        ("dao", "public", "open"),
        ("government", "public", "approval_required"),
        ("organization", "private", "invite_only"),
    ] {
        let group = Group { name: kind.to_owned(), r#type: kind.to_owned(), ..Group::default() };
        let request = CreateGroupRequest { group: Some(group), parent_id: tenant.group.id.clone(), ..Default::default() };
        let settings = tenant.groups().create_group(request).await.unwrap().into_inner().settings.unwrap();
        assert_eq!(
            (settings.visibility.as_str(), settings.join_policy.as_str(), settings.allow_parent_access),
            (visibility, join_policy, Some(false)),
            "{kind}"
        );
    }
}

async fn what_only_the_platform_does_is_refused_to_others(mesh: Mesh) {
    let tenant = mesh.tenant_on("starter").await;
    let group = |group: Group| CreateGroupRequest { group: Some(Group { name: "A".to_owned(), ..group }), ..Default::default() };
    let organisation = tenant.groups().create_group(group(Group::default())).await.refused();
    assert_eq!((organisation.reason, organisation.code), (Reason::PlatformOwnerRequired, Code::PermissionDenied));
    let raised = update(&tenant, Group { id: tenant.group.id.clone(), tier: "enterprise".to_owned(), ..Group::default() }, &["tier"]).await.refused();
    assert_eq!(raised.reason, Reason::PlatformOwnerRequired);
    let limits = contract::identity::v1::GroupLimits { things: Some(-1), ..Default::default() };
    let lifted = update(&tenant, Group { id: tenant.group.id.clone(), limits: Some(limits), ..Group::default() }, &["limits"]).await.refused();
    assert_eq!(lifted.reason, Reason::PlatformOwnerRequired);
    let gone = tenant.groups().delete_group(DeleteGroupRequest { id: tenant.group.id.clone(), ..Default::default() }).await.refused();
    assert_eq!(gone.reason, Reason::PlatformOwnerRequired);
    let platform = mesh.platform().acting_in(&tenant.group.id);
    let raised =
        update(&platform, Group { id: tenant.group.id.clone(), tier: "pro".to_owned(), ..Group::default() }, &["tier"]).await.unwrap().into_inner();
    assert_eq!(raised.tier, "pro");
}

async fn bounds_of_a_group_are_kept(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let named = |name: &str| CreateGroupRequest {
        group: Some(Group { name: name.to_owned(), ..Group::default() }),
        parent_id: tenant.group.id.clone(),
        ..Default::default()
    };
    for name in ["", &"é".repeat(501), "a\0b"] {
        let refused = tenant.groups().create_group(named(name)).await.refused();
        assert_eq!((refused.reason, refused.fields), (Reason::InvalidField, vec!["group.name".to_owned()]), "{name:?}");
    }
    tenant.groups().create_group(named(&"é".repeat(500))).await.unwrap();
    let mut parent = tenant.group.clone();
    let too_deep = loop {
        let request = CreateGroupRequest {
            group: Some(Group { name: "deeper".to_owned(), ..Group::default() }),
            parent_id: parent.id.clone(),
            ..Default::default()
        };
        match tenant.groups().create_group(request).await {
            Ok(group) => parent = group.into_inner(),
            Err(status) => break Refused::from(status),
        }
    };
    assert_eq!(too_deep.reason, Reason::GroupTooDeep);
}

async fn the_acting_group_is_home_or_below(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let other = mesh.tenant().await;
    let team = tenant.create_group("team", &tenant.group.id).await;
    let as_team = tenant.acting_in(&team.id);
    let hidden = create(&as_team, product("A")).await.refused();
    assert_eq!((hidden.reason, hidden.code), (Reason::GroupNotFound, Code::NotFound));

    let key = as_team.create_key("the team's", "group_owner", &["*"]).await;
    let member = tenant.with_key(&key.secret);
    assert_eq!(member.who_am_i().await.home_group_id, team.id, "KeyService counts grants from above");
    let theirs = member.create("A").await;
    assert_eq!(theirs.group_id, team.id);
    update(&member, parent_access(&team.id), &["settings.allow_parent_access"]).await.unwrap();
    eventually("the owner above to be let in", || async { create(&as_team, product("B")).await.ok() }).await;
    assert_eq!(as_team.get(&theirs.id).await, theirs);
    let from_above = as_team.who_am_i().await;
    assert_eq!((from_above.group_id, from_above.home_group_id, from_above.role.as_str()), (team.id.clone(), tenant.group.id.clone(), "group_owner"));

    for (group, reason) in [(other.group.id.clone(), Reason::GroupNotFound), (never(), Reason::GroupNotFound)] {
        assert_eq!(create(&tenant.acting_in(&group), product("A")).await.refused().reason, reason, "{group}");
    }
    assert_eq!(create(&member.acting_in(&tenant.group.id), product("A")).await.refused().reason, Reason::GroupNotFound, "above home");
    for malformed in ["x", "", "00000000-0000-0000-0000-00000000000g"] {
        let refused = create(&tenant.acting_in(malformed), product("A")).await.refused();
        assert_eq!(refused.code, Code::InvalidArgument, "{malformed:?}: {refused:?}");
    }
}

async fn in_an_archived_group_nobody_acts(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let team = tenant.create_group("team", &tenant.group.id).await;
    let squad = tenant.create_group("squad", &team.id).await;
    let key = tenant.acting_in(&squad.id).create_key("the squad's", "group_owner", &["*"]).await;
    let member = tenant.with_key(&key.secret);
    member.create("A").await;
    let request = DeleteGroupRequest { id: team.id.clone(), ..Default::default() };
    let archived = tenant.groups().delete_group(request.clone()).await.unwrap().into_inner();
    let answered = Instant::now();
    assert!(archived.status == "archived" && archived.archive_time.is_some());
    let refused = eventually("the group below to be closed", || async {
        let begun = answered.elapsed();
        let answer = create(&member, product("A")).await;
        assert!(answer.is_err() || begun < Duration::from_secs(1), "a call that began {begun:?} later was answered");
        answer.err().map(Refused::from)
    })
    .await;
    assert_eq!(refused.reason, Reason::GroupNotFound);
    assert_eq!(tenant.groups().delete_group(request).await.unwrap().into_inner(), archived, "archiving again is OK and changes nothing");
    update(&tenant, Group { id: team.id.clone(), status: "active".to_owned(), ..Group::default() }, &["status"]).await.unwrap();
    eventually("the group below to be open again", || async { create(&member, product("B")).await.ok() }).await;
    assert_eq!(listed(&tenant, "").await, ["a tenant", "team", "squad"]);
}

async fn quotas_of_the_tier_hold(mesh: Mesh) {
    let tenant = mesh.tenant_on("starter").await;
    let child = |number: usize| CreateGroupRequest {
        group: Some(Group { name: format!("group {number}"), ..Group::default() }),
        parent_id: tenant.group.id.clone(),
        ..Default::default()
    };
    for number in 1..10 {
        tenant.groups().create_group(child(number)).await.unwrap();
    }
    let full = tenant.groups().create_group(child(10)).await.refused();
    assert_eq!((full.reason, full.code), (Reason::QuotaExceeded, Code::ResourceExhausted));
    assert_eq!(full.metadata["limit"], "10");

    let limits = contract::identity::v1::GroupLimits { things: Some(2), ..Default::default() };
    let small = mesh.tenant_like(Group { name: "small".to_owned(), tier: "enterprise".to_owned(), limits: Some(limits), ..Group::default() }).await;
    let made = small.create("A").await;
    small.create("B").await;
    small.things().delete_thing(contract::ontology::v1::DeleteThingRequest { id: made.id, ..Default::default() }).await.unwrap();
    let full = create(&small, product("C")).await.refused();
    assert_eq!(full.reason, Reason::QuotaExceeded, "archived things count");
}

async fn a_quota_holds_under_50_at_once(mesh: Mesh) {
    let limits = contract::identity::v1::GroupLimits { things: Some(20), ..Default::default() };
    let small = mesh.tenant_like(Group { name: "small".to_owned(), tier: "enterprise".to_owned(), limits: Some(limits), ..Group::default() }).await;
    let answers = futures::future::join_all((0..50).map(|_| create(&small, product("A")))).await;
    let (made, full): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), full.len()), (20, 30));
    assert!(full.into_iter().all(|answer| answer.refused().reason == Reason::QuotaExceeded));
}

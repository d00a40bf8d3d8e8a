#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    tiers::Tier,
    world::{World, bytes, call, group_id, in_group, named, of_group, reason, why, worlds},
};
use contract::{
    Scope, Scopes,
    identity::v1::{ActorKind, GroupLimits, GroupSettings},
};
use futures::future::join_all;
use prost_types::FieldMask;
use uuid::Uuid;

const NEVER: &str = "01890000-0000-7000-8000-000000000000";

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

impl World<'_> {
    pub(crate) async fn update(&self, principal: &Principal, group: Group, paths: &[&str]) -> Result<Group, Status> {
        let input =
            UpdateGroupRequest { group: Some(group), update_mask: mask(paths).filter(|_| !paths.is_empty()), ..UpdateGroupRequest::default() };
        Ok(self.identity.update_group(call(principal, input)).await?.into_inner())
    }

    async fn delete(&self, principal: &Principal, id: &str, etag: &str) -> Result<Group, Status> {
        let input = DeleteGroupRequest { id: id.to_owned(), etag: etag.to_owned(), ..DeleteGroupRequest::default() };
        Ok(self.identity.delete_group(call(principal, input)).await?.into_inner())
    }

    async fn get(&self, principal: &Principal, id: &str) -> Result<Group, Status> {
        Ok(self.identity.get_group(call(principal, GetGroupRequest { id: id.to_owned() })).await?.into_inner())
    }

    async fn list(&self, principal: &Principal, input: ListGroupsRequest) -> Result<ListGroupsResponse, Status> {
        Ok(self.identity.list_groups(call(principal, input)).await?.into_inner())
    }

    /// Names of all pages of two, in order.
    async fn names(&self, principal: &Principal, input: ListGroupsRequest) -> Vec<String> {
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = self.list(principal, ListGroupsRequest { page_size: 2, page_token, ..input.clone() }).await.unwrap();
            assert!(page.groups.len() <= 2);
            names.extend(page.groups.into_iter().map(|group| group.name));
            if page.next_page_token.is_empty() {
                return names;
            }
            page_token = page.next_page_token;
        }
    }
}

#[tokio::test]
async fn a_new_group_has_the_defaults_of_its_type_and_its_whole_state_in_its_own_log() {
    worlds(Tier::Pro, async |world| {
        for (kind, visibility, join_policy) in [
            ("", "private", "invite_only"),
            ("friend_circle", "private", "invite_only"),
            ("business", "private", "invite_only"),
            ("community", "public", "approval_required"),
            ("dao", "public", "open"),
            ("government", "public", "approval_required"),
            ("organization", "private", "invite_only"),
        ] {
            let group =
                world.create_group(&world.owner, &world.owner.group.to_string(), Group { r#type: kind.to_owned(), ..named("A") }).await.unwrap();
            assert_eq!(group.r#type, if kind.is_empty() { "organization" } else { kind });
            let settings = group.settings.clone().unwrap();
            let expected = GroupSettings { visibility: visibility.into(), join_policy: join_policy.into(), allow_parent_access: Some(false) };
            assert_eq!(settings, expected);
            assert_eq!((group.status.as_str(), group.revision, group.tier.as_str()), ("active", 1, ""));
            assert_eq!(
                (&group.group_id, &group.parent_id, &group.root_id),
                (&group.id, &world.owner.group.to_string(), &world.owner.root.to_string())
            );
            assert!(group.short_id.len() == 12 && group.short_id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
            assert_eq!(group.creator.clone().unwrap(), world.owner.actor_message());
            assert_eq!(world.get(&world.owner, &group.id).await.unwrap(), group);

            let told = world.told().await.pop().unwrap();
            assert_eq!((told.kind.as_str(), told.group, told.target, told.revision), ("group_created", group_id(&group), *group_id(&group), 1));
            assert_eq!((&told.metadata["name"], &told.metadata["changes"]["joinPolicy"]), (&"A".into(), &join_policy.into()));
            assert_eq!(told.metadata["changes"]["parentId"], world.owner.group.to_string());
            assert!(!told.metadata.contains_key("previousValues"));
        }
    })
    .await;
}

#[tokio::test]
async fn only_a_platform_owner_makes_organisations_tiers_and_limits() {
    worlds(Tier::Starter, async |world| {
        let limits = Some(GroupLimits { things: Some(5), ..GroupLimits::default() });
        let (own, tier) = (world.owner.group.to_string(), "pro".to_owned());
        for (parent, group) in [("", named("A")), (&*own, Group { tier: tier.clone(), ..named("A") }), (&*own, Group { limits, ..named("A") })] {
            let refused = world.create_group(&world.owner, parent, group).await.unwrap_err();
            assert_eq!(reason(&refused), Reason::PlatformOwnerRequired);
        }
        let organisation = world.create_group(&world.platform, "", Group { tier: tier.clone(), limits, ..named("A") }).await.unwrap();
        assert_eq!((organisation.tier.as_str(), &organisation.root_id, organisation.limits), ("pro", &organisation.id, limits));
        let refused = world.create_group(&world.platform, &organisation.id, Group { tier: tier.clone(), ..named("B") }).await.unwrap_err();
        assert_eq!(why(&refused), (Reason::InvalidField, vec!["group.tier".to_owned()]));
        assert_eq!(world.create_group(&world.platform, "", named("C")).await.unwrap().tier, "starter");

        let owner = of_group(&organisation, Role::GroupOwner);
        for (paths, group) in [
            (vec!["tier"], Group { tier: "enterprise".into(), ..Group::default() }),
            (vec![], Group { limits: Some(GroupLimits { things: Some(-1), ..GroupLimits::default() }), ..Group::default() }),
            (vec!["limits"], Group::default()),
            (vec!["*"], named("A")),
        ] {
            let refused = world.update(&owner, Group { id: organisation.id.clone(), ..group.clone() }, &paths).await.unwrap_err();
            assert_eq!(reason(&refused), Reason::PlatformOwnerRequired, "{paths:?}");
            world.update(&world.platform, Group { id: organisation.id.clone(), ..group }, &paths).await.unwrap();
        }
        let same = world.get(&owner, &organisation.id).await.unwrap();
        let renamed = world.update(&owner, Group { name: "B".into(), ..same.clone() }, &["*"]).await.unwrap();
        assert_eq!((renamed.name.as_str(), renamed.revision), ("B", same.revision + 1));
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_in_itself_names_its_field() {
    worlds(Tier::Starter, async |world| {
        let own = world.owner.group.to_string();
        for (parent, group, field) in [
            (&*own, named(""), "group.name"),
            (&*own, Group { status: "archived".into(), ..named("A") }, "group.status"),
            (&*own, Group { r#type: "club".into(), ..named("A") }, "group.type"),
            ("x", named("A"), "parent_id"),
        ] {
            let refused = world.create_group(&world.owner, parent, group).await.unwrap_err();
            assert_eq!(why(&refused), (Reason::InvalidField, vec![field.to_owned()]));
        }
        let group = world.below(&world.owner, "A").await;
        for (sent, paths, field) in [
            (named(""), vec!["name"], "group.name"),
            (named(""), vec!["*"], "group.name"),
            (Group { r#type: "dao".into(), ..Group::default() }, vec![], "group.type"),
            (Group { id: "x".into(), ..Group::default() }, vec![], "group.id"),
        ] {
            let id = if sent.id.is_empty() { group.id.clone() } else { sent.id.clone() };
            let refused = world.update(&world.owner, Group { id, ..sent }, &paths).await.unwrap_err();
            assert_eq!(why(&refused), (Reason::InvalidField, vec![field.to_owned()]), "{paths:?}");
        }
        for path in ["id", "type", "parent_id", "etag", "settings.color", "limits.x", "*.name"] {
            let refused = world.update(&world.owner, group.clone(), &[path]).await.unwrap_err();
            assert_eq!(reason(&refused), Reason::InvalidUpdateMask, "{path}");
        }
        let mismatched = Group { group_id: NEVER.into(), ..named("A") };
        assert_eq!(reason(&world.create_group(&world.owner, &own, mismatched.clone()).await.unwrap_err()), Reason::GroupMismatch);
        let refused = world.update(&world.owner, Group { id: group.id.clone(), ..mismatched }, &[]).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::GroupMismatch);
        let filters = ListGroupsRequest { filter: "creator = 1".into(), ..ListGroupsRequest::default() };
        assert_eq!(reason(&world.list(&world.owner, filters).await.unwrap_err()), Reason::InvalidFilter);
        let orders = ListGroupsRequest { order_by: "tier".into(), ..ListGroupsRequest::default() };
        assert_eq!(reason(&world.list(&world.owner, orders).await.unwrap_err()), Reason::InvalidOrderBy);
        assert_eq!(world.told().await.len(), 5, "refusals tell nothing: two groups, two keys and one more group");
    })
    .await;
}

#[tokio::test]
async fn a_mask_says_what_changes_and_the_event_says_what_changed() {
    worlds(Tier::Starter, async |world| {
        let (owner, made) = (&world.owner, world.below(&world.owner, "A").await);
        let sent = |group: Group| Group { id: made.id.clone(), ..group };
        let settings =
            |visibility: &str, access| Some(GroupSettings { visibility: visibility.into(), join_policy: String::new(), allow_parent_access: access });

        let group =
            world.update(owner, sent(Group { description: "d".into(), settings: settings("public", Some(true)), ..named("B") }), &[]).await.unwrap();
        assert_eq!((group.name.as_str(), group.description.as_str(), group.revision), ("B", "d", 2));
        assert_ne!(group.etag, made.etag);
        let told = world.told().await.pop().unwrap();
        assert_eq!((told.kind.as_str(), told.group, told.revision), ("group_updated", group_id(&group), 2));
        let value = serde_json::json!({
            "changes": {"name": "B", "description": "d", "visibility": "public", "allowParentAccess": true},
            "previousValues": {"name": "A", "description": "", "visibility": "private", "allowParentAccess": false},
        });
        assert_eq!(Value::Object(told.metadata), value);

        let group =
            world.update(owner, sent(Group { settings: settings("", None), ..named("C") }), &["description", "settings.visibility"]).await.unwrap();
        let kept = group.settings.clone().unwrap();
        assert_eq!(
            (group.name.as_str(), group.description.as_str(), kept.visibility.as_str(), kept.allow_parent_access),
            ("B", "", "private", Some(true))
        );
        let group = world.update(owner, sent(named("C")), &["settings"]).await.unwrap();
        assert_eq!(group.settings.unwrap().allow_parent_access, Some(false));
        let whole = world.update(owner, sent(named("D")), &["*"]).await.unwrap();
        assert_eq!((whole.name.as_str(), whole.revision), ("D", 5));

        let events = world.told().await.len();
        assert_eq!(world.update(owner, sent(named("D")), &[]).await.unwrap(), whole, "nothing changed: no revision");
        assert_eq!(world.told().await.len(), events, "and no event");
        assert_eq!(world.get(owner, &made.id).await.unwrap(), whole);
        assert_eq!(whole.create_time, made.create_time);
    })
    .await;
}

#[tokio::test]
async fn archiving_closes_and_restoring_opens() {
    worlds(Tier::Starter, async |world| {
        let (owner, made) = (&world.owner, world.below(&world.owner, "A").await);
        assert_eq!(reason(&world.delete(owner, &made.id, "r9").await.unwrap_err()), Reason::EtagMismatch);
        let gone = world.delete(owner, &made.id, &made.etag).await.unwrap();
        assert_eq!((gone.status.as_str(), gone.revision, gone.archive_time.is_some()), ("archived", 2, true));
        let told = world.told().await.pop().unwrap();
        assert_eq!((told.kind.as_str(), &told.metadata["changes"]["status"]), ("group_archived", &"archived".into()));
        let events = world.told().await.len();
        assert_eq!(world.delete(owner, &made.id, "").await.unwrap(), gone, "archived is archived");
        assert_eq!(world.told().await.len(), events);
        assert_eq!(world.get(owner, &made.id).await.unwrap(), gone, "it is found from above");
        assert_eq!(reason(&world.create_group(owner, &made.id, named("B")).await.unwrap_err()), Reason::GroupNotFound);

        let back = world.update(owner, Group { id: made.id.clone(), status: "active".into(), ..Group::default() }, &["status"]).await.unwrap();
        assert_eq!((back.status.as_str(), back.revision, back.archive_time), ("active", 3, None));
        let told = world.told().await.pop().unwrap();
        assert_eq!((told.kind.as_str(), &told.metadata["changes"]["name"]), ("group_updated", &"A".into()), "the whole state: it appears again");
        world.update(owner, Group { id: made.id.clone(), status: "archived".into(), ..Group::default() }, &[]).await.unwrap();
        assert_eq!(world.told().await.pop().unwrap().kind, "group_archived");

        let weak = Principal { scopes: Scopes::of(Scope::GroupsWrite), ..owner.clone() };
        let other = world.below(owner, "C").await;
        let refused = world.update(&weak, Group { id: other.id, status: "archived".into(), ..Group::default() }, &[]).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::InsufficientScopes);
    })
    .await;
}

#[tokio::test]
async fn organisations_are_the_platforms_to_close_and_the_platform_is_nobodys() {
    worlds(Tier::Starter, async |world| {
        let organisation = world.owner.group.to_string();
        assert_eq!(reason(&world.delete(&world.owner, &organisation, "").await.unwrap_err()), Reason::PlatformOwnerRequired);
        let sent = Group { id: organisation.clone(), status: "archived".into(), ..Group::default() };
        assert_eq!(reason(&world.update(&world.owner, sent, &[]).await.unwrap_err()), Reason::PlatformOwnerRequired);
        assert_eq!(world.delete(&world.platform, &organisation, "").await.unwrap().status, "archived");
        let sent = Group { id: organisation, status: "active".into(), ..Group::default() };
        assert_eq!(world.update(&world.platform, sent, &[]).await.unwrap().status, "active");
        let refused = world.delete(&world.platform, &world.platform.group.to_string(), "").await.unwrap_err();
        assert_eq!(why(&refused), (Reason::InvalidField, vec!["id".to_owned()]));
    })
    .await;
}

#[tokio::test]
async fn anothers_group_answers_as_one_that_never_was() {
    worlds(Tier::Starter, async |world| {
        let other = world.create_group(&world.platform, "", named("Other")).await.unwrap();
        let theirs = world.below(&of_group(&other, Role::GroupOwner), "Theirs").await;
        let own = world.below(&world.owner, "Own").await;
        let low = of_group(&own, Role::GroupOwner);
        let sibling = world.below(&world.owner, "Sibling").await;
        let events = world.told().await.len();
        let above = world.owner.group.to_string();
        for (who, foreign) in [(&world.owner, &other.id), (&world.owner, &theirs.id), (&low, &above), (&low, &sibling.id), (&low, &theirs.id)] {
            let (of_foreign, of_never) = (refusals(&world, who, foreign).await, refusals(&world, who, NEVER).await);
            assert_eq!(of_foreign, of_never);
            assert!(of_foreign.iter().all(|refusal| refusal.contains("GROUP_NOT_FOUND")), "{of_foreign:?}");
        }
        assert_eq!(world.told().await.len(), events);
        // A platform owner elsewhere sees what that group sees; at home, everything.
        let elsewhere = in_group(&world.platform, &own);
        assert_eq!(reason(&world.get(&elsewhere, &theirs.id).await.unwrap_err()), Reason::GroupNotFound);
        assert_eq!(world.get(&world.platform, &theirs.id).await.unwrap(), theirs);
        assert_eq!(world.get(&world.owner, &own.id.to_uppercase()).await.unwrap(), own, "a UUID in any of its spellings");
    })
    .await;
}

/// What each rpc that takes a group's id answers.
async fn refusals(world: &World<'_>, who: &Principal, id: &str) -> Vec<String> {
    let sent = Group { id: id.to_owned(), ..named("A") };
    let children = ListGroupsRequest { parent_id: id.to_owned(), ..ListGroupsRequest::default() };
    [
        world.get(who, id).await.unwrap_err(),
        world.update(who, sent.clone(), &[]).await.unwrap_err(),
        world.update(who, Group { etag: "r1".into(), ..sent }, &["name"]).await.unwrap_err(),
        world.delete(who, id, "").await.unwrap_err(),
        world.create_group(who, id, named("A")).await.unwrap_err(),
        world.list(who, children).await.unwrap_err(),
    ]
    .iter()
    .map(|status| bytes(status, id))
    .collect()
}

#[tokio::test]
async fn lists_show_what_is_below_in_every_order() {
    worlds(Tier::Pro, async |world| {
        world.case.clock.advance(std::time::Duration::from_secs(1));
        let (owner, mut all) = (&world.owner, Vec::new());
        for name in ["b", "a", "É", "B"] {
            all.push(world.below(owner, name).await);
            world.case.clock.advance(std::time::Duration::from_secs(1));
        }
        let below = world.below(&in_group(owner, &all[1]), "c").await;
        world.case.clock.advance(std::time::Duration::from_secs(1));
        world.update(owner, Group { id: all[0].id.clone(), description: "later".into(), ..Group::default() }, &[]).await.unwrap();
        world.delete(owner, &all[2].id, "").await.unwrap();
        let list =
            |order_by: &str, filter: &str| ListGroupsRequest { order_by: order_by.into(), filter: filter.into(), ..ListGroupsRequest::default() };
        for (input, names) in [
            (list("", ""), "c B a b First organisation"),
            (list("create_time", ""), "First organisation b a B c"),
            (list("name", ""), "B First organisation a b c"),
            (list("name desc", ""), "c b a First organisation B"),
            (list("update_time desc", ""), "b c B a First organisation"),
            (list("", r#"name = "a" OR name = "c""#), "c a"),
            (list("", r#"type = "organization" AND tier = "pro""#), "First organisation"),
            (list("", "status = archived"), ""),
            (ListGroupsRequest { show_archived: true, ..list("", "status = archived") }, "É"),
            (ListGroupsRequest { show_archived: true, ..list("name", "") }, "B First organisation a b c É"),
            (ListGroupsRequest { parent_id: owner.group.to_string(), ..list("name", "") }, "B a b"),
            (ListGroupsRequest { parent_id: all[1].id.clone(), ..list("update_time", "") }, "c"),
        ] {
            assert_eq!(world.names(owner, input.clone()).await.join(" "), names, "{input:?}");
        }
        let low = of_group(&all[1], Role::GroupUser);
        assert_eq!(world.names(&low, list("", "")).await, ["c", "a"]);
        assert_eq!(world.names(&of_group(&below, Role::GroupUser), list("", "")).await, ["c"]);
        assert_eq!(world.names(&world.platform, list("name", "")).await, ["First organisation", "platform"]);
        assert_eq!(world.names(&in_group(&world.platform, &all[1]), list("name", "")).await, ["a", "c"]);
        let of_platform = ListGroupsRequest { parent_id: owner.group.to_string(), ..list("name", "") };
        assert_eq!(world.names(&world.platform, of_platform).await, ["B", "a", "b"]);

        // A token is one list's.
        let page = world.list(owner, ListGroupsRequest { page_size: 1, ..list("", "") }).await.unwrap();
        for (who, input) in
            [(&low, list("", "")), (owner, list("name", "")), (owner, ListGroupsRequest { parent_id: owner.group.to_string(), ..list("", "") })]
        {
            let foreign = ListGroupsRequest { page_token: page.next_page_token.clone(), ..input };
            assert_eq!(reason(&world.list(who, foreign).await.unwrap_err()), Reason::InvalidPageToken);
        }
    })
    .await;
}

#[tokio::test]
async fn nesting_ends_at_sixteen_levels() {
    worlds(Tier::Enterprise, async |world| {
        let mut who = world.owner.clone();
        for level in 2..=16 {
            let group = world.below(&who, &format!("level {level}")).await;
            who = in_group(&world.owner, &group);
        }
        let refused = world.create_group(&world.owner, &who.group.to_string(), named("level 17")).await.unwrap_err();
        assert_eq!((reason(&refused), refused.code()), (Reason::GroupTooDeep, tonic::Code::FailedPrecondition));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_places_of_a_quota_are_taken_once() {
    worlds(Tier::Starter, async |world| {
        let made = join_all((0..20).map(|n| {
            let (name, world) = (format!("group {n}"), &world);
            async move { world.create_group(&world.owner, &world.owner.group.to_string(), named(&name)).await }
        }))
        .await;
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 9, "ten with the organisation itself");
        assert!(made.iter().filter_map(|made| made.as_ref().err()).all(|refused| reason(refused) == Reason::QuotaExceeded));
        let one = made.into_iter().find_map(Result::ok).unwrap();
        world.delete(&world.owner, &one.id, "").await.unwrap();
        let refused = world.create_group(&world.owner, &world.owner.group.to_string(), named("A")).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::QuotaExceeded, "archived ones count");
        let limits = Some(GroupLimits { groups: Some(11), ..GroupLimits::default() });
        world.update(&world.platform, Group { id: world.owner.group.to_string(), limits, ..Group::default() }, &[]).await.unwrap();
        world.below(&world.owner, "the eleventh").await;
        assert_eq!(reason(&world.create_group(&world.owner, &world.owner.group.to_string(), named("A")).await.unwrap_err()), Reason::QuotaExceeded);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_writers_with_one_etag_one_writes() {
    worlds(Tier::Starter, async |world| {
        let group = world.below(&world.owner, "A").await;
        let written = join_all((0..50).map(|n| {
            let (world, sent) = (&world, Group { name: format!("writer {n}"), ..group.clone() });
            async move { world.update(&world.owner, sent, &["name"]).await }
        }))
        .await;
        assert_eq!(written.iter().filter(|written| written.is_ok()).count(), 1);
        assert!(written.iter().filter_map(|written| written.as_ref().err()).all(|refused| reason(refused) == Reason::EtagMismatch));
        let without = join_all((0..20).map(|n| {
            let (world, sent) = (&world, Group { id: group.id.clone(), name: format!("blind {n}"), ..Group::default() });
            async move { world.update(&world.owner, sent, &["name"]).await.unwrap().revision }
        }))
        .await;
        let (mut revisions, told) = (without, world.told().await);
        revisions.sort_unstable();
        assert_eq!(revisions, (3..23).collect::<Vec<_>>(), "without an etag all write, one after the other");
        let order: Vec<i64> = told.iter().filter(|told| told.target == *group_id(&group)).map(|told| told.revision).collect();
        assert_eq!(order, (1..23).collect::<Vec<_>>(), "and the log has them in their order");
    })
    .await;
}

#[tokio::test]
async fn a_request_is_remembered_and_a_trial_keeps_nothing() {
    worlds(Tier::Starter, async |world| {
        let input = |name: &str, validate_only| CreateGroupRequest {
            group: Some(named(name)),
            parent_id: world.owner.group.to_string(),
            request_id: Uuid::from_u128(7).to_string(),
            validate_only,
        };
        let events = world.told().await.len();
        let tried = world.identity.create_group(call(&world.owner, input("A", true))).await.unwrap().into_inner();
        assert_eq!(reason(&world.get(&world.owner, &tried.id).await.unwrap_err()), Reason::GroupNotFound);
        let made = world.identity.create_group(call(&world.owner, input("A", false))).await.unwrap().into_inner();
        let again = world.identity.create_group(call(&world.owner, input("A", false))).await.unwrap().into_inner();
        assert_eq!(made, again);
        assert_eq!(world.told().await.len(), events + 1);
        let other = world.identity.create_group(call(&world.owner, input("B", false))).await.unwrap_err();
        assert_eq!(reason(&other), Reason::RequestIdReused);
        assert_eq!(made.creator.unwrap().kind, i32::from(ActorKind::Key));
    })
    .await;
}

#[tokio::test]
async fn the_feed_hears_of_what_is_cached_and_of_nothing_else() {
    worlds(Tier::Starter, async |world| {
        let group = world.below(&world.owner, "A").await;
        let id = || group.id.clone();
        world.update(&world.owner, Group { id: id(), ..named("B") }, &[]).await.unwrap();
        assert!(world.changed().await.is_empty(), "names are not cached");
        let settings = Some(GroupSettings { allow_parent_access: Some(true), ..GroupSettings::default() });
        world.update(&world.owner, Group { id: id(), settings, ..Group::default() }, &[]).await.unwrap();
        let limits = Some(GroupLimits { things: Some(1), ..GroupLimits::default() });
        world.update(&world.platform, Group { id: id(), limits, ..Group::default() }, &[]).await.unwrap();
        world.delete(&world.owner, &group.id, "").await.unwrap();
        world.delete(&world.owner, &group.id, "").await.unwrap();
        assert_eq!(world.changed().await, vec![*group_id(&group); 3]);
        assert_eq!(reason(&world.delete(&world.owner, &group.id, "r1").await.unwrap_err()), Reason::EtagMismatch);
        assert_eq!(world.changed().await.len(), 3);
    })
    .await;
}

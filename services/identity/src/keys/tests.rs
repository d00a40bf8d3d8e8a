#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    secret::Secret,
    tiers::Tier,
    world::{World, bytes, call, group_id, in_group, of_group, reason, why, worlds},
};
use contract::{
    Role, Scope, Scopes,
    identity::v1::KeyState,
    time::{micros, timestamp},
};
use futures::future::join_all;
use std::time::Duration;
use uuid::Uuid;

const NEVER: &str = "01890000-0000-7000-8000-000000000000";

fn key(name: &str, scopes: &[&str]) -> Key {
    Key { name: name.to_owned(), scopes: scopes.iter().map(|word| (*word).to_owned()).collect(), ..Key::default() }
}

impl World<'_> {
    async fn key(&self, principal: &Principal, id: &str) -> Result<Key, Status> {
        Ok(self.identity.get_key(call(principal, GetKeyRequest { id: id.to_owned() })).await?.into_inner())
    }

    async fn revoke(&self, principal: &Principal, id: &str, etag: &str) -> Result<Key, Status> {
        let input = RevokeKeyRequest { id: id.to_owned(), reason: "lost".to_owned(), etag: etag.to_owned(), ..RevokeKeyRequest::default() };
        Ok(self.identity.revoke_key(call(principal, input)).await?.into_inner())
    }

    async fn key_names(&self, principal: &Principal, input: ListKeysRequest) -> Result<String, Status> {
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = self.identity.list_keys(call(principal, ListKeysRequest { page_size: 2, page_token, ..input.clone() })).await?.into_inner();
            names.extend(page.keys.into_iter().map(|key| key.name));
            if page.next_page_token.is_empty() {
                return Ok(names.join(", "));
            }
            page_token = page.next_page_token;
        }
    }

    fn at(&self, seconds: i64) -> Option<prost_types::Timestamp> {
        Some(timestamp(self.case.clock.micros() + seconds * 1_000_000))
    }
}

#[tokio::test]
async fn a_new_key_shows_its_secret_once_and_tells_of_itself_without_it() {
    worlds(Tier::Starter, async |world| {
        let sent =
            Key { expire_time: world.at(60), id: NEVER.into(), revoke_reason: "x".into(), ..key("A", &["entities:read", "things:read", "ai:use"]) };
        let made = world.create_key(&world.owner, sent.clone()).await.unwrap();
        let (key, secret) = (made.key.clone().unwrap(), Secret::parse(&made.secret).unwrap());
        assert_eq!(key.prefix, secret.prefix());
        assert_eq!(key.scopes, ["things:read", "ai:use"], "one word for one thing");
        assert_eq!((key.role.as_str(), key.state(), key.revision), ("group_owner", KeyState::Active, 1));
        assert_eq!((&key.group_id, key.expire_time, key.archive_time), (&world.owner.group.to_string(), sent.expire_time, None));
        assert_ne!(key.id, NEVER);
        assert_eq!(key.revoke_reason, "");
        assert_eq!(world.key(&world.owner, &key.id).await.unwrap(), key);
        assert!(!format!("{made:?}").contains(&made.secret), "Debug shows no secret");

        let told = world.told().await.pop().unwrap();
        assert_eq!((told.kind.as_str(), told.group, told.target), ("api_key_generated", world.owner.group, Uuid::parse_str(&key.id).unwrap()));
        assert_eq!((&told.metadata["keyId"], &told.metadata["name"]), (&key.id.clone().into(), &"A".into()));
        assert_eq!(told.metadata["expiresAt"], micros(&sent.expire_time.unwrap()).unwrap() / 1_000);
        assert_eq!(told.metadata["scopes"], serde_json::json!(["things:read", "ai:use"]));
        assert_eq!((&told.metadata["changes"]["status"], &told.metadata["changes"]["role"]), (&"active".into(), &"group_owner".into()));
        let open = serde_json::to_string(&told.metadata).unwrap();
        assert!(!open.contains(&made.secret[key.prefix.len()..][..43]), "{open}");
    })
    .await;
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    worlds(Tier::Starter, async |world| {
        let child = world.below(&world.owner, "child").await;
        let words = |words: &[&str]| words.iter().map(|word| Scopes::parse(word).unwrap()).sum::<Scopes>();
        let with = |scopes: Scopes, role| Principal { scopes: scopes & Scopes::of_role(role), role, ..world.owner.clone() };
        let every = words(&["groups:*", "people:*", "things:*", "connections:*", "events:*", "knowledge:*", "webhooks:*", "applications:*"])
            | words(&["types:*", "alerts:*", "ai:use", "api_keys:manage", "quota:view", "audit:export"]);
        assert_eq!(every.words(), Scopes::ALL.words());
        for (maker, scopes, role, refused) in [
            (with(Scopes::ALL, Role::GroupOwner), vec!["*"], "", None),
            (with(Scopes::ALL, Role::GroupOwner), vec!["admin", "*", "things:write"], "customer", None),
            (with(Scopes::ALL, Role::GroupOwner), vec!["*"], "platform_owner", Some(Reason::RoleNotHeld)),
            (with(every, Role::GroupOwner), vec!["*"], "", Some(Reason::ScopeNotHeld)),
            (with(every, Role::GroupOwner), vec!["things:*", "audit:read"], "group_owner", None),
            (with(words(&["things:write"]), Role::GroupOwner), vec!["things:read"], "", None),
            (with(words(&["things:write"]), Role::GroupOwner), vec!["things:*"], "", Some(Reason::ScopeNotHeld)),
            (with(words(&["things:write"]), Role::GroupOwner), vec!["things:write", "events:read"], "", Some(Reason::ScopeNotHeld)),
            (with(Scopes::of(Scope::ThingsRead), Role::GroupOwner), vec!["things:write"], "", Some(Reason::ScopeNotHeld)),
            (with(Scopes::ALL, Role::GroupUser), vec!["things:delete"], "", Some(Reason::ScopeNotHeld)),
            (with(Scopes::ALL, Role::GroupUser), vec!["things:read"], "group_owner", Some(Reason::RoleNotHeld)),
            (world.platform.clone(), vec!["*"], "platform_owner", None),
            (in_group(&world.platform, &child), vec!["*"], "platform_owner", Some(Reason::RoleNotHeld)),
            (in_group(&world.platform, &child), vec!["*"], "group_owner", None),
        ] {
            let sent = Key { role: role.to_owned(), ..key("A", &scopes) };
            let made = world.create_key(&maker, sent).await;
            assert_eq!(made.as_ref().err().map(reason), refused, "{scopes:?} {role}");
            if let Ok(made) = made {
                let made = made.key.unwrap();
                assert_eq!(made.role, if role.is_empty() { maker.role.word() } else { role });
                assert_eq!(made.group_id, maker.group.to_string());
            }
        }
        let unset = world.create_key(&in_group(&world.platform, &child), key("A", &["*"])).await.unwrap().key.unwrap();
        assert_eq!(unset.role, "group_owner", "outside the platform's own group");
        let unset = world.create_key(&world.platform, key("A", &["*"])).await.unwrap().key.unwrap();
        assert_eq!(unset.role, "platform_owner");
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_in_itself_names_its_field() {
    worlds(Tier::Starter, async |world| {
        let events = world.told().await.len();
        for (sent, field) in [
            (key("A", &[]), "key.scopes"),
            (key("A", &["things:read", "things:reed"]), "key.scopes[1]"),
            (key("A", &[""]), "key.scopes[0]"),
            (Key { role: "king".into(), ..key("A", &["*"]) }, "key.role"),
            (Key { expire_time: world.at(0), ..key("A", &["*"]) }, "key.expire_time"),
            (Key { expire_time: world.at(-60), ..key("A", &["*"]) }, "key.expire_time"),
            (Key { expire_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), ..key("A", &["*"]) }, "key.expire_time"),
        ] {
            let refused = world.create_key(&world.owner, sent).await.unwrap_err();
            assert_eq!(why(&refused), (Reason::InvalidField, vec![field.to_owned()]));
        }
        let foreign = Key { group_id: world.platform.group.to_string(), ..key("A", &["*"]) };
        assert_eq!(reason(&world.create_key(&world.owner, foreign).await.unwrap_err()), Reason::GroupMismatch);
        let own = Key { group_id: world.owner.group.to_string(), ..key("A", &["*"]) };
        world.create_key(&world.owner, own).await.unwrap();
        assert_eq!(world.told().await.len(), events + 1);
    })
    .await;
}

#[tokio::test]
async fn revoking_is_final_and_told_once() {
    worlds(Tier::Starter, async |world| {
        let made = world.create_key(&world.owner, key("A", &["*"])).await.unwrap().key.unwrap();
        assert_eq!(reason(&world.revoke(&world.owner, &made.id, "r2").await.unwrap_err()), Reason::EtagMismatch);
        let gone = world.revoke(&world.owner, &made.id, &made.etag).await.unwrap();
        assert_eq!((gone.state(), gone.revision, gone.revoke_reason.as_str()), (KeyState::Revoked, 2, "lost"));
        assert!(gone.revoke_time.is_some() && gone.archive_time == gone.revoke_time && gone.etag != made.etag);
        let told = world.told().await;
        let last = told.last().unwrap();
        assert_eq!((last.kind.as_str(), last.revision), ("api_key_revoked", 2));
        assert_eq!((&last.metadata["keyId"], &last.metadata["reason"]), (&made.id.clone().into(), &"lost".into()));
        assert_eq!((&last.metadata["changes"]["status"], &last.metadata["previousValues"]["status"]), (&"revoked".into(), &"active".into()));
        assert_eq!(world.revoke(&world.owner, &made.id, "").await.unwrap(), gone);
        assert_eq!(world.told().await.len(), told.len());
        assert_eq!(world.changed().await, [Uuid::parse_str(&made.id).unwrap()], "the feed heard of it, once");
        assert_eq!(world.key(&world.owner, &made.id).await.unwrap(), gone);
    })
    .await;
}

#[tokio::test]
async fn anothers_key_answers_as_one_that_never_was() {
    worlds(Tier::Starter, async |world| {
        let child = world.below(&world.owner, "child").await;
        let theirs = world.create_key(&of_group(&child, Role::GroupOwner), key("A", &["*"])).await.unwrap().key.unwrap();
        for who in [&world.owner, &world.platform] {
            for id in [&theirs.id, NEVER] {
                for refused in [
                    world.key(who, id).await.unwrap_err(),
                    world.revoke(who, id, "").await.unwrap_err(),
                    world.revoke(who, id, "r1").await.unwrap_err(),
                ] {
                    assert_eq!(reason(&refused), Reason::KeyNotFound);
                    assert_eq!(bytes(&refused, id), bytes(&world.key(who, NEVER).await.unwrap_err(), NEVER));
                }
            }
        }
        assert_eq!(world.key(&in_group(&world.owner, &child), &theirs.id).await.unwrap(), theirs, "from above, in its group");
        assert_eq!(world.key_names(&world.owner, ListKeysRequest::default()).await.unwrap(), "First key of First organisation");
        assert_eq!(world.key_names(&in_group(&world.owner, &child), ListKeysRequest::default()).await.unwrap(), "A");
    })
    .await;
}

#[tokio::test]
async fn lists_filter_and_hide_what_was_revoked() {
    worlds(Tier::Starter, async |world| {
        let group = world.below(&world.owner, "group").await;
        let who = of_group(&group, Role::GroupOwner);
        let mut made = Vec::new();
        for (name, role, seconds) in [("b", "customer", 100), ("a", "group_user", 200), ("B", "customer", 300)] {
            world.case.clock.advance(Duration::from_secs(1));
            let sent = Key { role: role.into(), expire_time: world.at(seconds), ..key(name, &["*"]) };
            made.push(world.create_key(&who, sent).await.unwrap().key.unwrap());
        }
        world.case.clock.advance(Duration::from_secs(1));
        made.push(world.create_key(&who, key("eternal", &["*"])).await.unwrap().key.unwrap());
        world.revoke(&who, &made[1].id, "").await.unwrap();
        let expires = world.at(150).unwrap();
        let by_time = format!("expire_time < {:?}", humantime(expires));
        for (order_by, filter, show_archived, names) in [
            ("", "", false, "eternal, B, b"),
            ("", "", true, "eternal, B, a, b"),
            ("create_time", "", true, "b, a, B, eternal"),
            ("update_time desc", "", true, "a, eternal, B, b"),
            ("name", "", true, "B, a, b, eternal"),
            ("", "role = customer", false, "B, b"),
            ("", "NOT role = customer", true, "eternal, a"),
            ("", &by_time, true, "b"),
            ("", "expire_time = null", true, "eternal"),
            ("", &format!("prefix = {:?}", made[2].prefix), false, "B"),
            ("", "name = \"' OR 1 = 1 --\"", true, ""),
        ] {
            let input = ListKeysRequest { order_by: order_by.into(), filter: filter.into(), show_archived, ..ListKeysRequest::default() };
            assert_eq!(world.key_names(&who, input).await.unwrap(), names, "{order_by} {filter}");
        }
        for (filter, order_by, why) in [("scopes = 1", "", Reason::InvalidFilter), ("", "role", Reason::InvalidOrderBy)] {
            let input = ListKeysRequest { order_by: order_by.into(), filter: filter.into(), ..ListKeysRequest::default() };
            assert_eq!(reason(&world.key_names(&who, input).await.unwrap_err()), why);
        }
        world.case.clock.advance(Duration::from_secs(150));
        assert_eq!(world.key(&who, &made[0].id).await.unwrap().state(), KeyState::Expired);
        assert_eq!(group_id(&group), who.group);
    })
    .await;
}

/// RFC 3339 of a time in UTC, days counted from 1970 (Howard Hinnant's `civil_from_days`).
fn humantime(at: prost_types::Timestamp) -> String {
    let (days, rest) = (at.seconds.div_euclid(86_400), at.seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_calls_with_one_request_id_make_one_key() {
    worlds(Tier::Starter, async |world| {
        let input = CreateKeyRequest { key: Some(key("A", &["*"])), request_id: Uuid::from_u128(7).to_string(), validate_only: false };
        let events = world.told().await.len();
        let made = join_all((0..50).map(|_| world.identity.create_key(call(&world.owner, input.clone())))).await;
        let made: Vec<CreateKeyResponse> = made.into_iter().map(|made| made.unwrap().into_inner()).collect();
        assert!(made.iter().all(|other| *other == made[0] && !other.secret.is_empty()), "the same secret for all");
        assert_eq!(world.told().await.len(), events + 1);
        assert!(world.identity.verify(&made[0].secret).await.is_ok());
        let other = CreateKeyRequest { key: Some(key("B", &["*"])), ..input };
        assert_eq!(reason(&world.identity.create_key(call(&world.owner, other)).await.unwrap_err()), Reason::RequestIdReused);
    })
    .await;
}

#[tokio::test]
async fn a_trials_secret_opens_nothing() {
    worlds(Tier::Starter, async |world| {
        let input = CreateKeyRequest { key: Some(key("A", &["*"])), validate_only: true, ..CreateKeyRequest::default() };
        let tried = world.identity.create_key(call(&world.owner, input)).await.unwrap().into_inner();
        assert_eq!(world.identity.verify(&tried.secret).await.unwrap_err().reason(), Reason::InvalidApiKey);
        assert_eq!(reason(&world.key(&world.owner, &tried.key.unwrap().id).await.unwrap_err()), Reason::KeyNotFound);
    })
    .await;
}

#[tokio::test]
async fn a_caller_is_told_who_it_is_and_what_it_may() {
    worlds(Tier::Pro, async |world| {
        let made = world.create_key(&world.owner, key("A", &["things:write"])).await.unwrap().key.unwrap();
        let child = world.below(&world.owner, "child").await;
        let id = KeyId::parse(&made.id).unwrap();
        let mut who = in_group(&world.owner, &child);
        (who.credential.id, who.scopes) = (*id, Scopes::parse("things:write").unwrap());
        who.quotas = principal::Quotas { groups: 100, things: 7 };
        let mut request = call(&who, GetCallerRequest {});
        request.metadata_mut().insert("one-left", "minute=7@1700000040,organisation-day=0@1700006400".parse().unwrap());
        let caller = world.identity.get_caller(request).await.unwrap().into_inner();
        assert_eq!(caller.key, Some(made));
        assert_eq!(caller.actor, Some(who.actor_message()));
        assert_eq!((caller.home_group_id, caller.group_id), (world.owner.group.to_string(), child.id));
        assert_eq!((caller.root_id, caller.role.as_str()), (child.root_id, "group_owner"));
        assert_eq!(caller.scopes, ["things:read", "things:write"]);
        let limits: Vec<_> =
            caller.limits.iter().map(|limit| (limit.name.as_str(), limit.quota, limit.window.map(|window| window.seconds))).collect();
        let expected = [
            ("minute", 600, Some(60)),
            ("day", 100_000, Some(86_400)),
            ("organisation-minute", 6_000, Some(60)),
            ("organisation-day", 1_000_000, Some(86_400)),
            ("groups", 100, None),
            ("things", 7, None),
        ];
        assert_eq!(limits, expected);
        let left: Vec<_> = caller.limits.iter().map(|limit| (limit.remaining, limit.reset_time.map(|time| time.seconds))).collect();
        let none = (None, None);
        assert_eq!(left, [(Some(7), Some(1_700_000_040)), none, none, (Some(0), Some(1_700_006_400)), none, none]);
    })
    .await;
}

//! Keys: what they may do, and who may make them.

use crate::support::{create, event_types, events_about, json, product};
use contract::{
    Reason,
    identity::v1::{CreateKeyRequest, GetKeyRequest, Key, KeyState, ListKeysRequest, RevokeKeyRequest},
};
use std::time::{Duration, Instant};
use tests::{Caller, Mesh, Refused, Refuses, on_every_mesh};
use tonic::Code;

async fn asked(caller: &Caller, role: &str, scopes: &[&str]) -> Refused {
    let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
    let key = Key { name: "a key".to_owned(), role: role.to_owned(), scopes, ..Key::default() };
    caller.keys().create_key(CreateKeyRequest { key: Some(key), ..Default::default() }).await.refused()
}

async fn listed(caller: &Caller, request: ListKeysRequest) -> Vec<Key> {
    caller.keys().list_keys(request).await.unwrap().into_inner().keys
}

on_every_mesh![
    a_key_is_shown_once_and_never_again,
    a_key_does_what_its_scopes_say,
    a_key_makes_no_key_that_can_do_more,
    a_revoked_key_is_refused_within_a_second_and_for_good,
    get_caller_says_who_where_and_how_much,
];

async fn a_key_is_shown_once_and_never_again(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let made = tenant.create_key("reader", "group_user", &["things:read"]).await;
    let key = made.key.unwrap();
    assert!(made.secret.starts_with(&key.prefix) && made.secret.starts_with(&format!("org_{}_key_", tenant.group.short_id)), "{}", key.prefix);
    assert_eq!(made.secret.len(), "org_".len() + 12 + "_key_".len() + 8 + 43 + 6);
    assert_eq!(
        (key.role.as_str(), key.scopes.clone(), key.state(), key.revision),
        ("group_user", vec!["things:read".to_owned()], KeyState::Active, 1)
    );
    let read = tenant.keys().get_key(GetKeyRequest { id: key.id.clone() }).await.unwrap().into_inner();
    assert_eq!(read, key);
    let found = listed(&tenant, ListKeysRequest { filter: format!("prefix = \"{}\"", key.prefix), ..Default::default() }).await;
    assert_eq!(found, std::slice::from_ref(&key));
    let [event] = events_about(&tenant, &key.id, 1).await.try_into().unwrap();
    assert_eq!(event.r#type, "api_key_generated");
    let secret = &made.secret[key.prefix.len()..];
    assert!(!json(event.metadata).to_string().contains(secret), "no secret in the log");
}

async fn a_key_does_what_its_scopes_say(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let thing = tenant.create("A").await;
    let reader = tenant.colleague("group_owner", &["entities:read"]).await;
    assert_eq!(reader.who_am_i().await.scopes, ["things:read"], "an alias is stored as what it means");
    assert_eq!(reader.get(&thing.id).await, thing);
    let refused = create(&reader, product("B")).await.refused();
    assert_eq!((refused.reason, refused.code), (Reason::InsufficientScopes, Code::PermissionDenied));
    assert!(refused.metadata["missing"].contains("things:write"), "{refused:?}");
    let writer = tenant.colleague("group_owner", &["things:write"]).await;
    let made = writer.create("C").await;
    assert_eq!(writer.get(&made.id).await, made, "write implies read");
}

async fn a_key_makes_no_key_that_can_do_more(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let maker = tenant.colleague("group_owner", &["api_keys:manage", "things:read"]).await;
    maker.create_key("as much", "group_owner", &["things:read"]).await;
    for scopes in [&["things:write"][..], &["*"], &["things:*"], &["things:read", "groups:delete"]] {
        let refused = asked(&maker, "group_owner", scopes).await;
        assert_eq!((refused.reason, refused.code), (Reason::ScopeNotHeld, Code::PermissionDenied), "{scopes:?}");
    }
    for name in ["", &"é".repeat(501), "a\0b"] {
        let key = Key { name: name.to_owned(), scopes: vec!["things:read".to_owned()], ..Key::default() };
        let refused = tenant.keys().create_key(CreateKeyRequest { key: Some(key), ..Default::default() }).await.refused();
        assert_eq!((refused.reason, refused.fields), (Reason::InvalidField, vec!["key.name".to_owned()]), "{name:?}");
    }
    tenant.create_key(&"é".repeat(500), "", &["things:read"]).await;
    let higher = asked(&tenant, "platform_owner", &["*"]).await;
    assert_eq!(higher.reason, Reason::RoleNotHeld);
    for scopes in [&[][..], &["things:fly"], &["*:read"], &[""]] {
        let refused = asked(&tenant, "", scopes).await;
        assert_eq!((refused.reason, refused.code), (Reason::InvalidField, Code::InvalidArgument), "{scopes:?}");
    }
    let unmanaged = tenant.colleague("group_owner", &["things:*"]).await;
    assert_eq!(asked(&unmanaged, "", &["things:read"]).await.reason, Reason::InsufficientScopes);
}

async fn a_revoked_key_is_refused_within_a_second_and_for_good(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let made = tenant.create_key("to be revoked", "group_owner", &["*"]).await;
    let key = made.key.unwrap();
    let caller = tenant.with_key(&made.secret);
    caller.who_am_i().await;
    let request = RevokeKeyRequest { id: key.id.clone(), reason: "Rotation".to_owned(), ..Default::default() };
    let revoked = tenant.keys().revoke_key(request.clone()).await.unwrap().into_inner();
    let answered = Instant::now();
    assert!(revoked.state() == KeyState::Revoked && revoked.revoke_time.is_some() && revoked.revoke_reason == "Rotation");

    let refused = tests::eventually("the revoked key to be refused", || async {
        let begun = answered.elapsed();
        let answer = caller.keys().get_caller(contract::identity::v1::GetCallerRequest {}).await;
        assert!(answer.is_err() || begun < Duration::from_secs(1), "a call that began {begun:?} after the revocation was answered");
        answer.err().map(Refused::from)
    })
    .await;
    assert_eq!((refused.reason, refused.code), (Reason::KeyRevoked, Code::Unauthenticated));
    assert_eq!(tenant.keys().revoke_key(request).await.unwrap().into_inner(), revoked, "revoking again is OK and changes nothing");
    assert_eq!(event_types(&tenant, &key.id, 2).await, ["api_key_generated", "api_key_revoked"]);
    assert!(!listed(&tenant, ListKeysRequest::default()).await.iter().any(|other| other.id == key.id));
    assert!(listed(&tenant, ListKeysRequest { show_archived: true, ..Default::default() }).await.contains(&revoked));
}

async fn get_caller_says_who_where_and_how_much(mesh: Mesh) {
    let tenant = mesh.tenant_on("pro").await;
    let caller = tenant.who_am_i().await;
    assert_eq!(
        (caller.home_group_id.as_str(), caller.group_id.as_str(), caller.root_id.as_str()),
        (tenant.group.id.as_str(), tenant.group.id.as_str(), tenant.group.id.as_str())
    );
    assert_eq!(caller.role, "group_owner");
    assert!(caller.scopes.iter().any(|scope| scope == "things:write") && caller.scopes.iter().any(|scope| scope == "api_keys:manage"));
    let limit = |name: &str| caller.limits.iter().find(|limit| limit.name == name).map(|limit| limit.quota);
    let limits = ["minute", "day", "organisation-minute", "organisation-day", "groups", "things"].map(limit);
    assert_eq!(limits, [600, 100_000, 6_000, 1_000_000, 100, 50_000].map(Some));
}

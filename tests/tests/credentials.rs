//! Who may call at all.

use crate::support::{checksum, guess};
use contract::{
    Reason,
    identity::v1::{CreateKeyRequest, GetCallerRequest, Key},
};
use prost_types::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tests::{Caller, Mesh, Refused, Refuses, eventually, on_every_mesh};
use tonic::{Code, IntoRequest};

async fn refused(caller: &Caller) -> Refused {
    caller.keys().get_caller(GetCallerRequest {}).await.refused()
}

/// The key with another last character of its secret, and the right checksum for it.
fn wrong_secret(key: &str) -> String {
    let (body, _) = key.split_at(key.len() - 6);
    let (rest, last) = body.split_at(body.len() - 1);
    let body = format!("{rest}{}", if last == "a" { "b" } else { "a" });
    format!("{body}{}", checksum(&body))
}

async fn with_expiry(caller: &Caller, mesh: &Mesh, after: Duration) -> Caller {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + after;
    let expire_time = Some(Timestamp { seconds: i64::try_from(at.as_secs()).unwrap(), nanos: i32::try_from(at.subsec_nanos()).unwrap() });
    let key = Key { name: "short-lived".to_owned(), scopes: vec!["things:read".to_owned()], expire_time, ..Key::default() };
    let made = caller.keys().create_key(CreateKeyRequest { key: Some(key), ..Default::default() }).await.unwrap().into_inner();
    mesh.stranger().with_key(&made.secret)
}

on_every_mesh![
    a_key_is_taken_from_either_header,
    without_a_key_nobody_is_let_in,
    two_credentials_are_one_too_many,
    a_wrong_key_gets_the_same_bytes_whatever_is_wrong_with_it,
    an_expired_key_says_so,
    who_guesses_is_refused_and_who_knows_is_not,
];

async fn a_key_is_taken_from_either_header(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for caller in [
        mesh.stranger().with("authorization", &format!("Bearer {}", tenant.key())),
        mesh.stranger().with("authorization", &format!("bearer {}", tenant.key())),
        mesh.stranger().with("x-api-key", tenant.key()),
        mesh.stranger().with("x-api-key", tenant.key()).with("authorization", &format!("Bearer {}", tenant.key())),
    ] {
        assert_eq!(caller.who_am_i().await.group_id, tenant.group.id);
    }
}

async fn without_a_key_nobody_is_let_in(mesh: Mesh) {
    let none = refused(&mesh.stranger()).await;
    assert_eq!((none.reason, none.code), (Reason::MissingCredential, Code::Unauthenticated));
}

async fn two_credentials_are_one_too_many(mesh: Mesh) {
    let (one, two) = (mesh.tenant().await, mesh.tenant().await);
    for caller in [one.with("x-api-key", two.key()), one.with("authorization", &format!("Bearer {}", two.key()))] {
        let conflict = refused(&caller).await;
        assert_eq!((conflict.reason, conflict.code), (Reason::CredentialsConflict, Code::InvalidArgument));
    }
}

async fn a_wrong_key_gets_the_same_bytes_whatever_is_wrong_with_it(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let key = tenant.key().to_owned();
    let unknown = {
        let (before, rest) = key.rsplit_once("_key_").unwrap();
        let body = format!("{before}_key_zzzzzzzz{}", &rest[8..rest.len() - 6]);
        format!("{body}{}", checksum(&body))
    };
    let mut flipped = key.clone();
    flipped.replace_range(key.len() - 1.., if key.ends_with('0') { "1" } else { "0" });
    let wrong = [flipped, unknown, wrong_secret(&key), key[..key.len() - 1].to_owned(), format!("{key}0"), "org_x_key_y".to_owned(), "x".to_owned()];
    let mut answers = Vec::new();
    for key in &wrong {
        let mut request = GetCallerRequest {}.into_request();
        request.metadata_mut().insert("x-request-id", "00000000-0000-7000-8000-000000000001".parse().unwrap());
        request.metadata_mut().insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap());
        let refused = mesh.stranger().with_key(key).keys().get_caller(request).await.refused();
        assert_eq!((refused.reason, refused.code), (Reason::InvalidApiKey, Code::Unauthenticated), "{key}");
        answers.push((refused.message, refused.status.details().to_vec()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(tenant.who_am_i().await.group_id, tenant.group.id);
}

async fn an_expired_key_says_so(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let caller = with_expiry(&tenant, &mesh, Duration::from_millis(1_500)).await;
    caller.who_am_i().await;
    let expired = eventually("the key to expire", || async { caller.keys().get_caller(GetCallerRequest {}).await.err().map(Refused::from) }).await;
    assert_eq!((expired.reason, expired.code), (Reason::KeyExpired, Code::Unauthenticated));
    assert!(expired.metadata.contains_key("key_id"));
}

async fn who_guesses_is_refused_and_who_knows_is_not(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let address = mesh.stranger();
    let known = address.with_key(tenant.key());
    known.who_am_i().await;
    let other = mesh.tenant().await;
    for number in 0..10 {
        assert_eq!(refused(&address.with_key(&guess(tenant.key(), number))).await.reason, Reason::InvalidApiKey, "guess {number}");
    }
    let guard = refused(&address.with_key(&guess(tenant.key(), 10))).await;
    assert_eq!((guard.reason, guard.code), (Reason::TooManyFailures, Code::ResourceExhausted));
    assert!(guard.retry.is_some_and(|retry| retry > Duration::ZERO && retry <= Duration::from_secs(300)), "{guard:?}");
    assert_eq!(refused(&address.with_key(other.key())).await.reason, Reason::TooManyFailures, "a good key that never worked from here");
    assert_eq!(known.who_am_i().await.group_id, tenant.group.id, "a key that has worked from here");
    assert_eq!(other.who_am_i().await.group_id, other.group.id, "another address");
}

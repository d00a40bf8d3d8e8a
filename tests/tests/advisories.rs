//! What went wrong at peers (HARDENING.md §2), tried on a mesh. Those that need less than a mesh stand beside what they test, also named
//! `adv_…`.

use crate::support::{create, events_about, names, never, product};
use contract::{
    Access, Method, Reason,
    events::v1::ListEventsRequest,
    identity::v1::{CreateKeyRequest, Key, UpdateGroupRequest},
    methods,
    ontology::v1::{DeleteThingRequest, GetThingRequest, ListThingsRequest, Thing},
    pool,
};
use futures::future::join_all;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
use tests::{
    Mesh, Process, Refuses, on_every_mesh,
    raw::{Raw, frame},
    tools::repository,
};
use tonic::Code;

on_every_mesh![
    adv_cve_2025_61928_who_calls_is_not_what_the_body_says,
    adv_cve_2025_61928_a_key_is_made_where_its_maker_is,
    adv_cve_2026_27946_what_only_the_server_writes_no_client_writes,
    adv_cve_2026_46668_nobody_is_taken_for_another_however_many_call_at_once,
    adv_cve_2026_55170_names_that_look_alike_are_different_names,
    adv_cve_2026_55670_what_was_deleted_does_not_come_back_under_its_id,
    adv_ghsa_p9c2_9vq2_gxh8_an_id_is_no_path,
    adv_ghsa_vhvq_fv9f_wh4q_a_token_that_is_none_is_the_callers_mistake,
];

fn request_of(method: &Method) -> MessageDescriptor {
    let service = pool().get_service_by_name(&method.service).expect("an rpc of the descriptor");
    service.methods().find(|rpc| rpc.name() == method.name).expect("an rpc of the descriptor").input()
}

/// A text in each field, of each message in it, that could say who somebody is.
fn claim(message: &mut DynamicMessage, id: &str, depth: usize) {
    let fields: Vec<FieldDescriptor> = message.descriptor().fields().filter(|field| !field.is_list() && !field.is_map()).collect();
    for field in fields {
        match field.kind() {
            Kind::String if field.name() == "id" || field.name().ends_with("_id") || field.name() == "role" => {
                message.set_field(&field, Value::String(id.to_owned()));
            }
            Kind::Message(inner) if depth > 0 && inner.package_name().starts_with("one.") => {
                claim(message.get_field_mut(&field).as_message_mut().expect("a message"), id, depth - 1);
            }
            _ => {}
        }
    }
}

/// Better Auth took a `userId` in a body for a session.
async fn adv_cve_2025_61928_who_calls_is_not_what_the_body_says(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let ids = [tenant.group.id.clone(), tenant.who_am_i().await.key.unwrap().id];
    for method in methods().iter().filter(|method| method.access != Access::Internal && method.access != Access::Public) {
        for id in &ids {
            let mut message = DynamicMessage::new(request_of(method));
            claim(&mut message, id, 3);
            let call = Raw::call(&method.path, frame(&message.encode_to_vec())).with("x-group-id", &tenant.group.id);
            let answer = call.http2(mesh.gateway()).await;
            assert_eq!(answer.code(), Code::Unauthenticated, "{} of {id}: {answer:?}", method.path);
        }
    }
}

async fn adv_cve_2025_61928_a_key_is_made_where_its_maker_is(mesh: Mesh) {
    let (maker, other) = (mesh.tenant().await, mesh.tenant().await);
    let whose = other.who_am_i().await.key.unwrap();
    let asked = Key {
        id: whose.id.clone(),
        group_id: other.group.id.clone(),
        name: "theirs".to_owned(),
        creator: whose.creator.clone(),
        scopes: vec!["things:read".to_owned()],
        ..Key::default()
    };
    for key in [asked.clone(), Key { group_id: String::new(), ..asked }] {
        let named = !key.group_id.is_empty();
        match maker.keys().create_key(CreateKeyRequest { key: Some(key), ..Default::default() }).await {
            Err(status) => assert!(named && tests::reason(&status) == Reason::GroupMismatch, "{status:?}"),
            Ok(made) => {
                let made = made.into_inner().key.unwrap();
                assert_eq!((named, &made.group_id), (false, &maker.group.id));
                assert!(made.id != whose.id && made.creator != whose.creator, "{made:?}");
            }
        }
    }
}

/// ZITADEL let a user write `verified` on their own address.
async fn adv_cve_2026_27946_what_only_the_server_writes_no_client_writes(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let lies = Thing {
        revision: 77,
        etag: "mine".to_owned(),
        creator: Some(contract::identity::v1::Actor { id: never(), key_id: never(), on_behalf_of_id: never(), kind: 3 }),
        create_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        archive_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        ..product("A")
    };
    let honest = tenant.create("A").await;
    let made =
        create(&tenant, lies.clone()).await.map(tonic::Response::into_inner).unwrap_or_else(|status| panic!("ignored, not refused: {status:?}"));
    assert_eq!((made.revision, &made.creator, made.archive_time), (1, &honest.creator, None));
    assert!(made.etag != lies.etag && made.create_time.unwrap().seconds > 1, "{made:?}");
    let group = contract::identity::v1::Group { id: tenant.group.id.clone(), tier: "pro".to_owned(), name: "B".to_owned(), ..Default::default() };
    let kept = tenant.groups().update_group(UpdateGroupRequest { group: Some(group), ..Default::default() }).await;
    let tier = kept.map_or_else(|_| String::new(), |group| group.into_inner().tier);
    assert!(tier.is_empty() || tier == tenant.group.tier, "a tenant does not choose its own tier: {tier}");
}

/// A cache under concurrency: each of eight tenants, each in its group and in one below, 64 at once, is always itself.
async fn adv_cve_2026_46668_nobody_is_taken_for_another_however_many_call_at_once(mesh: Mesh) {
    let mut callers = Vec::new();
    for _ in 0..8 {
        let tenant = mesh.tenant().await;
        let below = tenant.create_group("below", &tenant.group.id).await;
        callers.push((tenant.acting_in(&below.id), below.id));
        callers.push(((*tenant).clone(), tenant.group.id.clone()));
    }
    let calls = (0..4).flat_map(|_| &callers).map(|(caller, group)| async move {
        for _ in 0..10 {
            assert_eq!(caller.who_am_i().await.group_id, *group);
        }
    });
    join_all(calls).await;
}

/// OpenFGA merged two ids on the one database whose collation does not tell them apart.
async fn adv_cve_2026_55170_names_that_look_alike_are_different_names(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let alike = ["Caf\u{e9}", "Cafe\u{301}", "caf\u{e9}", "CAF\u{c9}", "Caf\u{e9} ", "\u{421}af\u{e9}", "Caf\u{e9}\u{200b}", "Cafe"];
    for name in alike {
        tenant.create(name).await;
    }
    for name in alike {
        assert_eq!(names(&tenant, &format!("name = \"{name}\"")).await.len(), 1, "{name:?}");
    }
}

/// ZITADEL kept the old tenant under a recycled id.
async fn adv_cve_2026_55670_what_was_deleted_does_not_come_back_under_its_id(mesh: Mesh) {
    let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
    let first = tenant.create("A").await;
    tenant.things().delete_thing(DeleteThingRequest { id: first.id.clone(), ..Default::default() }).await.unwrap();
    for maker in [&tenant, &other] {
        let again = maker.create_thing(Thing { id: first.id.clone(), ..product("A") }).await;
        assert_ne!(again.id, first.id, "a client does not choose an id");
        assert_eq!(again.group_id, maker.group.id);
    }
    other.things().get_thing(GetThingRequest { id: first.id }).await.refused();
}

/// Qdrant found another's object by `../` in a name.
async fn adv_ghsa_p9c2_9vq2_gxh8_an_id_is_no_path(mesh: Mesh) {
    let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
    let (own, theirs) = (tenant.create("own").await, other.create("theirs").await);
    for id in [
        format!("{}/../{}", own.id, theirs.id),
        format!("../{}", theirs.id),
        format!("%2e%2e/{}", theirs.id),
        format!("{}\0", own.id),
        format!("{} ", own.id),
        format!("{{{}}}", own.id),
        own.id.to_uppercase(),
        own.id.replace('-', ""),
        format!("{}' or '1'='1", own.id),
        String::new(),
    ] {
        let refused = tenant.things().get_thing(GetThingRequest { id: id.clone() }).await;
        let code = refused.map_or_else(|status| status.code(), |thing| if thing.into_inner().id == own.id { Code::NotFound } else { Code::Ok });
        assert!([Code::NotFound, Code::InvalidArgument].contains(&code), "{id:?}: {code:?}");
    }
}

/// SpiceDB panicked at a malformed cursor.
async fn adv_ghsa_vhvq_fv9f_wh4q_a_token_that_is_none_is_the_callers_mistake(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for name in ["A", "B"] {
        let thing = tenant.create(name).await;
        events_about(&tenant, &thing.id, 1).await;
    }
    let things = tenant.things().list_things(ListThingsRequest { page_size: 1, ..Default::default() }).await.unwrap().into_inner().next_page_token;
    let events = tenant.events().list_events(ListEventsRequest { page_size: 1, ..Default::default() }).await.unwrap().into_inner().next_page_token;
    let long = "A".repeat(100_000);
    for token in [
        "x",
        "=",
        "AAAA",
        "\u{1f600}",
        "../..",
        &things[1..],
        &events[..events.len() - 1],
        &format!("{things}A"),
        &things.to_lowercase(),
        &long,
        &events,
    ] {
        let refused = tenant.things().list_things(ListThingsRequest { page_token: token.to_owned(), ..Default::default() }).await.refused();
        assert_eq!(refused.code, Code::InvalidArgument, "{token}: {refused:?}");
    }
    for token in ["x", "AAAA", &events[1..], &format!("{events}A"), &long, &things] {
        let refused = tenant.events().list_events(ListEventsRequest { page_token: token.to_owned(), ..Default::default() }).await.refused();
        assert_eq!(refused.code, Code::InvalidArgument, "{token}: {refused:?}");
    }
    tenant.who_am_i().await;
}

/// Kratos came with a secret that everybody knew.
#[test]
fn adv_ghsa_hgx2_28f8_6g2r_there_is_no_secret_by_default() {
    for role in ["gateway", "identity", "ontology", "events"] {
        let folder = tempfile::TempDir::new().unwrap();
        let settings = [("ONE_DATA_DIR".to_owned(), folder.path().display().to_string())];
        let exit = Process::spawn(role, &["--role", role], &settings).wait();
        assert_eq!(exit.code, Some(64), "{exit:?}");
        assert!(exit.stderr.contains("secret_file"), "{exit:?}");
    }
}

/// What is built, and what is fuzzed.
fn locks() -> [String; 2] {
    ["Cargo.lock", "fuzz/Cargo.lock"].map(|lock| std::fs::read_to_string(repository().join(lock)).unwrap())
}

/// The versions in which others' faults were mended.
#[test]
fn adv_rustsec_floors_of_what_we_build_on() {
    for lock in locks() {
        for (name, floor) in [
            ("h2", [0, 4, 19]),                 // RUSTSEC-2024-0003, -2024-0332, -2026-0258, and hyperium/h2#939
            ("tonic", [0, 12, 3]),              // RUSTSEC-2024-0376
            ("sqlx", [0, 8, 1]),                // RUSTSEC-2024-0363
            ("ring", [0, 17, 12]),              // RUSTSEC-2025-0009
            ("rustls", [0, 23, 18]),            // RUSTSEC-2024-0336, -2024-0399
            ("rustls-webpki", [0, 103, 13]),    // RUSTSEC-2026-0049, -0098, -0099, -0104
            ("tracing-subscriber", [0, 3, 20]), // RUSTSEC-2025-0055
        ] {
            let versions = versions(&lock, name);
            assert!(!versions.is_empty(), "{name} is no longer built: take its row away");
            assert!(versions.iter().all(|version| *version >= floor), "{name} {versions:?} is below {floor:?}");
        }
    }
}

/// One TLS, on one library of cryptography, and all of it from crates.io: a feature that is switched on somewhere brings no other unseen.
/// aws-lc had RUSTSEC-2026-0044 to -0048.
#[test]
fn adv_rustsec_2026_0044_there_is_one_library_of_cryptography_below_tls() {
    for lock in locks() {
        for name in ["aws-lc-rs", "aws-lc-sys", "aws-lc-fips-sys", "openssl", "openssl-sys", "native-tls", "boring-sys"] {
            assert!(versions(&lock, name).is_empty(), "{name} is built now: it wants a floor");
        }
        for name in ["ring", "rustls", "rustls-webpki", "h2", "hyper", "tonic"] {
            assert_eq!(versions(&lock, name).len(), 1, "of {name}");
        }
        let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
        let elsewhere: Vec<&str> = sources.filter(|source| *source != r#""registry+https://github.com/rust-lang/crates.io-index""#).collect();
        assert!(elsewhere.is_empty(), "{elsewhere:?}");
    }
}

/// Each version of a package in the lock.
fn versions(lock: &str, name: &str) -> Vec<[u32; 3]> {
    let line = format!("name = {name:?}\nversion = \"");
    let texts = lock.split(&line).skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    texts.map(|text| text.split(['.', '-', '+']).take(3).map(|part| part.parse().unwrap()).collect::<Vec<u32>>().try_into().unwrap()).collect()
}

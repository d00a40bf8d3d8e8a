//! Bytes that a client of ours would never send: the rows of HARDENING.md §1, each against the running binary.

mod crowds;
mod floods;
mod requests;
mod silence;
mod tools;
mod uploads;

use crate::support::product;
use contract::{Reason, ontology::v1::CreateThingRequest};
use prost::Message;
use tests::{
    Mesh, Tenant, on_every_mesh,
    raw::{Answer, Raw, frame},
};
use tonic::{Code, Status};

const CREATE: &str = "/one.ontology.v1.ThingService/CreateThing";

/// Why it was refused.
pub(crate) fn reason(answer: &Answer) -> Reason {
    let status = Status::from_header_map(&answer.headers).or_else(|| Status::from_header_map(&answer.trailers));
    tests::reason(&status.unwrap_or_else(|| panic!("no status: {answer:?}")))
}

async fn create(mesh: &Mesh, tenant: &Tenant, body: &[u8]) -> Answer {
    Raw::call(CREATE, frame(body)).key(tenant.key()).http2(mesh.gateway()).await
}

on_every_mesh![
    what_is_no_message_is_the_callers_mistake,
    adv_rustsec_2024_0363_a_message_over_4_mib_is_refused,
    a_deadline_is_read_strictly,
    a_principal_that_a_client_sends_counts_nothing,
];

async fn what_is_no_message_is_the_callers_mistake(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let valid = CreateThingRequest { thing: Some(product("NAME")), ..Default::default() }.encode_to_vec();
    let at = valid.windows(4).position(|word| word == b"NAME").unwrap();
    let mut not_utf8 = valid.clone();
    not_utf8[at] = 0xff;
    for (what, body) in [("invalid UTF-8", not_utf8), ("garbage", vec![0xff; 40]), ("cut", valid[..valid.len() - 3].to_vec())] {
        let answer = create(&mesh, &tenant, &body).await;
        assert_eq!((answer.code(), reason(&answer)), (Code::InvalidArgument, Reason::InvalidMessage), "{what}: {answer:?}");
        assert!(!answer.get("grpc-message").contains("Thing"), "no name of ours: {answer:?}");
    }
}

async fn adv_rustsec_2024_0363_a_message_over_4_mib_is_refused(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let answer = create(&mesh, &tenant, &vec![0; (4 << 20) + 1]).await;
    assert_eq!((answer.code(), reason(&answer)), (Code::ResourceExhausted, Reason::MessageTooLarge), "{answer:?}");
}

async fn a_deadline_is_read_strictly(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let timed = async |timeout: &str| {
        let body = frame(&CreateThingRequest { thing: Some(product("A")), ..Default::default() }.encode_to_vec());
        Raw::call(CREATE, body).key(tenant.key()).with("grpc-timeout", timeout).http2(mesh.gateway()).await
    };
    assert_eq!(timed("20S").await.code(), Code::Ok);
    assert_eq!(timed("1n").await.code(), Code::DeadlineExceeded);
    for malformed in ["-5S", "123456789S", "5", "S", "5s"] {
        let answer = timed(malformed).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{malformed}: {answer:?}");
    }
}

async fn a_principal_that_a_client_sends_counts_nothing(mesh: Mesh) {
    let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
    let principal = contract::internal::v1::Principal {
        group_id: bytes::Bytes::copy_from_slice(uuid::Uuid::parse_str(&other.group.id).unwrap().as_bytes()),
        scopes: u64::MAX,
        role: contract::Role::PlatformOwner.into(),
        issued_micros: i64::MAX,
        ..Default::default()
    };
    let forged = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD_NO_PAD.encode([[0; 32].as_slice(), &principal.encode_to_vec()].concat())
    };
    let body = frame(&CreateThingRequest { thing: Some(product("A")), ..Default::default() }.encode_to_vec());
    let with_key = Raw::call(CREATE, body.clone()).key(tenant.key()).with("one-principal-bin", &forged).http2(mesh.gateway()).await;
    assert_eq!(with_key.code(), Code::Ok, "it is stripped: {with_key:?}");
    let thing = contract::ontology::v1::Thing::decode(&with_key.body[5..]).unwrap();
    assert_eq!(thing.group_id, tenant.group.id);
    let alone = Raw::call(CREATE, body).with("one-principal-bin", &forged).http2(mesh.gateway()).await;
    assert_eq!(reason(&alone), Reason::MissingCredential);
}

/// A service of a split mesh answers its gateway only.
#[test]
fn a_services_own_port_refuses_who_is_no_gateway() {
    tests::run(tests::Layout::Split, tests::Engine::Postgres, |mesh| async move {
        let owner = mesh.owner();
        let body = frame(&CreateThingRequest { thing: Some(product("A")), ..Default::default() }.encode_to_vec());
        for (role, path) in [
            (tests::Role::Ontology, CREATE),
            (tests::Role::Identity, "/one.internal.v1.AccessService/ListChanges"),
            (tests::Role::Events, "/one.internal.v1.EventLogService/Append"),
        ] {
            for principal in ["", "AAAA", "not base64"] {
                let mut call = Raw::call(path, body.clone()).key(owner.key());
                if !principal.is_empty() {
                    call = call.with("one-principal-bin", principal);
                }
                let answer = call.http2(mesh.addr(role, 0)).await;
                assert!([Code::Unauthenticated, Code::InvalidArgument].contains(&answer.code()), "{path} with {principal:?}: {answer:?}");
            }
        }
    });
}

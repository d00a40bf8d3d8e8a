//! Two of each role on Postgres, started at once on an empty database.

use crate::{
    support::events_about,
    watch::{assert_gap_free, take},
};
use contract::{
    Reason,
    events::v1::watch_events_request::From,
    identity::v1::{GetCallerRequest, RevokeKeyRequest},
};
use std::time::{Duration, Instant};
use tests::{Caller, Engine, Layout, Mesh, Refused, Role, eventually, run};

fn on_replicas<F: Future<Output = ()>>(test: impl FnOnce(Mesh) -> F) {
    run(Layout::Replicas, Engine::Postgres, test);
}

/// The same caller at each gateway.
fn everywhere(mesh: &Mesh, caller: &Caller) -> [Caller; 2] {
    [0, 1].map(|number| caller.reconnected(mesh.addr(Role::Gateway, number)))
}

#[test]
fn what_one_gateway_takes_the_other_shows() {
    on_replicas(|mesh| async move {
        let tenant = mesh.tenant().await;
        let [one, two] = everywhere(&mesh, &tenant);
        let mut streams = [one.watch(From::Beginning(true)).await, two.watch(From::Beginning(true)).await];
        for number in 0..20 {
            let (writer, reader) = if number % 2 == 0 { (&one, &two) } else { (&two, &one) };
            let thing = writer.create(&format!("thing {number}")).await;
            assert_eq!(reader.get(&thing.id).await, thing);
        }
        let mut seen = Vec::new();
        for stream in &mut streams {
            let (events, _) = take(stream, 22).await;
            assert_gap_free(&events);
            seen.push(events);
        }
        assert_eq!(seen[0], seen[1]);
    });
}

#[test]
fn a_key_that_one_gateway_revokes_the_other_refuses_within_a_second() {
    on_replicas(|mesh| async move {
        let tenant = mesh.tenant().await;
        let made = tenant.create_key("to be revoked", "group_owner", &["*"]).await;
        let callers = everywhere(&mesh, &tenant.with_key(&made.secret));
        for caller in &callers {
            caller.who_am_i().await;
        }
        let request = RevokeKeyRequest { id: made.key.unwrap().id, ..Default::default() };
        everywhere(&mesh, &tenant)[0].keys().revoke_key(request).await.unwrap();
        let answered = Instant::now();
        for caller in &callers {
            let refused = eventually("the key to be refused", || async {
                let begun = answered.elapsed();
                let answer = caller.keys().get_caller(GetCallerRequest {}).await;
                assert!(answer.is_err() || begun < Duration::from_secs(1), "a call that began {begun:?} later was answered");
                answer.err().map(Refused::from)
            })
            .await;
            assert_eq!(refused.reason, Reason::KeyRevoked);
        }
    });
}

#[test]
fn one_first_key_is_made_however_many_start_at_once() {
    on_replicas(|mesh| async move {
        let made = [0, 1].map(|number| mesh.data(Role::Identity, number).join("owner.key").exists());
        assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
        mesh.owner().who_am_i().await;
    });
}

/// Eight processes, in no order: services migrate beside one another, gateways wait for identity.
#[test]
fn all_start_at_once_on_an_empty_database() {
    run(Layout::Replicas, Engine::Postgres, |_| async {
        let mesh = Mesh::start(Layout::Replicas, Engine::Postgres).await;
        let _shown = mesh.show_logs_of_a_failure();
        let before = mesh.owner();
        mesh.start_at_once_from_nothing();
        let made = [0, 1].map(|number| mesh.data(Role::Identity, number).join("owner.key").exists());
        assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
        assert_ne!(mesh.owner().key(), before.key());
        let tenant = mesh.tenant().await;
        let [one, two] = everywhere(&mesh, &tenant);
        let thing = one.create("A").await;
        assert_eq!(two.get(&thing.id).await, thing);
        assert_gap_free(&take(&mut two.watch(From::Beginning(true)).await, 3).await.0);
    });
}

#[test]
fn when_a_replica_dies_the_other_goes_on_and_no_event_is_lost() {
    run(Layout::Replicas, Engine::Postgres, |_| async {
        let mesh = Mesh::start(Layout::Replicas, Engine::Postgres).await;
        let _shown = mesh.show_logs_of_a_failure();
        let tenant = mesh.tenant().await;
        let mut stream = tenant.watch(From::Beginning(true)).await;
        let mut made = 0;
        for role in [Role::Ontology, Role::Identity, Role::Events] {
            for number in [0, 1] {
                mesh.kill(role, number);
                for _ in 0..5 {
                    create_in_the_end(&tenant).await;
                    made += 1;
                }
                mesh.start_again(role, number);
            }
        }
        // Which events service the watch hung on is the gateway's secret: it resumes if it was cut.
        let (mut events, mut cursor) = (Vec::new(), String::new());
        while events.len() < made + 2 {
            match tokio::time::timeout(Duration::from_secs(30), stream.message()).await.expect("an answer") {
                Ok(Some(answer)) => {
                    events.extend(answer.events);
                    cursor = answer.cursor;
                }
                Ok(None) | Err(_) => {
                    let from = if cursor.is_empty() { From::Beginning(true) } else { From::Cursor(cursor.clone()) };
                    stream = tenant.watch(from).await;
                }
            }
        }
        assert_gap_free(&events);
        let last = tenant.create("the last").await;
        assert_eq!(events_about(&tenant, &last.id, 1).await[0].sequence, i64::try_from(made + 3).unwrap(), "none was doubled");
    });
}

/// Creates a thing, once, although a replica has just died: with one request_id, as a client should.
async fn create_in_the_end(caller: &Caller) {
    let thing = Some(crate::support::product("A"));
    let request = contract::ontology::v1::CreateThingRequest { thing, request_id: crate::support::never(), ..Default::default() };
    eventually("the other replica to take the call", || async {
        match caller.things().create_thing(request.clone()).await {
            Ok(_) => Some(()),
            Err(status) if [tonic::Code::Unavailable, tonic::Code::Aborted].contains(&status.code()) => None,
            Err(status) => panic!("{status:?}"),
        }
    })
    .await;
}

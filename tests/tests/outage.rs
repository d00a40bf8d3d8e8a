//! The database away, and a service that stands still: refused with a reason before the deadline, and all is well when they are back.

use crate::{
    drain::ends,
    follower::Follower,
    load::{Ledger, Load},
    recorded::{each_attempt_is_on_record, no_attempt_is_on_record_twice},
    support::health,
    watch::{assert_gap_free, settle, targets},
};
use contract::{Reason, events::v1::ListEventsRequest};
use http::{Method, StatusCode};
use std::{collections::BTreeSet, time::Duration};
use tests::{Engine, Layout, Mesh, Postgres, Refuses, Role, eventually, raw::Raw, run};
use tonic::{Code, Request};

const WRITERS: usize = 16;
/// Whoever is away must have been found so before.
const DEADLINE: Duration = Duration::from_secs(10);

/// Nobody was told anything but these.
#[track_caller]
fn only(ledger: &Ledger, allowed: &[&str]) {
    let told: BTreeSet<&str> = ledger.refusals.keys().map(String::as_str).collect();
    assert!(told.iter().all(|word| allowed.contains(word)), "{:?}", ledger.refusals);
}

/// Waits until a process says to an orchestrator and to a balancer whether it is of use.
async fn says(mesh: &Mesh, role: Role, ready: bool) {
    let (admin, door) = (mesh.admin(role, 0), mesh.addr(role, 0));
    let (status, word, serving) = if ready { (StatusCode::OK, "ok", 1) } else { (StatusCode::SERVICE_UNAVAILABLE, "waiting for ", 2) };
    eventually(&format!("{role:?} to say that it is ready: {ready}"), || async {
        let page = Raw::new(Method::GET, "/readyz", "").http1(admin).await;
        let told = page.status == status && page.body.starts_with(word.as_bytes());
        (told && health(door, "").await == serving).then_some(())
    })
    .await;
}

async fn all_say(mesh: &Mesh, ready: bool) {
    let split = [Role::Identity, Role::Ontology, Role::Events];
    for role in if mesh.layout() == Layout::OneProcess { &[Role::Gateway][..] } else { &split } {
        says(mesh, *role, ready).await;
    }
}

const THINGS: &str = "one.ontology.v1.ThingService";
const EVENTS: &str = "one.events.v1.EventService";

/// Waits until the gateway says so of a service, and of itself and of the other that they serve.
async fn is_said(mesh: &Mesh, service: &str, serves: bool) {
    let (gateway, other) = (mesh.gateway(), if service == THINGS { EVENTS } else { THINGS });
    let expected = (if serves { 1 } else { 2 }, 1, 1);
    eventually(&format!("{service} to serve: {serves}"), || async {
        let told = (health(gateway, service).await, health(gateway, "").await, health(gateway, other).await);
        (told == expected).then_some(())
    })
    .await;
}

async fn survives_its_database(layout: Layout) {
    let postgres = Postgres::start();
    let mesh = Mesh::on(layout, &postgres).start().await;
    let _shown = mesh.show_logs_of_a_failure();
    let load = Load::begin(&mesh, WRITERS).await;
    for how in ["fast", "immediate", "STOP"] {
        load.writes(100).await;
        match how {
            "STOP" => postgres.signal("STOP"),
            how => postgres.stop(how),
        }
        load.is_refused(50).await;
        all_say(&mesh, false).await;
        match how {
            "STOP" => postgres.signal("CONT"),
            _ => postgres.start_again(),
        }
        load.writes(100).await;
        all_say(&mesh, true).await;
        says(&mesh, Role::Gateway, true).await;
    }
    let ledger = load.end().await;
    // Who is not known any more is not let in; who is known gets as far as the store.
    only(&ledger, &["STORE_UNAVAILABLE", "IDENTITY_UNAVAILABLE", "TRANSACTION_EXPIRED"]);
    assert!(ledger.refusals.contains_key("STORE_UNAVAILABLE"), "{:?}", ledger.refusals);
}

#[test]
fn one_process_survives_its_database() {
    run(Layout::OneProcess, Engine::Postgres, |_| survives_its_database(Layout::OneProcess));
}

#[test]
fn a_split_mesh_survives_its_database() {
    run(Layout::Split, Engine::Postgres, |_| survives_its_database(Layout::Split));
}

/// Killed, and stopped in its tracks: told as away, and found again.
async fn survives(victim: Role, reasons: &[&str]) {
    let mesh = Mesh::start(Layout::Split, Engine::Postgres).await;
    let _shown = mesh.show_logs_of_a_failure();
    let load = Load::begin(&mesh, WRITERS).await;
    load.writes(100).await;
    mesh.kill(victim, 0);
    load.is_refused(20).await;
    if victim == Role::Ontology {
        is_said(&mesh, THINGS, false).await;
    }
    mesh.start_again(victim, 0);
    load.writes(100).await;
    is_said(&mesh, THINGS, true).await;
    mesh.look(victim, 0, |process| process.signal("STOP"));
    load.is_refused(20).await;
    mesh.look(victim, 0, |process| process.signal("CONT"));
    load.writes(100).await;
    is_said(&mesh, THINGS, true).await;
    only(&load.end().await, reasons);
}

#[test]
fn a_split_mesh_survives_an_ontology_that_is_killed_or_stands_still() {
    run(Layout::Split, Engine::Postgres, |_| survives(Role::Ontology, &["UPSTREAM_UNAVAILABLE", "TRANSACTION_EXPIRED"]));
}

#[test]
fn a_split_mesh_survives_an_identity_that_is_killed_or_stands_still() {
    let reasons = &["UPSTREAM_UNAVAILABLE", "IDENTITY_UNAVAILABLE", "TRANSACTION_EXPIRED"];
    run(Layout::Split, Engine::Postgres, |_| survives(Role::Identity, reasons));
}

/// Who writes feels nothing of it. Who reads the log is told so in time, and then finds everything in it.
#[test]
fn a_split_mesh_survives_a_log_that_is_killed_or_stands_still() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let mesh = Mesh::start(Layout::Split, Engine::Postgres).await;
        let _shown = mesh.show_logs_of_a_failure();
        let load = Load::begin(&mesh, WRITERS).await;
        for how in ["KILL", "STOP"] {
            load.writes(100).await;
            let (mut stream, _) = Follower::from_now(load.tenant.owner()).await.into_parts();
            match how {
                "KILL" => drop(mesh.kill(Role::Events, 0)),
                signal => mesh.look(Role::Events, 0, |process| process.signal(signal)),
            }
            let mut asked = Request::new(ListEventsRequest::default());
            asked.set_timeout(DEADLINE);
            let refused = load.tenant.events().list_events(asked).await.refused();
            assert_eq!((refused.reason, refused.code), (Reason::UpstreamUnavailable, Code::Unavailable));
            assert_eq!(ends(&mut stream).await.code, Code::Unavailable);
            is_said(&mesh, EVENTS, false).await;
            load.writes(100).await;
            match how {
                "KILL" => mesh.start_again(Role::Events, 0),
                _ => mesh.look(Role::Events, 0, |process| process.signal("CONT")),
            }
            load.writes(100).await;
            is_said(&mesh, EVENTS, true).await;
        }
        let tenant = load.tenant.clone();
        let ledger = load.end().await;
        only(&ledger, &["TRANSACTION_EXPIRED"]);
        each_attempt_is_on_record(&tenant, &ledger).await;
    });
}

/// Its own clients see that it is away, those of another gateway nothing, and it needs no help to come back.
#[test]
fn a_split_mesh_survives_a_gateway_that_is_killed_or_stands_still() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let mesh = Mesh::builder(Layout::Split, Engine::Postgres).gateways(2).start().await;
        let _shown = mesh.show_logs_of_a_failure();
        let other = settle(mesh.tenant().await).await.owner().reconnected(mesh.addr(Role::Gateway, 1));
        let mut watch = Follower::from_now(&other).await;
        let load = Load::begin(&mesh, WRITERS).await;
        let mut made = Vec::new();
        for how in ["KILL", "STOP"] {
            load.writes(100).await;
            match how {
                "KILL" => drop(mesh.kill(Role::Gateway, 0)),
                signal => mesh.look(Role::Gateway, 0, |process| process.signal(signal)),
            }
            made.push(other.create(how).await.id);
            load.is_refused(WRITERS).await;
            made.push(other.create(how).await.id);
            match how {
                "KILL" => mesh.start_again(Role::Gateway, 0),
                _ => mesh.look(Role::Gateway, 0, |process| process.signal("CONT")),
            }
            load.writes(100).await;
            says(&mesh, Role::Gateway, true).await;
        }
        let events = watch.take(made.len()).await;
        assert_gap_free(&events);
        assert_eq!(targets(&events), made, "the other gateway's watch went on");
        let tenant = load.tenant.clone();
        no_attempt_is_on_record_twice(&tenant, &load.end().await).await;
    });
}

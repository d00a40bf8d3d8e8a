//! The database away, and a service that stands still: refused with a reason before the deadline, and all is well when they are back.

use crate::load::{Ledger, Load};
use std::collections::BTreeSet;
use tests::{Engine, Layout, Mesh, Postgres, Role, run};

const WRITERS: usize = 16;

/// Nobody was told anything but these.
#[track_caller]
fn only(ledger: &Ledger, allowed: &[&str]) {
    let told: BTreeSet<&str> = ledger.refusals.keys().map(String::as_str).collect();
    assert!(told.iter().all(|word| allowed.contains(word)), "{:?}", ledger.refusals);
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
        match how {
            "STOP" => postgres.signal("CONT"),
            _ => postgres.start_again(),
        }
        load.writes(100).await;
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
    mesh.start_again(victim, 0);
    load.writes(100).await;
    mesh.look(victim, 0, |process| process.signal("STOP"));
    load.is_refused(20).await;
    mesh.look(victim, 0, |process| process.signal("CONT"));
    load.writes(100).await;
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

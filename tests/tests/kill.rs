//! kill -9 at random points of a load of all kinds of changes: what was acknowledged is there, once, as state and as event, and nothing else is.

use crate::{
    load::Load,
    recorded::{each_attempt_is_on_record, no_attempt_is_on_record_twice},
};
use tests::{Engine, Layout, Mesh, Role, run};

const WRITERS: usize = 16;
/// Changes between two kills, at most.
const BETWEEN: u128 = 150;

/// `make soak` wants more of them.
pub(crate) fn rounds() -> usize {
    std::env::var("ONE_TEST_KILL_ROUNDS").map_or(2, |rounds| rounds.parse().expect("a number of rounds"))
}

async fn survives(layout: Layout, engine: Engine, victims: &[Role]) {
    let mesh = Mesh::start(layout, engine).await;
    let _shown = mesh.show_logs_of_a_failure();
    let load = Load::begin(&mesh, WRITERS).await;
    for victim in victims.iter().cycle().take(victims.len() * rounds()) {
        let random = usize::try_from(uuid::Uuid::new_v4().as_u128() % BETWEEN).expect("a small number");
        load.writes(random).await;
        mesh.kill(*victim, 0);
        mesh.start_again(*victim, 0);
    }
    load.writes(1).await;
    let tenant = load.tenant.clone();
    let ledger = load.end().await;
    if victims.contains(&Role::Gateway) {
        no_attempt_is_on_record_twice(&tenant, &ledger).await;
    } else {
        each_attempt_is_on_record(&tenant, &ledger).await;
    }
}

#[test]
fn one_process_on_sqlite_survives() {
    run(Layout::OneProcess, Engine::Sqlite, |_| survives(Layout::OneProcess, Engine::Sqlite, &[Role::Gateway]));
}

#[test]
fn one_process_on_postgres_survives() {
    run(Layout::OneProcess, Engine::Postgres, |_| survives(Layout::OneProcess, Engine::Postgres, &[Role::Gateway]));
}

/// The gateway goes on meanwhile, and has to tell of each attempt.
#[test]
fn a_split_mesh_survives_the_death_of_its_services() {
    let roles = &[Role::Ontology, Role::Events];
    run(Layout::Split, Engine::Postgres, |_| survives(Layout::Split, Engine::Postgres, roles));
}

/// Without the first nobody knows whose an attempt was, and without the second nobody tells of it.
#[test]
fn a_split_mesh_survives_the_death_of_its_identity_and_its_gateway() {
    let roles = &[Role::Identity, Role::Gateway];
    run(Layout::Split, Engine::Postgres, |_| survives(Layout::Split, Engine::Postgres, roles));
}

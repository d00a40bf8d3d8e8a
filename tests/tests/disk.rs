//! A full disk, under both engines, and a power cut under SQLite's files.

use crate::{load::Load, support::list_all};
use contract::ontology::v1::ListThingsRequest;
use tests::{Disk, Engine, Layout, Mesh, Postgres, Role, Unsynced, run};

const WRITERS: usize = 16;
/// Changes between two power cuts, at most.
const BETWEEN: u128 = 400;

async fn start() -> (Mesh, Disk) {
    let builder = Mesh::builder(Layout::OneProcess, Engine::Sqlite);
    let (builder, disk) = builder.on_a_forgetful_disk();
    (builder.start().await, disk)
}

/// Writes are refused with a reason, reads go on, and with room all is well.
async fn survives_a_full_disk(mesh: Mesh, fill: impl Fn(), free: impl Fn()) {
    let _shown = mesh.show_logs_of_a_failure();
    let load = Load::begin(&mesh, WRITERS).await;
    for _ in 0..2 {
        load.writes(100).await;
        fill();
        load.is_refused(100).await;
        let things = list_all(&load.tenant, ListThingsRequest { page_size: 1_000, ..Default::default() }).await;
        assert_eq!(load.tenant.get(&things[0].id).await.id, things[0].id);
        load.tenant.who_am_i().await;
        load.tenant.events_about(&things[0].id).await;
        free();
    }
    load.writes(100).await;
    let ledger = load.end().await;
    assert_eq!(ledger.refusals.keys().collect::<Vec<_>>(), ["STORE_UNAVAILABLE"]);
}

#[test]
fn sqlite_survives_a_full_disk() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let (mesh, disk) = start().await;
        survives_a_full_disk(mesh, || disk.fill(), || disk.free()).await;
    });
}

async fn postgres_survives_a_full_disk(layout: Layout) {
    let postgres = Postgres::start_on_a_small_disk();
    let mesh = Mesh::on(layout, &postgres).start().await;
    survives_a_full_disk(mesh, || postgres.fill(), || postgres.free()).await;
}

#[test]
fn one_process_on_postgres_survives_a_full_disk() {
    run(Layout::OneProcess, Engine::Postgres, |_| postgres_survives_a_full_disk(Layout::OneProcess));
}

#[test]
fn a_split_mesh_survives_a_full_disk() {
    run(Layout::Split, Engine::Postgres, |_| postgres_survives_a_full_disk(Layout::Split));
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let (mesh, disk) = start().await;
        let _shown = mesh.show_logs_of_a_failure();
        let load = Load::begin(&mesh, WRITERS).await;
        let rounds = 2 * crate::kill::rounds();
        for unsynced in [Unsynced::Forgotten, Unsynced::PartlyKept].into_iter().cycle().take(rounds) {
            load.writes(usize::try_from(uuid::Uuid::new_v4().as_u128() % BETWEEN).unwrap()).await;
            mesh.kill(Role::Gateway, 0);
            assert!(disk.cut_power(unsynced) > 0, "the shim stands between");
            mesh.start_again(Role::Gateway, 0);
        }
        load.writes(1).await;
        load.end().await;
    });
}

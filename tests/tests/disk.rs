//! A full disk, and a power cut: SQLite's files on a disk that can do both.

use crate::{load::Load, support::list_all};
use contract::ontology::v1::ListThingsRequest;
use tests::{Disk, Engine, Layout, Mesh, Role, Unsynced, run};

const WRITERS: usize = 16;
/// Changes between two power cuts, at most.
const BETWEEN: u128 = 400;

async fn start() -> (Mesh, Disk) {
    let builder = Mesh::builder(Layout::OneProcess, Engine::Sqlite);
    let (builder, disk) = builder.on_a_forgetful_disk();
    (builder.start().await, disk)
}

#[test]
fn on_a_full_disk_writes_are_refused_reads_go_on_and_with_room_all_is_well() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let (mesh, disk) = start().await;
        let _shown = mesh.show_logs_of_a_failure();
        let load = Load::begin(&mesh, WRITERS).await;
        for _ in 0..2 {
            load.writes(100).await;
            disk.fill();
            load.is_refused(100).await;
            let things = list_all(&load.tenant, ListThingsRequest { page_size: 1_000, ..Default::default() }).await;
            assert_eq!(load.tenant.get(&things[0].id).await.id, things[0].id);
            load.tenant.who_am_i().await;
            load.tenant.events_about(&things[0].id).await;
            disk.free();
        }
        load.writes(100).await;
        let ledger = load.end().await;
        assert_eq!(ledger.refusals.keys().collect::<Vec<_>>(), ["STORE_UNAVAILABLE"]);
    });
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

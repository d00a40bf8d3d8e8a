//! kill -9 under write load: no acknowledged write lost, no event missing or doubled.

use crate::{
    support::{list_all, never, product},
    watch::{assert_gap_free, take},
};
use contract::{
    events::v1::{Event, watch_events_request::From},
    ontology::v1::{CreateThingRequest, ListThingsRequest},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tests::{Caller, Engine, Layout, Mesh, Role, Tenant, eventually, run};

const WRITERS: usize = 16;
/// Acknowledged writes between two kills.
const ROUND: usize = 300;
const ROUNDS: usize = 3;

/// Ids of things whose creation was acknowledged.
type Acknowledged = Arc<Mutex<HashSet<String>>>;

/// Writes until it is told to stop; what is not acknowledged may or may not be there.
async fn write(caller: Caller, acknowledged: Acknowledged, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let request = CreateThingRequest { thing: Some(product("A")), request_id: never(), ..Default::default() };
        match caller.things().create_thing(request).await {
            Ok(answer) => {
                acknowledged.lock().unwrap().insert(answer.into_inner().id);
            }
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn survives(mesh: Mesh, victims: &[Role]) {
    let _shown = mesh.show_logs_of_a_failure();
    let tenant = mesh.tenant().await;
    let (acknowledged, stop) = (Acknowledged::default(), Arc::<AtomicBool>::default());
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(write(tenant.owner().clone(), acknowledged.clone(), stop.clone()))).collect();
    for victim in victims.iter().cycle().take(ROUNDS) {
        let aim = acknowledged.lock().unwrap().len() + ROUND;
        eventually("the writers to write", || async { (acknowledged.lock().unwrap().len() >= aim).then_some(()) }).await;
        mesh.kill(*victim, 0);
        mesh.start_again(*victim, 0);
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert_nothing_lost(&tenant, &acknowledged).await;
}

/// The things that are there are those of the events, each once, and all that was acknowledged is among them.
async fn assert_nothing_lost(tenant: &Tenant, acknowledged: &HashSet<String>) {
    let things = list_all(tenant, ListThingsRequest { page_size: 1_000, ..Default::default() }).await;
    let there: HashSet<String> = things.iter().map(|thing| thing.id.clone()).collect();
    assert_eq!(there.len(), things.len(), "a row twice");
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged writes are lost: {lost:?}", lost.len(), acknowledged.len());

    // The last one made comes last: behind it no other is still under way.
    let last = tenant.create("the last").await;
    let mut stream = tenant.watch(From::Beginning(true)).await;
    let (events, _) = take(&mut stream, things.len() + 3).await;
    assert_gap_free(&events);
    let mut created: HashMap<String, usize> = HashMap::new();
    for event in events.iter().filter(|event| event.r#type == "entity_created") {
        *created.entry(target(event)).or_default() += 1;
    }
    assert!(created.values().all(|times| *times == 1), "an event twice");
    assert!(created.remove(&last.id).is_some());
    assert_eq!(created.into_keys().collect::<HashSet<_>>(), there, "set of states = set of events");
}

fn target(event: &Event) -> String {
    event.target.clone().unwrap_or_default().id
}

#[test]
fn one_process_on_sqlite_survives() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        survives(Mesh::start(Layout::OneProcess, Engine::Sqlite).await, &[Role::Gateway]).await;
    });
}

#[test]
fn one_process_on_postgres_survives() {
    run(Layout::OneProcess, Engine::Postgres, |_| async {
        survives(Mesh::start(Layout::OneProcess, Engine::Postgres).await, &[Role::Gateway]).await;
    });
}

#[test]
fn a_split_mesh_survives_the_death_of_each_service() {
    run(Layout::Split, Engine::Postgres, |_| async {
        survives(Mesh::start(Layout::Split, Engine::Postgres).await, &[Role::Ontology, Role::Events, Role::Identity]).await;
    });
}

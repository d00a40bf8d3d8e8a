//! Postgres where the role that serves owns no table: it can't drop one, nor get past the wall between tenants.

use crate::{
    support::{event_types, list_all},
    watch::take,
};
use contract::{
    events::v1::watch_events_request::From,
    identity::v1::RevokeKeyRequest,
    ontology::v1::{DeleteThingRequest, ListThingsRequest},
};
use tests::{Engine, Layout, Mesh, Role, run};

/// What a tenant does in a day.
async fn all_is_done(mesh: &Mesh) {
    let tenant = mesh.tenant().await;
    let team = tenant.create_group("team", &tenant.group.id).await;
    assert_eq!(team.parent_id, tenant.group.id);
    let thing = tenant.create("A").await;
    tenant.rename(&thing.id, "B").await;
    tenant.things().delete_thing(DeleteThingRequest { id: thing.id.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(event_types(&tenant, &thing.id, 3).await, ["entity_created", "entity_updated", "entity_archived"]);
    assert_eq!(list_all(&tenant, ListThingsRequest { show_archived: true, ..Default::default() }).await.len(), 1);
    let key = tenant.create_key("a key", "group_user", &["things:read"]).await.key.unwrap();
    tenant.keys().revoke_key(RevokeKeyRequest { id: key.id, ..Default::default() }).await.unwrap();
    take(&mut tenant.watch(From::Beginning(true)).await, 7).await;
}

async fn serves(layout: Layout) {
    let mesh = Mesh::builder(layout, Engine::Postgres).with_an_owner_apart().start().await;
    let _shown = mesh.show_logs_of_a_failure();
    all_is_done(&mesh).await;
    let database = mesh.database().unwrap();
    let serving = database.serving_role();
    let owned = database.ask(&format!("select count(*) from pg_class where pg_get_userbyid(relowner) = '{serving}'"));
    let owners = database.ask("select distinct tableowner from pg_tables where schemaname in ('identity', 'ontology', 'events')");
    assert_eq!((owned.as_str(), format!("{owners}_serving")), ("0", serving.clone()));
    let busy = database.ask(&format!("select count(*) > 0 from pg_stat_activity where usename = '{serving}'"));
    assert_eq!(busy, "t", "it serves as that role");
    // The second start finds the tables as they should be.
    mesh.kill(Role::Ontology, 0);
    mesh.start_again(Role::Ontology, 0);
    all_is_done(&mesh).await;
}

#[test]
fn one_process_serves_as_a_role_that_owns_nothing() {
    run(Layout::OneProcess, Engine::Postgres, |_| serves(Layout::OneProcess));
}

#[test]
fn a_split_mesh_serves_as_a_role_that_owns_nothing() {
    run(Layout::Split, Engine::Postgres, |_| serves(Layout::Split));
}

//! SIGTERM: what is under way ends well, and what is open says how to go on.

use crate::{
    support::{events_about, product},
    watch::{assert_gap_free, next, settled, take},
};
use bytes::Bytes;
use contract::{
    Reason,
    events::v1::{WatchEventsResponse, watch_events_request::From},
    ontology::v1::{CreateThingRequest, Thing},
};
use http::{Method, StatusCode};
use prost::Message;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tests::{
    Engine, Layout, Mesh, Process, Refused, Role, eventually,
    raw::{Half, Raw, frame},
    run,
};
use tonic::{Code, Streaming};

/// So long may the whole end take.
const BOUND: Duration = Duration::from_secs(30);

async fn ends(stream: &mut Streaming<WatchEventsResponse>) -> Refused {
    tokio::time::timeout(BOUND, async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a stream that just ends says nothing"),
                Err(status) => return status.into(),
            }
        }
    })
    .await
    .expect("the watch ends")
}

/// Until the process says that it drains, or has ended already.
async fn draining(admin: SocketAddr) {
    eventually("readiness to go off", || async {
        if tokio::net::TcpStream::connect(admin).await.is_err() {
            return Some(());
        }
        (Raw::new(Method::GET, "/readyz", "").http1(admin).await.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
}

async fn exits_0(process: Process, begun: Instant) {
    let exit = tokio::task::spawn_blocking(move || process.wait()).await.unwrap();
    assert_eq!(exit.code, Some(0), "{}{}", exit.stdout, exit.stderr);
    assert!(!exit.stderr.contains("panicked"), "{}", exit.stderr);
    assert!(begun.elapsed() < BOUND, "it took {:?}", begun.elapsed());
}

/// A call in flight is answered, a watch is told to resume, and resumes elsewhere without a gap.
async fn drains(layout: Layout, engine: Engine, victim: Role) {
    let mesh = Mesh::start(layout, engine).await;
    let _shown = mesh.show_logs_of_a_failure();
    let tenant = settled(&mesh).await;
    let mut stream = tenant.watch(From::Now(true)).await;
    next(&mut stream).await;
    let one = tenant.create("one").await;
    let (events, cursor) = take(&mut stream, 1).await;
    assert_eq!(events[0].target.as_ref().unwrap().id, one.id);
    let body = frame(&CreateThingRequest { thing: Some(product("two")), ..Default::default() }.encode_to_vec());
    let call = Raw::call("/one.ontology.v1.ThingService/CreateThing", Bytes::new()).key(tenant.key());
    let half = Half::begin(call, mesh.gateway(), body.slice(..10)).await;

    let (admin, process, begun) = (mesh.admin(victim, 0), mesh.take(victim, 0), Instant::now());
    process.signal("TERM");
    draining(admin).await;
    if victim != Role::Ontology {
        let end = ends(&mut stream).await;
        assert_eq!((end.reason, end.code), (Reason::ShuttingDown, Code::Unavailable));
        assert!(end.retry.is_some(), "{end:?}");
        assert!(end.metadata.get("cursor").is_none_or(|told| !told.is_empty()), "{end:?}");
    }
    let answer = half.end(body.slice(10..)).await;
    assert_eq!(answer.code(), Code::Ok, "{answer:?}");
    let two = Thing::decode(&answer.body[5..]).unwrap();
    exits_0(process, begun).await;

    mesh.start_again(victim, 0);
    let three = eventually("the mesh to take calls again", || async { crate::support::create(&tenant, product("three")).await.ok() }).await;
    events_about(&tenant, &three.into_inner().id, 1).await;
    let (events, _) = take(&mut tenant.watch(From::Cursor(cursor)).await, 2).await;
    assert_gap_free(&events);
    assert_eq!(events[0].target.as_ref().unwrap().id, two.id);
}

#[test]
fn one_process_on_sqlite() {
    run(Layout::OneProcess, Engine::Sqlite, |_| drains(Layout::OneProcess, Engine::Sqlite, Role::Gateway));
}

#[test]
fn one_process_on_postgres() {
    run(Layout::OneProcess, Engine::Postgres, |_| drains(Layout::OneProcess, Engine::Postgres, Role::Gateway));
}

#[test]
fn the_gateway_of_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| drains(Layout::Split, Engine::Postgres, Role::Gateway));
}

#[test]
fn the_ontology_of_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| drains(Layout::Split, Engine::Postgres, Role::Ontology));
}

#[test]
fn the_events_of_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| drains(Layout::Split, Engine::Postgres, Role::Events));
}

/// Whoever ends it first, the watch learns its last cursor.
#[test]
fn in_one_process_every_watch_is_told_its_cursor() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let tenant = settled(&mesh).await;
        let mut streams = Vec::new();
        for _ in 0..50 {
            let mut stream = tenant.watch(From::Now(true)).await;
            next(&mut stream).await;
            streams.push(stream);
        }
        let (process, begun) = (mesh.take(Role::Gateway, 0), Instant::now());
        process.signal("TERM");
        for stream in &mut streams {
            let end = ends(stream).await;
            assert_eq!(end.reason, Reason::ShuttingDown);
            assert!(end.metadata.get("cursor").is_some_and(|cursor| !cursor.is_empty()), "{end:?}");
        }
        exits_0(process, begun).await;
    });
}

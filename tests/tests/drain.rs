//! SIGTERM: what is under way ends well, and what is open says how to go on.

use crate::{
    follower::Follower,
    load::Load,
    support::{events_about, product},
    watch::{assert_gap_free, next, settled, take, targets},
};
use bytes::Bytes;
use contract::{
    Reason,
    events::v1::{Event, WatchEventsResponse, watch_events_request::From},
    ontology::v1::{CreateThingRequest, Thing},
};
use http::{Method, StatusCode};
use prost::Message;
use std::{
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};
use tests::{
    Engine, Layout, Lock, Mesh, Postgres, Process, Refused, Role, eventually,
    raw::{Answer, Half, Raw, frame},
    run,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::{Code, Streaming};

/// So long may the whole end take.
const BOUND: Duration = Duration::from_secs(30);

pub(crate) async fn ends(stream: &mut Streaming<WatchEventsResponse>) -> Refused {
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

/// What has not come whole is under way at the gateway only. This sends the rest, of which the ontology then waits for its table.
async fn reaches_the_ontology(mesh: &Mesh, rest: impl Future<Output = Answer>) -> Lock {
    let database = mesh.database().expect("it is on Postgres");
    let lock = database.lock("ontology.things");
    tokio::select! {
        answer = rest => panic!("{answer:?}"),
        () = database.somebody_waits() => lock,
    }
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
    let mut rest = pin!(half.end(body.slice(10..)));
    let lock = if victim == Role::Ontology { Some(reaches_the_ontology(&mesh, rest.as_mut()).await) } else { None };

    let (admin, process, begun) = (mesh.admin(victim, 0), mesh.take(victim, 0), Instant::now());
    process.signal("TERM");
    draining(admin).await;
    if victim != Role::Ontology {
        let end = ends(&mut stream).await;
        assert_eq!((end.reason, end.code), (Reason::ShuttingDown, Code::Unavailable));
        assert!(end.retry.is_some(), "{end:?}");
        assert!(end.metadata.get("cursor").is_none_or(|told| !told.is_empty()), "{end:?}");
    }
    drop(lock);
    let answer = rest.await;
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

/// A client that has an open stream and goes on for ever, whatever it is told: it never reads.
async fn deaf(to: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let frame = |kind: u8, flags: u8, id: u8, body: &[u8]| [&[0, 0, u8::try_from(body.len()).unwrap(), kind, flags, 0, 0, 0, id], body].concat();
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let fields = [
        vec![0x83, 0x86], // POST, http
        [vec![0x04], text("/grpc.health.v1.Health/Watch")].concat(),
        [vec![0x01], text("localhost")].concat(),
        [vec![0x0f, 0x10], text("application/grpc")].concat(),
        [vec![0x00], text("te"), text("trailers")].concat(),
    ];
    let (settings, headers, data) = (frame(4, 0, 0, &[]), frame(1, 4, 1, &fields.concat()), frame(0, 1, 1, &[0; 5]));
    stream.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &headers, &data].concat()).await.unwrap();
    stream
}

/// Until nobody is there to hear it.
async fn pings(mut deaf: TcpStream) {
    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    while deaf.write_all(&PING).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whoever is there: silent, idle, deaf, half way through a call, at work, or watching.
async fn ends_whoever_is_there(layout: Layout, engine: Engine, victim: Role) {
    let mesh = Mesh::start(layout, engine).await;
    let _shown = mesh.show_logs_of_a_failure();
    let load = Load::begin(&mesh, 16).await;
    let (mut stream, from) = Follower::from_now(load.tenant.owner()).await.into_parts();
    let door = mesh.addr(victim, 0);
    let silent = TcpStream::connect(door).await.unwrap();
    let idle = load.tenant.owner().reconnected(mesh.gateway());
    idle.who_am_i().await;
    let deaf = tokio::spawn(pings(deaf(door).await));
    let call = Raw::call("/one.ontology.v1.ThingService/CreateThing", Bytes::new()).key(load.tenant.key());
    let half = Half::begin(call, mesh.gateway(), frame(&[0; 100]).slice(..10)).await;
    load.writes(100).await;
    let (process, begun) = (mesh.take(victim, 0), Instant::now());
    process.signal("TERM");
    exits_0(process, begun).await;
    deaf.await.unwrap();
    drop((silent, idle, half));

    mesh.start_again(victim, 0);
    load.writes(100).await;
    let tenant = load.tenant.clone();
    load.end().await;
    let last = tenant.create("the last").await.id;
    let (mut seen, cursor) = until(&mut stream, &last, from.clone()).await;
    if !targets(&seen).contains(&last) {
        seen.extend(until(&mut tenant.watch(From::Cursor(cursor)).await, &last, String::new()).await.0);
    }
    assert_gap_free(&seen);
    let (all, _) = until(&mut tenant.watch(From::Cursor(from)).await, &last, String::new()).await;
    assert_eq!(targets(&seen), targets(&all), "neither a gap nor anything twice");
}

/// The events up to that one, or to the stream's end, and the last cursor.
async fn until(stream: &mut Streaming<WatchEventsResponse>, last: &str, mut cursor: String) -> (Vec<Event>, String) {
    let mut events = Vec::new();
    while !targets(&events).iter().any(|target| target == last) {
        let Ok(Some(answer)) = tokio::time::timeout(BOUND, stream.message()).await.expect("an answer, or the end") else { break };
        events.extend(answer.events);
        cursor = answer.cursor;
    }
    (events, cursor)
}

#[test]
fn one_process_on_sqlite_ends_whoever_is_there() {
    run(Layout::OneProcess, Engine::Sqlite, |_| ends_whoever_is_there(Layout::OneProcess, Engine::Sqlite, Role::Gateway));
}

#[test]
fn the_gateway_of_a_split_mesh_ends_whoever_is_there() {
    run(Layout::Split, Engine::Postgres, |_| ends_whoever_is_there(Layout::Split, Engine::Postgres, Role::Gateway));
}

#[test]
fn the_ontology_of_a_split_mesh_ends_whoever_is_there() {
    run(Layout::Split, Engine::Postgres, |_| ends_whoever_is_there(Layout::Split, Engine::Postgres, Role::Ontology));
}

#[test]
fn the_identity_of_a_split_mesh_ends_whoever_is_there() {
    run(Layout::Split, Engine::Postgres, |_| ends_whoever_is_there(Layout::Split, Engine::Postgres, Role::Identity));
}

#[test]
fn the_events_of_a_split_mesh_ends_whoever_is_there() {
    run(Layout::Split, Engine::Postgres, |_| ends_whoever_is_there(Layout::Split, Engine::Postgres, Role::Events));
}

/// A database that never answers keeps nobody from ending, whether the process knows it or not.
#[test]
fn a_process_whose_database_stands_still_ends() {
    run(Layout::OneProcess, Engine::Postgres, |_| async {
        let postgres = Postgres::start();
        let mesh = Mesh::on(Layout::OneProcess, &postgres).start().await;
        let _shown = mesh.show_logs_of_a_failure();
        let load = Load::begin(&mesh, 16).await;
        load.writes(100).await;
        postgres.signal("STOP");
        let (process, begun) = (mesh.take(Role::Gateway, 0), Instant::now());
        process.signal("TERM");
        exits_0(process, begun).await;
        postgres.signal("CONT");
        mesh.start_again(Role::Gateway, 0);
        load.writes(100).await;
        load.end().await;
    });
}

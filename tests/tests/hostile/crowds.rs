//! Too many peers, too few file descriptors, and readers that do not read.

use crate::support::{events_about, names};
use contract::events::v1::watch_events_request::From;
use serde_json::Value;
use std::{net::Ipv4Addr, process::Command};
use tests::{
    Engine, Layout, Mesh, Process, Role, eventually,
    peer::{END_STREAM, Kind, Peer},
    raw::{Raw, frame},
    run,
};
use tonic::Code;

/// Connected and greeted, and the server has greeted too.
async fn greeted(mesh: &Mesh, from: Ipv4Addr) -> Option<Peer> {
    let mut peer = Peer::from(from.into(), mesh.gateway()).await.greet().await;
    peer.next_of(Kind::Settings).await.map(|_| peer)
}

/// A thousand of ten addresses are taken, none of them more than its share, and others are served.
#[test]
fn a_thousand_idle_connections_harm_nobody() {
    const EACH: usize = 100;
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let tenant = mesh.tenant().await;
        let mut idle = Vec::new();
        for host in 1..=10 {
            let address = Ipv4Addr::new(127, 0, 7, host);
            for _ in 0..EACH {
                idle.push(greeted(&mesh, address).await.expect("within its share"));
            }
            assert!(greeted(&mesh, address).await.is_none(), "{address} has its share");
        }
        tenant.create("A").await;
        let mut last = idle.pop().expect("a thousand");
        last.send(Kind::Ping, 0, 0, &[1; 8]).await;
        assert_eq!(last.next_of(Kind::Ping).await.expect("it is still there").payload, [1; 8]);
    });
}

/// More streams than there are places, and no message on them: they wait for their client, and nobody else for them.
async fn half_open_streams_take_no_place(layout: Layout, engine: Engine) {
    const LIST: &str = "/one.ontology.v1.ThingService/ListThings";
    let mesh = Mesh::builder(layout, engine).set("ONE_GATEWAY_IN_FLIGHT", "2").start().await;
    let (slow, other) = (mesh.tenant().await, mesh.tenant().await);
    let mut peer = Peer::hello(mesh.gateway()).await;
    for number in 0..50 {
        peer.call(2 * number + 1, LIST, &[("x-api-key", slow.key())]).await;
    }
    peer.send(Kind::Ping, 0, 0, &[1; 8]).await;
    peer.next_of(Kind::Ping).await.expect("all were read");
    for number in 0..20 {
        other.create(&number.to_string()).await;
    }
    peer.send(Kind::Data, END_STREAM, 31, &frame(&[])).await;
    assert_eq!(peer.next_of(Kind::Headers).await.expect("whoever sends at last is served").stream, 31);
    assert!(!peer.next_of(Kind::Data).await.expect("and gets a list").payload.is_empty());
}

#[test]
fn half_open_streams_take_no_place_in_one_process() {
    run(Layout::OneProcess, Engine::Sqlite, |_| half_open_streams_take_no_place(Layout::OneProcess, Engine::Sqlite));
}

#[test]
fn half_open_streams_take_no_place_in_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| half_open_streams_take_no_place(Layout::Split, Engine::Postgres));
}

fn files(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("it lives").count()
}

/// From now on.
fn limit_files(process: u32, most: usize) {
    let status = Command::new("prlimit").args([format!("--pid={process}"), format!("--nofile={most}")]).status();
    assert!(status.is_ok_and(|status| status.success()), "prlimit is part of util-linux");
}

fn pauses(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = lines.filter(|line| line["message"] == "cannot accept connections");
    lines.map(|line| line["pause"].as_str().expect("it says how long it waits").to_owned()).collect()
}

/// accept fails with EMFILE: it waits ever longer instead of spinning, serves whom it has, and takes the others when there is room.
#[test]
fn without_file_descriptors_it_neither_spins_nor_dies() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let tenant = mesh.tenant().await;
        tenant.who_am_i().await; // it has a connection
        let process = mesh.look(Role::Gateway, 0, Process::id);
        limit_files(process, files(process) + 20);
        let mut crowd = Vec::new();
        for number in 0..120 {
            crowd.push(Peer::from(Ipv4Addr::new(127, 0, 8, 1 + number % 4).into(), mesh.gateway()).await.greet().await);
        }
        let pauses = eventually("the longest pause", || async {
            let pauses = mesh.look(Role::Gateway, 0, |process| pauses(&process.log()));
            pauses.iter().any(|pause| pause == "100ms").then_some(pauses)
        })
        .await;
        assert!(pauses.len() < 20, "it spins: {pauses:?}");
        tenant.who_am_i().await;
        drop(crowd);
        let answer = Raw::call("/one.identity.v1.KeyService/GetCaller", frame(&[])).key(tenant.key()).http2(mesh.gateway()).await;
        assert_eq!(answer.code(), Code::Ok, "whoever waited is taken");
    });
}

/// As many peers are taken as leave files for the rest of the process: with more than fit, calls find every connection to a database that
/// they need, and accept never fails.
async fn a_crowd_leaves_files_for_others(engine: Engine) {
    const FILES: usize = 256;
    let mesh = Mesh::builder(Layout::OneProcess, engine).open_files(FILES).start().await;
    let tenant = mesh.tenant().await;
    tenant.who_am_i().await; // it has a connection
    let mut crowd = Vec::new();
    for number in 0..2 * FILES {
        let address = Ipv4Addr::new(127, 0, 9, u8::try_from(1 + number % 8).unwrap());
        crowd.extend(greeted(&mesh, address).await);
    }
    assert!((FILES / 4..FILES).contains(&crowd.len()), "{} of the crowd were taken", crowd.len());
    let calls = (0..100).map(|number| {
        let tenant = &tenant;
        async move {
            let made = tenant.create(&number.to_string()).await;
            assert_eq!(names(tenant, &format!("name = \"{number}\"")).await.len(), 1, "{made:?}");
        }
    });
    futures::future::join_all(calls).await;
    let process = mesh.look(Role::Gateway, 0, Process::id);
    assert!(files(process) < FILES, "{} files are open", files(process));
    assert_eq!(mesh.look(Role::Gateway, 0, |process| pauses(&process.log())), Vec::<String>::new());
    drop(crowd);
    eventually("room for another", || greeted(&mesh, Ipv4Addr::new(127, 0, 9, 9))).await;
}

#[test]
fn a_crowd_leaves_files_for_sqlite() {
    run(Layout::OneProcess, Engine::Sqlite, |_| a_crowd_leaves_files_for_others(Engine::Sqlite));
}

#[test]
fn a_crowd_leaves_files_for_the_way_to_postgres() {
    run(Layout::OneProcess, Engine::Postgres, |_| a_crowd_leaves_files_for_others(Engine::Postgres));
}

/// 64 streams of 2,000 tiny messages, and nobody reads: what h2 0.4.16 to 0.4.18 took for a flood, between gateway and service too
/// (hyperium/h2#939). Others are served meanwhile, and then every event comes once.
async fn readers_that_stall_lose_nothing(layout: Layout, engine: Engine) {
    const READERS: usize = 64;
    const EVENTS: usize = 2_000;
    let mesh = Mesh::start(layout, engine).await;
    let _shown = mesh.show_logs_of_a_failure();
    let tenant = mesh.tenant().await;
    let mut last = String::new();
    for part in 0..EVENTS / 50 {
        let made = futures::future::join_all((0..50).map(|number| {
            let (tenant, name) = (&tenant, format!("{part}-{number}"));
            async move { tenant.create(&name).await.id }
        }));
        last = made.await.pop().expect("fifty");
    }
    events_about(&tenant, &last, 1).await;
    let reader = tenant.reconnected(mesh.gateway());
    let mut streams = Vec::new();
    for _ in 0..READERS {
        streams.push(reader.watch(From::Beginning(true)).await);
    }
    tenant.create("while they stall").await;
    tenant.who_am_i().await;
    let read = streams.into_iter().map(|mut stream| async move {
        let mut created = 0;
        while created < EVENTS {
            let answer = stream.message().await.expect("the stream goes on").expect("it has no end");
            created += answer.events.iter().filter(|event| event.r#type == "entity_created").count();
        }
    });
    futures::future::join_all(read).await;
}

#[test]
fn adv_h2_939_readers_that_stall_lose_nothing_in_one_process() {
    run(Layout::OneProcess, Engine::Sqlite, |_| readers_that_stall_lose_nothing(Layout::OneProcess, Engine::Sqlite));
}

#[test]
fn adv_h2_939_readers_that_stall_lose_nothing_in_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| readers_that_stall_lose_nothing(Layout::Split, Engine::Postgres));
}

//! More than a mesh can do: who is refused, how, and who is not.

use crate::{
    requests::list,
    support::{create, product},
};
use contract::{
    Reason,
    events::v1::watch_events_request::From,
    identity::v1::{GetCallerRequest, Group, GroupLimits},
    ontology::v1::{CreateThingRequest, GetThingRequest},
};
use futures::future::{join_all, try_join_all};
use prost::Message;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tests::{
    Caller, Engine, Layout, Mesh, Refuses, Role, Tenant, eventually,
    peer::{END_STREAM, Frame, Kind, Peer},
    raw::{Raw, frame},
    run,
};
use tonic::Code;

/// So that a test can bring it to its knees: a gateway that lets two calls go on at once, and a few wait.
async fn narrow(layout: Layout, engine: Engine) -> Mesh {
    Mesh::builder(layout, engine).set("ONE_GATEWAY_IN_FLIGHT", "2").set("ONE_GATEWAY_WAITING", "40").start().await
}

async fn unlimited(mesh: &Mesh) -> Tenant {
    let none = Some(-1);
    let limits = GroupLimits {
        key_requests_per_minute: none,
        key_requests_per_day: none,
        requests_per_minute: none,
        requests_per_day: none,
        ..GroupLimits::default()
    };
    mesh.tenant_like(Group { name: "busy".to_owned(), tier: "enterprise".to_owned(), limits: Some(limits), ..Group::default() }).await
}

/// Many callers who call again as soon as they have an answer.
struct Flood {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Flood {
    const CALLERS: usize = 200;

    fn of(tenant: &Tenant, mesh: &Mesh) -> Flood {
        let (stop, served, refused) = (Arc::new(AtomicBool::new(false)), Arc::default(), Arc::default());
        let mut flood = Flood { stop, served, refused, callers: Vec::new() };
        for connection in (0..4).map(|_| tenant.reconnected(mesh.gateway())) {
            for _ in 0..Flood::CALLERS / 4 {
                flood.callers.push(tokio::spawn(Flood::pour(connection.clone(), flood.stop.clone(), flood.served.clone(), flood.refused.clone())));
            }
        }
        flood
    }

    async fn pour(caller: Caller, stop: Arc<AtomicBool>, served: Arc<AtomicUsize>, refused: Arc<AtomicUsize>) {
        while !stop.load(Ordering::Relaxed) {
            let answer = create(&caller, product("A")).await;
            if answer.is_ok() {
                served.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let refusal = answer.refused();
            assert_eq!((refusal.code, refusal.reason), (Code::Unavailable, Reason::Overloaded), "{refusal:?}");
            assert_eq!(refusal.retry, Some(Duration::from_secs(1)), "it says when to come again");
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> (usize, usize) {
        (self.served.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// How many were served and refused, when the last has its answer.
    async fn end(mut self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        try_join_all(std::mem::take(&mut self.callers)).await.expect("each was served or refused as it must be");
        self.counts()
    }
}

async fn one_organisations_flood_turns_no_other_away(layout: Layout, engine: Engine) {
    let mesh = narrow(layout, engine).await;
    let _shown = mesh.show_logs_of_a_failure();
    let (loud, quiet) = (unlimited(&mesh).await, unlimited(&mesh).await);
    let flood = Flood::of(&loud, &mesh);
    while flood.counts().1 < Flood::CALLERS {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for number in 0..30 {
        quiet.create(&format!("{number}")).await; // served, each
        let health = Raw::call("/grpc.health.v1.Health/Check", frame(&[])).http2(mesh.gateway()).await;
        assert_eq!(health.code(), Code::Ok);
        let ready = Raw::new(http::Method::GET, "/readyz", "").http1(mesh.admin(Role::Gateway, 0)).await;
        assert!(ready.status.is_success(), "{ready:?}");
    }
    let (served, refused) = flood.end().await;
    assert!(served > 0 && refused > Flood::CALLERS, "{served} served, {refused} refused");
    loud.create("after").await;
    let reader = mesh.platform().acting_in(&loud.group.id);
    let recorded = || async { Some(list(&reader, "reason = \"OVERLOADED\"").await.len()).filter(|count| *count >= refused) };
    assert_eq!(eventually("who was turned away, on record", recorded).await, refused);
}

#[test]
fn one_organisations_flood_turns_no_other_away_in_one_process() {
    run(Layout::OneProcess, Engine::Sqlite, |_| one_organisations_flood_turns_no_other_away(Layout::OneProcess, Engine::Sqlite));
}

#[test]
fn one_organisations_flood_turns_no_other_away_in_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| one_organisations_flood_turns_no_other_away(Layout::Split, Engine::Postgres));
}

/// What one process cannot do at once it need not read: behind calls that stand in a deep line their connection's next one waits, though
/// nobody stands in line for what it wants.
#[test]
fn a_connection_is_read_as_its_calls_leave_a_deep_line() {
    const CALLS: u32 = 90;
    run(Layout::OneProcess, Engine::Postgres, |_| async {
        let mesh = Mesh::builder(Layout::OneProcess, Engine::Postgres).set("ONE_GATEWAY_IN_FLIGHT", "1").start().await;
        let tenant = unlimited(&mesh).await;
        let _one_has_the_place = mesh.database().expect("on Postgres").lock("ontology.things");
        let create = frame(&CreateThingRequest { thing: Some(product("A")), ..Default::default() }.encode_to_vec());
        let mut peer = Peer::hello(mesh.gateway()).await;
        for number in 0..CALLS {
            call(&mut peer, 2 * number + 1, "/one.ontology.v1.ThingService/CreateThing", &tenant, &create).await;
        }
        peer.send(Kind::Ping, 0, 0, &[1; 8]).await;
        let mut before = ended_until(&mut peer, |frame| frame.is(Kind::Ping)).await; // all were read
        for _ in 0..3 {
            tenant.who_am_i().await; // on another connection, after whatever has been read
        }
        let last = 2 * CALLS + 1;
        call(&mut peer, last, "/one.identity.v1.KeyService/GetCaller", &tenant, &frame(&[])).await;
        before += ended_until(&mut peer, |frame| frame.is(Kind::Headers) && frame.stream == last).await;
        assert!(before > CALLS / 2, "{before} of {CALLS} had waited long enough before it was read");
    });
}

async fn call(peer: &mut Peer, stream: u32, path: &str, tenant: &Tenant, message: &[u8]) {
    peer.call(stream, path, &[("x-api-key", tenant.key())]).await;
    assert!(peer.send(Kind::Data, END_STREAM, stream, message).await);
}

/// How many streams have their answer before this frame comes.
async fn ended_until(peer: &mut Peer, comes: impl Fn(&Frame) -> bool) -> u32 {
    let mut ended = 0;
    loop {
        let frame = peer.next().await.expect("the connection stays");
        if comes(&frame) {
            return ended;
        }
        ended += u32::from(frame.is(Kind::Headers) && frame.flags & END_STREAM != 0);
    }
}

/// A service that stands still fills its own line, and nobody else's.
#[test]
fn a_service_that_hangs_takes_no_place_of_anothers() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let mesh = narrow(Layout::Split, Engine::Postgres).await;
        let tenant = unlimited(&mesh).await;
        let thing = tenant.create("A").await;
        mesh.look(Role::Ontology, 0, |process| process.signal("STOP"));
        let ended = AtomicUsize::new(0);
        let hanging = join_all((0..100).map(|_| async {
            let answer = create(&tenant, product("B")).await;
            ended.fetch_add(1, Ordering::Relaxed);
            answer
        }));
        let others = async {
            for _ in 0..5 {
                tenant.who_am_i().await;
            }
            let hung = 100 - ended.load(Ordering::Relaxed);
            assert!(hung > 20, "of 42 that wait {hung} still did: their connection was read on");
            for _ in 0..15 {
                tenant.who_am_i().await;
            }
        };
        let (hung, ()) = tokio::join!(hanging, others);
        mesh.look(Role::Ontology, 0, |process| process.signal("CONT"));
        for refusal in hung.into_iter().map(Refuses::refused) {
            assert!([Reason::Overloaded, Reason::UpstreamUnavailable].contains(&refusal.reason), "{refusal:?}");
        }
        eventually("ontology", || async { tenant.things().get_thing(GetThingRequest { id: thing.id.clone() }).await.ok() }).await;
    });
}

/// On ten connections of a hundred streams each, all dropped at the same moment: the gateway carries them to its services on few.
async fn a_client_that_drops_a_thousand_streams_costs_the_others_no_request(layout: Layout, engine: Engine) {
    let mesh = Mesh::start(layout, engine).await;
    let _shown = mesh.show_logs_of_a_failure();
    let (leaver, other) = (unlimited(&mesh).await, unlimited(&mesh).await);
    for _ in 0..3 {
        let connections: Vec<Caller> = (0..10).map(|_| leaver.reconnected(mesh.gateway())).collect();
        let mut streams = Vec::new();
        for connection in &connections {
            streams.extend(join_all((0..100).map(|_| connection.watch(From::Now(true)))).await); // fewer at once than there are places
        }
        let calls = join_all((0..200).map(async |number| {
            if number % 2 == 0 { create(&other, product("A")).await.map(drop) } else { other.keys().get_caller(GetCallerRequest {}).await.map(drop) }
        }));
        let leave = async {
            tokio::task::yield_now().await;
            drop(streams);
        };
        let (answers, ()) = tokio::join!(calls, leave);
        let failed: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
}

#[test]
fn a_client_that_drops_a_thousand_streams_costs_the_others_no_request_in_one_process() {
    run(Layout::OneProcess, Engine::Sqlite, |_| {
        a_client_that_drops_a_thousand_streams_costs_the_others_no_request(Layout::OneProcess, Engine::Sqlite)
    });
}

#[test]
fn a_client_that_drops_a_thousand_streams_costs_the_others_no_request_in_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| a_client_that_drops_a_thousand_streams_costs_the_others_no_request(Layout::Split, Engine::Postgres));
}

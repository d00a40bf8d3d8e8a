//! What an operator reads on the admin port, and asks on the command line.

use crate::support::never;
use contract::{Reason, ontology::v1::GetThingRequest};
use http::{Method, StatusCode};
use std::net::SocketAddr;
use tests::{
    Engine, Layout, Mesh, Process, Refuses, Role, eventually, on_every_mesh,
    peer::Peer,
    raw::{Answer, Raw},
    run,
};

const ROLES: [Role; 4] = [Role::Gateway, Role::Identity, Role::Ontology, Role::Events];

async fn page(admin: SocketAddr, path: &str) -> Answer {
    Raw::new(Method::GET, path, "").http1(admin).await
}

/// How often calls of that method ended so, as the process says.
async fn counted(admin: SocketAddr, method: &str, code: &str) -> u64 {
    let page = page(admin, "/metrics").await;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let wanted = [format!("rpc_method=\"{method}\""), format!("rpc_response_status_code=\"{code}\""), "rpc_system_name=\"grpc\"".to_owned()];
    let line = text.lines().find(|line| line.starts_with("rpc_server_call_duration_seconds_count{") && wanted.iter().all(|part| line.contains(part)));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

on_every_mesh![each_process_lives_and_is_ready, each_process_counts_its_calls,];

async fn each_process_lives_and_is_ready(mesh: Mesh) {
    for role in ROLES {
        for path in ["/livez", "/readyz"] {
            let answer = page(mesh.admin(role, 0), path).await;
            assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, b"ok".as_slice()), "{role:?} {path}");
        }
        assert_eq!(page(mesh.admin(role, 0), "/").await.status, StatusCode::NOT_FOUND);
    }
}

async fn each_process_counts_its_calls(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    tenant.create("A").await;
    let unknown = tenant.things().get_thing(GetThingRequest { id: never() }).await.refused();
    assert_eq!(unknown.reason, Reason::ThingNotFound);
    for role in [Role::Gateway, Role::Ontology] {
        for (method, code) in [("CreateThing", "OK"), ("GetThing", "NOT_FOUND")] {
            let method = format!("one.ontology.v1.ThingService/{method}");
            eventually(&format!("{method} {code} to be counted by {role:?}"), || async {
                (counted(mesh.admin(role, 0), &method, code).await > 0).then_some(())
            })
            .await;
        }
    }
}

#[test]
fn in_one_process_a_call_is_counted_once() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let (owner, admin) = (mesh.owner(), mesh.admin(Role::Gateway, 0));
        for number in 1..=3 {
            owner.create("A").await;
            let count = async || counted(admin, "one.ontology.v1.ThingService/CreateThing", "OK").await;
            eventually("the call to be counted", || async { (count().await >= number).then_some(()) }).await;
            assert_eq!(count().await, number);
        }
    });
}

#[test]
fn a_gateway_that_hears_nothing_of_identity_is_not_ready() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let mesh = Mesh::start(Layout::Split, Engine::Postgres).await;
        let _shown = mesh.show_logs_of_a_failure();
        let owner = mesh.owner();
        owner.who_am_i().await;
        mesh.kill(Role::Identity, 0);
        let ready = async || page(mesh.admin(Role::Gateway, 0), "/readyz").await;
        let answer = eventually("the gateway not to be ready", || async {
            let answer = ready().await;
            (answer.status == StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
        })
        .await;
        assert!(answer.body.starts_with(b"waiting for "), "{answer:?}");
        assert_eq!(page(mesh.admin(Role::Gateway, 0), "/livez").await.status, StatusCode::OK);
        mesh.start_again(Role::Identity, 0);
        eventually("the gateway to be ready", || async { (ready().await.status == StatusCode::OK).then_some(()) }).await;
        owner.who_am_i().await;
    });
}

#[test]
fn healthcheck_and_check_say_by_their_exit_whether_it_is_well() {
    run(Layout::OneProcess, Engine::Sqlite, |mesh| async move {
        let ask = |command: &str, admin: String| {
            let data = mesh.data(Role::Gateway, 0).display().to_string();
            let settings = [("ONE_DATA_DIR".to_owned(), data), ("ONE_ADMIN_ADDR".to_owned(), admin)];
            Process::spawn("onemesh", &[command], &settings).wait()
        };
        let here = mesh.admin(Role::Gateway, 0).to_string();
        for command in ["healthcheck", "check"] {
            let exit = ask(command, here.clone());
            assert_eq!((exit.code, exit.stderr.as_str()), (Some(0), ""), "{command}: {exit:?}");
        }
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let exit = ask("healthcheck", nobody.to_string());
        assert!(exit.code.is_some_and(|code| code != 0) && exit.stderr.contains("does not answer"), "{exit:?}");
    });
}

/// Who holds its connections and says nothing keeps nobody else out, and not for long: prober and collector come back.
#[test]
fn silent_peers_of_the_admin_port_are_few_and_closed() {
    const MANY: usize = 64;
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let admin = mesh.admin(Role::Gateway, 0);
        let process = mesh.look(Role::Gateway, 0, Process::id);
        let open = || std::fs::read_dir(format!("/proc/{process}/fd")).expect("it lives").count();
        let (before, mut silent) = (open(), Vec::new());
        for _ in 0..MANY {
            silent.push(Peer::connect(admin).await);
        }
        assert_eq!(page(admin, "/livez").await.status, StatusCode::OK);
        assert!(open() < before + MANY, "all of them are held");
        for peer in silent {
            assert_eq!(peer.end().await, None, "closed, as it has promised nothing");
        }
    });
}

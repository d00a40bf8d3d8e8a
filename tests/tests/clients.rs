//! Clients in other languages, with code generated from our protos, and grpcurl as the README shows it.

use crate::watch::settled;
use std::process::Command;
use tests::{Mesh, on_every_mesh, tools};

/// Runs a program that knows the mesh from its environment; what it printed is shown if it fails.
async fn succeeds(mesh: &Mesh, mut command: Command) {
    let (one, two) = (settled(mesh).await, mesh.tenant().await);
    command.env("ONE_TEST_GATEWAY", mesh.gateway().to_string()).env("ONE_TEST_KEY", one.key()).env("ONE_TEST_OTHER_KEY", two.key());
    let out = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{}\n{stdout}\n{stderr}", out.status);
}

fn grpcurl(mesh: &Mesh, arguments: &[&str]) -> String {
    let tools = tools::installed("target/tools");
    let program =
        std::fs::read_dir(tools).unwrap().filter_map(|file| Some(file.ok()?.path())).find(|path| path.display().to_string().contains("grpcurl-v"));
    let mut command = Command::new(program.expect("tests/install makes it"));
    let (options, rest) = arguments.split_at(arguments.iter().position(|&argument| argument == "@").expect("where the address stands"));
    command.arg("-plaintext").args(options).arg(mesh.gateway().to_string()).args(&rest[1..]);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

on_every_mesh![python_with_grpcio, node_with_grpc_js_and_grpc_web, grpcurl_as_the_readme_shows_it,];

async fn python_with_grpcio(mesh: Mesh) {
    let mut command = Command::new(tools::installed("tests/python/.venv/bin/python"));
    command.arg(tools::repository().join("tests/python/suite.py")).env("PYTHONPATH", tools::installed("target/clients/python"));
    succeeds(&mesh, command).await;
}

async fn node_with_grpc_js_and_grpc_web(mesh: Mesh) {
    tools::installed("target/clients/node/one");
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=spec"]).arg(tools::repository().join("tests/node/suite.test.js"));
    succeeds(&mesh, command).await;
}

async fn grpcurl_as_the_readme_shows_it(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let services = grpcurl(&mesh, &["@", "list"]);
    for service in contract::methods().public_services() {
        assert!(services.contains(service), "{services}");
    }
    assert!(!services.contains("one.internal"), "{services}");

    let described = grpcurl(&mesh, &["@", "describe", "one.ontology.v1.ThingService"]);
    assert!(described.contains("// Creates a thing in the acting group."), "comments: {described}");
    assert!(described.contains("ACCESS_CALLER") && described.contains("/api/v1/things"), "options: {described}");

    let bearer = format!("authorization: Bearer {}", tenant.key());
    let made = grpcurl(
        &mesh,
        &[
            "-H",
            &bearer,
            "-d",
            r#"{"thing": {"type": "product", "name": "Tea", "properties": {"price": 12}}}"#,
            "@",
            "one.ontology.v1.ThingService/CreateThing",
        ],
    );
    assert!(made.contains("\"Tea\""), "{made}");
    let api_key = format!("x-api-key: {}", tenant.key());
    let listed = grpcurl(&mesh, &["-H", &api_key, "-d", r#"{"filter": "properties.price < 20"}"#, "@", "one.ontology.v1.ThingService/ListThings"]);
    assert!(listed.contains("\"Tea\""), "{listed}");
}

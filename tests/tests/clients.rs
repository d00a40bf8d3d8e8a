//! Clients in other languages, with code generated from our protos, and grpcurl as the README shows it.

use crate::watch::settled;
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};
use tempfile::TempDir;
use tests::{Mesh, Process, on_every_mesh, tools};

/// Runs a program that knows the mesh from its environment; what it printed is shown if it fails.
async fn succeeds(mesh: &Mesh, mut command: Command) {
    let (one, two) = (settled(mesh).await, mesh.tenant().await);
    command.env("ONE_TEST_GATEWAY", mesh.gateway().to_string()).env("ONE_TEST_KEY", one.key()).env("ONE_TEST_OTHER_KEY", two.key());
    let out = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{}\n{stdout}\n{stderr}", out.status);
}

/// Where grpcurl is, under its own name.
fn path_with_grpcurl() -> (TempDir, String) {
    let tools = std::fs::read_dir(tools::installed("target/tools")).unwrap().filter_map(|file| Some(file.ok()?.path()));
    let program = tools.into_iter().find(|path| path.display().to_string().contains("grpcurl-v")).expect("tests/install makes it");
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink(program.canonicalize().unwrap(), folder.path().join("grpcurl")).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    (folder, path)
}

/// What a command of a shell prints, as a user would see it.
fn pasted(command: &str) -> String {
    let (_folder, path) = path_with_grpcurl();
    let out = Command::new("bash").args(["-ec", command]).env("PATH", path).output().unwrap();
    assert!(out.status.success(), "{command}\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs a command that does not end by itself until it has printed a text.
fn pasted_until(command: &str, text: &str) {
    let (_folder, path) = path_with_grpcurl();
    let mut child = Command::new("bash").args(["-c", &format!("exec {command}")]).env("PATH", path).stdout(Stdio::piped()).spawn().unwrap();
    tests::reaper::process(child.id());
    let printed = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).any(|line| line.contains(text));
    child.kill().unwrap();
    child.wait().unwrap();
    tests::reaper::ended(child.id());
    assert!(printed, "{command} ended, and never printed {text}");
}

/// The commands of the README's first calls, as they stand there, but for the address and the key.
fn first_calls(mesh: &Mesh, key: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(tools::repository().join("README.md")).unwrap();
    let (_, section) = readme.split_once("## First calls").expect("the README has it");
    let (_, block) = section.split_once("```sh\n").expect("a block");
    let (block, rest) = block.split_once("```").expect("its end");
    let describe = rest.split('`').find(|code| code.contains(" describe ")).expect("describe is named below");
    let of = |command: &str| command.replace("127.0.0.1:8080", &mesh.gateway().to_string()).replace("$KEY", key);
    let commands = block.replace("\\\n", " ");
    let mut commands: Vec<String> = commands.lines().filter(|line| line.starts_with("grpcurl")).map(of).collect();
    commands.push(of(describe));
    commands
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
    let tenant = settled(&mesh).await;
    let [list, create, list_things, watch, describe] = first_calls(&mesh, tenant.key()).try_into().expect("five commands");
    let services = pasted(&list);
    for service in contract::methods().public_services() {
        assert!(services.contains(service), "{services}");
    }
    assert!(!services.contains("one.internal"), "{services}");

    let made = pasted(&create);
    assert!(made.contains("\"Tea\"") && made.contains("\"price\": 12\n"), "{made}");
    let listed = pasted(&list_things);
    assert!(listed.contains("\"Tea\""), "{listed}");
    tokio::task::spawn_blocking(move || pasted_until(&watch, "entity_created")).await.unwrap();

    let described = pasted(&describe);
    assert!(described.contains("// Creates a thing in the acting group."), "comments: {described}");
    assert!(described.contains("ACCESS_CALLER") && described.contains("/api/v1/things"), "options: {described}");
}

/// The two commands that the first start prints.
#[test]
fn what_the_first_start_prints_can_be_pasted() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data").display().to_string();
    let settings = [("ONE_DATA_DIR", data.as_str()), ("ONE_GATEWAY_ADDR", "127.0.0.1:0"), ("ONE_ADMIN_ADDR", "127.0.0.1:0")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let process = Process::spawn("onemesh", &[], &settings);
    assert!(process.said_until("gateway  "), "{}", process.all());
    let commands: Vec<String> = process.all().lines().map(str::trim).filter(|line| line.starts_with("grpcurl")).map(str::to_owned).collect();
    let [list, create] = commands.try_into().expect("two commands");
    assert!(pasted(&list).contains("one.ontology.v1.ThingService"));
    assert!(pasted(&create).contains("\"Tea\""));
    assert_eq!(process.interrupt().code, Some(0));

    let second = Process::spawn("onemesh", &[], &settings);
    assert!(second.said_until("gateway  "), "{}", second.all());
    let exit = second.interrupt();
    assert!(exit.code == Some(0) && !exit.stdout.contains("org_") && !exit.stderr.contains("org_"), "{exit:?}");
}

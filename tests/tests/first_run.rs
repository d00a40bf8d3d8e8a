//! What a stranger sees who starts the binary.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{Caller, Engine, Exit, Layout, Mesh, Process, Role, read_key, run};

fn settings(folder: &Path, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let data = folder.join("data").display().to_string();
    let base = [("ONE_DATA_DIR", data.as_str()), ("ONE_GATEWAY_ADDR", "127.0.0.1:0"), ("ONE_ADMIN_ADDR", "127.0.0.1:0"), ("ONE_LOG_FORMAT", "json")];
    base.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn start(folder: &Path) -> Process {
    Process::spawn("onemesh", &[], &settings(folder, &[])).ready()
}

fn assert_clean(exit: &Exit) {
    assert_eq!(exit.code, Some(0), "{}{}", exit.stdout, exit.stderr);
    assert!(!exit.stderr.contains("panicked"), "{}", exit.stderr);
}

#[test]
fn the_first_start_makes_keys_that_only_their_owner_reads_and_shows_one_once() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let first = start(folder.path()).interrupt();
    assert_clean(&first);
    for file in ["owner.key", "platform.key", "secret"] {
        let mode = fs::metadata(data.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let (owner, platform) = (read_key(&data.join("owner.key")), read_key(&data.join("platform.key")));
    assert_eq!(first.stdout.matches(&owner).count(), 1, "{}", first.stdout);
    assert!(!first.stdout.contains(&platform) && !first.stderr.contains(&owner) && !first.stderr.contains(&platform));

    let begun = Instant::now();
    let second = start(folder.path());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "a second start of a debug build took {took:?}");
    let second = second.interrupt();
    assert_clean(&second);
    assert!(!second.stdout.contains("org_") && !second.stderr.contains("org_"), "{}", second.stdout);
    assert_eq!((read_key(&data.join("owner.key")), read_key(&data.join("platform.key"))), (owner, platform));
}

#[test]
fn people_are_shown_commands_to_paste() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path(), &[]);
    settings.retain(|(name, _)| name != "ONE_LOG_FORMAT");
    let process = Process::spawn("onemesh", &[], &settings);
    let data = folder.path().join("data/owner.key");
    let said = process.said_until("CreateThing");
    let exit = process.interrupt();
    assert_clean(&exit);
    assert!(said && exit.stdout.contains(" list") && exit.stdout.contains(&read_key(&data)), "{}", exit.stdout);
}

#[test]
fn the_first_organisation_is_the_owners_own() {
    run(Layout::OneProcess, Engine::Sqlite, |mesh| async move {
        let owner = mesh.owner().who_am_i().await;
        assert_eq!((owner.role.as_str(), owner.root_id == owner.group_id), ("group_owner", true));
        let limits: Vec<i64> = owner.limits.iter().map(|limit| limit.quota).collect();
        assert!(limits.iter().all(|quota| *quota == -1), "no limit on tier enterprise of one's own: {:?}", owner.limits);
        assert_eq!(mesh.platform().who_am_i().await.role, "platform_owner");
    });
}

#[test]
fn a_bad_setting_ends_with_64_and_a_sentence_before_a_port_is_open() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("bad.toml");
    fs::write(&file, "[gateway]\ncolour = \"red\"\n").unwrap();
    let file = file.display().to_string();
    for (arguments, more, names) in [
        (&[][..], &[("ONE_GATEWAY_ADDR", "nonsense")][..], "gateway.addr"),
        (&[], &[("ONE_DATABASE_URL", "mysql://localhost/one")], "database_url"),
        (&[], &[("ONE_BOOTSTRAP_TIER", "gold")], "bootstrap_tier"),
        (&[], &[("ONE_COLOUR", "red")], "ONE_COLOUR"),
        (&["--role", "cook"], &[], "cook"),
        (&["--role", "gateway"], &[], "secret"),
        (&["--role", "gateway"], &[("ONE_SECRET_FILE", "/nowhere/secret")], "/nowhere/secret"),
        (&["--config", "/nowhere.toml"], &[], "/nowhere.toml"),
        (&["--config", file.as_str()], &[], "colour"),
    ] {
        let exit = Process::spawn("onemesh", arguments, &settings(folder.path(), more)).wait();
        assert_eq!(exit.code, Some(64), "{names}: {}{}", exit.stdout, exit.stderr);
        assert!(
            exit.stderr.contains(names) && exit.stderr.starts_with("onemesh: ") && exit.stderr.trim().lines().count() == 1,
            "{names}: {}",
            exit.stderr
        );
        assert!(!exit.stdout.contains("listening"), "{names}: {}", exit.stdout);
    }
}

#[test]
fn a_secret_that_is_not_the_datas_ends_with_64() {
    let folder = TempDir::new().unwrap();
    start(folder.path()).interrupt();
    fs::write(folder.path().join("data/secret"), "ab".repeat(32)).unwrap();
    let exit = Process::spawn("onemesh", &[], &settings(folder.path(), &[])).wait();
    assert_eq!(exit.code, Some(64), "{}{}", exit.stdout, exit.stderr);
    assert!(exit.stderr.contains("secret"), "{}", exit.stderr);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let exit = Process::spawn("onemesh", &[], &settings(folder.path(), &[("ONE_GATEWAY_ADDR", &addr)])).wait();
    assert!(exit.code.is_some_and(|code| code != 0) && exit.stderr.contains(&addr), "{:?} {}", exit.code, exit.stderr);
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let owner = mesh.owner();
        let thing = owner.create("A").await;
        assert_clean(&mesh.take(Role::Gateway, 0).interrupt());
        mesh.start_again(Role::Gateway, 0);
        assert_eq!(Caller::new(mesh.gateway(), owner.key()).get(&thing.id).await, thing);
    });
}

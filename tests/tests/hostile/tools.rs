//! Others' tools, which `tests/install` builds: h2spec's conformance suite, and the interop client of grpc-go.

use std::{net::SocketAddr, process::Command};
use tests::{Engine, Layout, run, tools::installed};

/// What h2spec says of the binary that is not a fault, by the end of its case's name, with the reason.
const EXPLAINED: [(&str, &str); 1] = [(
    "Sends invalid connection preface",
    "the port speaks HTTP/1.1 too: it answers 400 in that, and closes; h2spec takes the answer for a broken frame",
)];

/// What may be a race that h2spec loses, by the end of its case's name: RFC 9113 §5.1 lets a server ignore the windows of a stream it has
/// already ended, and a refusal that needs no body may be faster than h2spec's second frame. `a_window_beyond_all_bounds_resets_its_stream`
/// asks it of a stream that is open.
const RACES: [&str; 1] = ["increasing the flow control window to above 2^31-1 on a stream"];

/// The names of h2spec's cases that failed.
fn failures(report: &str) -> Vec<String> {
    let summary = report.split("Failures:").nth(1).unwrap_or_default();
    summary.lines().filter_map(|line| line.trim().strip_prefix('×')).map(|case| case.trim().to_owned()).collect()
}

/// Strictly, against a page and against an rpc.
#[test]
fn h2spec_finds_nothing_unexplained() {
    run(Layout::OneProcess, Engine::Sqlite, |mesh| async move {
        let gateway: SocketAddr = mesh.gateway();
        for path in ["/", "/one.identity.v1.KeyService/GetCaller"] {
            let run = Command::new(installed("target/tools/h2spec-v2.2.1"))
                .args(["--strict", "--timeout", "20", "--host", &gateway.ip().to_string(), "--port", &gateway.port().to_string(), "--path", path])
                .output()
                .expect("it runs");
            let report = String::from_utf8_lossy(&run.stdout);
            assert!(report.contains("146 tests"), "all cases of that version ran: {report}");
            let mut failed = failures(&report);
            failed.retain(|case| !RACES.iter().any(|name| case.ends_with(name)));
            let unexplained: Vec<&String> = failed.iter().filter(|case| !EXPLAINED.iter().any(|(name, _)| case.ends_with(name))).collect();
            assert!(unexplained.is_empty(), "{path}: {unexplained:?}\n{report}");
            assert_eq!(failed.len(), EXPLAINED.len(), "{path}: an explanation is no longer needed: {failed:?}");
        }
    });
}

/// The cases of the official client that need no `grpc.testing.TestService`; the others run against our listener, in chassis.
#[test]
fn the_interop_client_is_told_what_there_is_not() {
    run(Layout::OneProcess, Engine::Sqlite, |mesh| async move {
        for case in ["unimplemented_method", "unimplemented_service"] {
            let gateway = mesh.gateway();
            let run = Command::new(installed("target/tools/interop_client-v1.76.0"))
                .args(["--server_host", &gateway.ip().to_string(), "--server_port", &gateway.port().to_string(), "--test_case", case])
                .output()
                .expect("it runs");
            assert!(run.status.success(), "{case}: {}", String::from_utf8_lossy(&run.stderr));
        }
    });
}

//! The official interop client (grpc-go's, which `tests/install` builds) against our listener and strict stack.
//!
//! The cases that need what we have not are left out: credentials of Google's (`compute_engine_*`, `*_creds`, `google_default_credentials`,
//! `oauth2_auth_token`), load reports (`orca_*`), and the soaks, which measure time.
#![allow(clippy::unwrap_used)]

mod messages;
mod service;

use std::path::Path;
use std::process::Command;

use chassis::serve::{Limits, grpc, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/interop_client-v1.76.0");

const CASES: [&str; 14] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_case_that_applies_passes() {
    assert!(Path::new(CLIENT).exists(), "{CLIENT} is not there: run tests/install, or `make test`");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let limits = Limits::public();
    let app = grpc(service_fn(service::answer), &limits, service::LONG.map(str::to_owned));
    tokio::spawn(serve(listener, app, limits, CancellationToken::new()));
    let mut failed = Vec::new();
    for case in CASES {
        let arguments = ["--server_host=127.0.0.1", "--server_port", &port, "--test_case", case].map(str::to_owned);
        let run = tokio::task::spawn_blocking(move || Command::new(CLIENT).args(arguments).output().unwrap()).await.unwrap();
        if !run.status.success() {
            failed.push(format!("{case}: {}", String::from_utf8_lossy(&run.stderr)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

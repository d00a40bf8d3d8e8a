//! A process that panics says where, in its log and with its trace, and nothing of what the panic says. The hook is the process's, so the
//! process under test is this binary once more.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use chassis::telemetry::{Format, Settings, Telemetry, Trace};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

const CANARY: &str = "canary4711";

/// With words that quote a value.
fn break_down() {
    panic!("no such thing: {CANARY}");
}

/// How a process that did this ended, and what it said.
fn said(test: &str, backtrace: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--ignored", "--nocapture"]).env("RUST_BACKTRACE", backtrace).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && !said.contains(CANARY), "{said}");
    said
}

#[tokio::test]
#[ignore = "run by the tests below"]
async fn a_process_that_panics_in_a_call() {
    chassis::panics::say_where();
    Telemetry::start(&Settings { name: "one-test".into(), filter: "info".into(), format: Format::Json }).unwrap();
    let headers = HeaderMap::from_iter([(
        http::HeaderName::from_static("traceparent"),
        HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    )]);
    tokio::spawn(Trace::server("one.test.v1.Test/Break", &headers).run(async { break_down() })).await.unwrap_err();
}

#[test]
#[ignore = "run by the tests below"]
fn a_process_that_panics_without_a_log() {
    chassis::panics::say_where();
    std::thread::Builder::new().name("frail".into()).spawn(break_down).unwrap().join().unwrap_err();
}

#[test]
fn the_log_has_the_place_and_the_trace_of_a_panic_and_not_its_words() {
    for (backtrace, functions) in [("0", false), ("1", true)] {
        let said = said("a_process_that_panics_in_a_call", backtrace);
        let line: Value = serde_json::from_str(said.lines().find(|line| line.contains("panicked")).unwrap()).unwrap();
        assert_eq!((&line["level"], &line["trace_id"]), (&"ERROR".into(), &"4bf92f3577b34da6a3ce929d0e0e4736".into()));
        assert!(line["place"].as_str().unwrap().contains("tests/panics.rs:"), "{line}");
        assert_eq!(line["backtrace"].as_str().is_some_and(|backtrace| backtrace.contains("break_down")), functions, "{line}");
    }
}

#[test]
fn before_there_is_a_log_standard_error_has_the_thread_and_the_place() {
    let said = said("a_process_that_panics_without_a_log", "0");
    assert!(said.contains("onemesh: thread frail panicked at ") && said.contains("tests/panics.rs:"), "{said}");
}

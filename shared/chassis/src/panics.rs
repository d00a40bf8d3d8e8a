//! What a process says of its panics: where, and never what. A panic's own words may quote a value (`unwrap` shows the error, a slice its text),
//! and a value may be somebody's secret.

use std::{
    backtrace::{Backtrace, BacktraceStatus::Captured},
    panic::{self, PanicHookInfo},
    thread,
};
use tracing::{Level, field::display};

/// From now on, instead of the standard hook, which writes the words to standard error. Before anything else in a process: whoever reads
/// settings may panic too.
pub fn say_where() {
    panic::set_hook(Box::new(say));
}

fn say(panic: &PanicHookInfo<'_>) {
    let current = thread::current();
    let thread = current.name().unwrap_or("unnamed");
    let place = panic.location().expect("Rust gives every panic one today");
    let backtrace = Backtrace::capture(); // functions and lines, when RUST_BACKTRACE asks for them
    let backtrace = (backtrace.status() == Captured).then(|| display(&backtrace));
    if tracing::enabled!(Level::ERROR) {
        tracing::error!(thread, %place, backtrace, "panicked");
    } else {
        eprintln!("onemesh: thread {thread} panicked at {place}"); // there is no log yet, or nothing of it is asked for
    }
}

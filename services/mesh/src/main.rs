//! The binary `onemesh`: the only crate that knows every room, and wires the roles together.
//!
//! One process holds all roles, or each its own: [`settings`] say which. [`house`] builds the rooms of this process and the ways to the
//! others, [`doors`] opens its ports, and the end is a drain that always ends. Nothing here knows what a service does.

mod announce;
mod command;
mod doors;
mod failure;
mod front;
mod house;
mod operate;
mod pulse;
mod role;
mod settings;
mod stores;
mod vital;
mod workers;

use clap::Parser;
use command::{Arguments, Command};
use failure::Failure;
use settings::Settings;
use std::process::ExitCode;

// glibc's allocator costs a fifth more CPU on the path of a call (STACK.md §3).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    chassis::panics::say_where();
    match start(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}

fn start(arguments: &Arguments) -> Result<(), Failure> {
    let settings = Settings::read(arguments, std::env::vars()).map_err(Failure::Setting)?;
    let runtime = workers::runtime(settings.is_on_sqlite()).map_err(|error| Failure::start(format!("the runtime does not start: {error}")))?;
    let outcome = runtime.block_on(async {
        match arguments.command {
            None => house::serve(settings).await,
            Some(Command::Migrate) => operate::migrate(&settings).await,
            Some(Command::Check) => operate::check(&settings).await,
            Some(Command::Healthcheck) => operate::healthcheck(&settings).await,
        }
    });
    runtime.shutdown_background(); // what blocks now (a hash, a resolver) has nobody waiting for it
    outcome
}

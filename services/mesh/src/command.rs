//! The command line.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// A complete multi-tenant backend over gRPC: serves, unless a command says otherwise.
///
/// Every setting stands with its meaning in services/mesh/defaults.toml, and can be set in a file or as ONE_… in the environment.
#[derive(Debug, Parser)]
#[command(name = "onemesh", version)]
pub(crate) struct Arguments {
    /// A TOML file of settings, over the defaults and below the environment.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// What this process does: gateway, identity, ontology, events. May be given several times; none is all.
    #[arg(long, value_name = "ROLE", global = true)]
    pub(crate) role: Vec<String>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Command {
    /// Brings the tables up to date and ends.
    Migrate,
    /// Checks settings, secret and tables, and ends: 0 if they fit.
    Check,
    /// Asks a running process, on its admin port, whether it is ready: 0 if so, else 1.
    Healthcheck,
}

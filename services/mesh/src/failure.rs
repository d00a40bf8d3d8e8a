//! Why a process ends, and with which code.

use std::{fmt::Display, process::ExitCode};

/// What is wrong with how it was started, as `sysexits.h` counts: EX_USAGE.
const USAGE: u8 = 64;

/// One sentence for the operator.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A setting, or a secret that does not fit the data: the next start fails as well.
    Setting(String),
    /// What this process needs is not there now: a port, a database, a disk.
    Start(String),
}

impl Failure {
    pub(crate) fn setting(sentence: impl Display) -> Self {
        Failure::Setting(sentence.to_string())
    }

    pub(crate) fn start(sentence: impl Display) -> Self {
        Failure::Start(sentence.to_string())
    }

    /// Says it on standard error.
    pub(crate) fn exit(self) -> ExitCode {
        let (code, sentence) = match self {
            Failure::Setting(sentence) => (ExitCode::from(USAGE), sentence),
            Failure::Start(sentence) => (ExitCode::FAILURE, sentence),
        };
        eprintln!("onemesh: {sentence}");
        code
    }
}

impl From<store::OpenError> for Failure {
    fn from(error: store::OpenError) -> Self {
        match error {
            store::OpenError::Url | store::OpenError::Schema(_) => Failure::setting(error),
            store::OpenError::Migrate(store::migrate::Error::Store { .. }) | store::OpenError::Store(_) => Failure::start(error),
            store::OpenError::Migrate(_) => Failure::setting(error),
        }
    }
}

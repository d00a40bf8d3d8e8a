//! The threads that serve.

use std::{io, num::NonZero, thread::available_parallelism};
use tokio::runtime::{Builder, Runtime};

/// A worker for each core, or as many as tokio's own `TOKIO_WORKER_THREADS` says. Over SQLite one less: its connections are threads as well
/// and have half of the work. With a worker too many each answer of theirs wakes two, and the second finds nothing: 1,667 calls a second
/// took a tenth more, GetThing on two cores as well.
pub(crate) fn runtime(on_sqlite: bool) -> io::Result<Runtime> {
    let mut runtime = Builder::new_multi_thread();
    if on_sqlite && std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        runtime.worker_threads(beside_sqlite(available_parallelism().map_or(1, NonZero::get)));
    }
    runtime.enable_all().build()
}

fn beside_sqlite(cores: usize) -> usize {
    (cores - 1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_has_a_core_unless_there_is_only_one() {
        assert_eq!([1, 2, 3, 16].map(beside_sqlite), [1, 1, 2, 15]);
    }
}

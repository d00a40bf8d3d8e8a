//! Ports for processes that may be started again where they were.

use std::{
    collections::HashSet,
    net::{SocketAddr, TcpListener},
    ops::Range,
    sync::{LazyLock, Mutex, PoisonError},
};

/// Below those that the system gives to whoever connects: one of them may be in use when its process comes back, by anybody's connection,
/// even by that of a client that tried to reach it. `tests/postgres` and `tests/redis` choose above.
const PORTS: Range<u16> = 10_000..20_000;

static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// An address on this machine that nobody listens on, given once.
///
/// # Panics
/// If none is free.
pub(crate) fn free() -> SocketAddr {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    // Other suites may run on this machine: each begins somewhere else.
    let number = u16::try_from(uuid::Uuid::new_v4().as_u128() % PORTS.len() as u128).expect("less than the ports");
    let tried = PORTS.skip(number.into()).chain(PORTS);
    let port = tried.into_iter().find(|port| !given.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let port = port.expect("a free port");
    given.insert(port);
    ([127, 0, 0, 1], port).into()
}

//! A pool that outlives its server.
//!
//! sqlx's own pool hides the difference between a server that is busy and one that is away, gives out connections that a failover has left
//! behind (they answer, but read only), and waits for ever when one that it takes back does not answer. So whoever finds a connection broken
//! puts a fresh pool in the place of this one, and whoever waits for long has the server probed, by one prober for all. While that finds
//! nobody, callers are told so at once.

use super::held::Held;
use crate::engine::{Error, Limits, Result};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgPool, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    io,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{AcqRel, Relaxed, Release},
        },
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

/// An idle connection is tried before use; one that worked a moment ago is not.
const FRESH: Duration = Duration::from_secs(1);
/// After so long a wait it is asked whether the server is there at all.
const SLOW: Duration = Duration::from_millis(500);
/// What a server that is there needs at most to take a connection.
const PROBE: Duration = Duration::from_secs(2);
/// Between two probes, and between two pools.
const PAUSE: Duration = Duration::from_millis(200);
/// How long connections may take to close. One whose server is gone never does.
const CLOSE: Duration = Duration::from_secs(2);

/// Clones are the same pool.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    limits: Limits,
    current: RwLock<Current>,
    /// Why the server is away, if it is.
    away: watch::Sender<Option<Arc<sqlx::Error>>>,
    probing: AtomicBool,
    began: Instant,
    /// When a connection was last given out, in microseconds from `began`: not for long means that the pool is stuck, not busy.
    given: AtomicU64,
}

/// sqlx's pool of today, and the how manieth it is.
#[derive(Clone)]
struct Current {
    pool: PgPool,
    number: u64,
    since: Instant,
}

impl Pool {
    /// To a server that answers: a pool's own first attempt would say no more than that it took too long.
    pub(crate) async fn open(options: PgConnectOptions, limits: Limits) -> Result<Self> {
        let first = timeout(limits.patience, options.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        first.map_err(Error::not_kept)?.close().await.map_err(Error::not_kept)?;
        let current = Current { pool: fresh(&options, limits), number: 0, since: Instant::now() };
        let (away, probing, began, given) = (watch::Sender::new(None), AtomicBool::new(false), Instant::now(), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { options, limits, current: RwLock::new(current), away, probing, began, given })))
    }

    /// A connection, for one statement.
    pub(crate) async fn acquire(&self) -> Result<Held<PoolConnection<Postgres>>> {
        self.get(|pool| async move { pool.acquire().await }).await
    }

    /// A transaction that begins with this text.
    pub(crate) async fn begin(&self, text: &str) -> Result<Held<Transaction<'static, Postgres>>> {
        self.get(|pool| async move { pool.begin_with(AssertSqlSafe(text.to_owned())).await }).await
    }

    /// Tries again, once, on a fresh pool when it was given a broken connection: nothing was done on it.
    async fn get<T, F: Future<Output = sqlx::Result<T>>>(&self, ask: impl Fn(PgPool) -> F) -> Result<Held<T>> {
        let mut again = true;
        loop {
            let (Current { pool, number, .. }, asked_at) = (self.current(), self.micros());
            if let Some(cause) = &*self.0.away.borrow() {
                return Err(Error::NotKept(cause.clone()));
            }
            let asked = tokio::select! { biased;
                asked = ask(pool) => asked,
                error = self.gone() => return Err(error),
            };
            match asked {
                Ok(taken) => {
                    self.0.given.store(self.micros(), Relaxed);
                    return Ok(Held::new(taken, self.clone(), number));
                }
                Err(sqlx::Error::PoolTimedOut) if !self.is_stuck(asked_at) => return Err(Error::Busy),
                Err(cause) if again && self.is_another(&cause, number) => again = false,
                Err(cause) => return Err(Error::not_kept(stuck(cause))),
            }
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Nobody got a connection since then, nor for longer than an honest transaction holds one.
    fn is_stuck(&self, since: u64) -> bool {
        let given = self.0.given.load(Relaxed);
        let quiet = Duration::from_micros(self.micros().saturating_sub(given));
        given < since && quiet >= self.0.limits.loan * 2
    }

    /// Whether there is another pool than the one with that number, after what one of its connections said.
    fn is_another(&self, cause: &sqlx::Error, number: u64) -> bool {
        if matches!(cause, sqlx::Error::PoolTimedOut) {
            self.renew(number); // nobody got a connection: those who hold them wait for a server that is gone
            return false;
        }
        self.saw(cause, number);
        self.current().number != number
    }

    /// Hears what a connection of the pool with that number failed with.
    pub(super) fn saw(&self, cause: &sqlx::Error, number: u64) {
        if is_broken(cause) {
            self.renew(number);
            self.probe();
        }
    }

    /// Ready when the server is found away; it is looked for only after a while.
    pub(super) async fn gone(&self) -> Error {
        let mut away = self.0.away.subscribe();
        loop {
            sleep(SLOW).await;
            self.probe();
            if let Ok(Ok(cause)) = timeout(SLOW, away.wait_for(Option::is_some)).await
                && let Some(cause) = &*cause
            {
                return Error::NotKept(cause.clone());
            }
        }
    }

    fn current(&self) -> Current {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A fresh pool in the place of that one. The old one's idle connections are closed, the others when they come back.
    fn renew(&self, number: u64) {
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        let closing = current.pool.is_closed();
        if closing || current.number != number || (number > 0 && current.since.elapsed() < PAUSE) {
            return;
        }
        let next = Current { pool: fresh(&self.0.options, self.0.limits), number: number + 1, since: Instant::now() };
        let old = std::mem::replace(&mut *current, next);
        tokio::spawn(async move { old.pool.close().await });
    }

    /// Looks whether the server is there, unless somebody does already.
    fn probe(&self) {
        if !self.0.probing.swap(true, AcqRel) {
            tokio::spawn(prober(Arc::downgrade(&self.0)));
        }
    }

    pub(crate) async fn close(&self) {
        let pool = self.current().pool;
        timeout(CLOSE, pool.close()).await.ok();
    }
}

/// Until the server is found.
async fn prober(pool: Weak<Inner>) {
    while let Some(inner) = pool.upgrade() {
        let pool = Pool(inner);
        if pool.current().pool.is_closed() || pool.found().await {
            pool.0.probing.store(false, Release);
            return;
        }
        drop(pool);
        sleep(PAUSE).await;
    }
}

impl Pool {
    async fn found(&self) -> bool {
        let given = self.0.given.load(Relaxed);
        let probed = timeout(PROBE, self.0.options.connect()).await;
        let late = probed.is_err();
        let probed = probed.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
        match probed {
            Ok(connection) => drop(connection.close().await),
            // A machine that has more to do than it can is late as well, but its pool goes round.
            Err(cause) if is_broken(&cause) && !(late && given != self.0.given.load(Relaxed)) => {
                self.leave(cause);
                return false;
            }
            Err(cause) => tracing::warn!(%cause, "Postgres is there, and takes no connection"),
        }
        self.come_back();
        true
    }

    fn leave(&self, cause: sqlx::Error) {
        self.0.away.send_if_modified(|away| {
            let news = away.is_none();
            if news {
                tracing::warn!(%cause, "Postgres is away");
                *away = Some(Arc::new(cause));
            }
            news
        });
    }

    /// Connections from before may wait for ever, or speak to a server that is none any more.
    fn come_back(&self) {
        if self.0.away.borrow().is_some() {
            tracing::info!("Postgres is back");
            self.renew(self.current().number);
            self.0.away.send_replace(None);
        }
    }
}

fn fresh(options: &PgConnectOptions, limits: Limits) -> PgPool {
    PgPoolOptions::new()
        .max_connections(limits.connections)
        .acquire_timeout(limits.patience)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options.clone())
}

/// No word of how long was waited for what.
fn stuck(cause: sqlx::Error) -> sqlx::Error {
    match cause {
        sqlx::Error::PoolTimedOut => io::Error::new(io::ErrorKind::TimedOut, "no connection came back").into(),
        other => other,
    }
}

/// The connection, and probably its neighbours, are of no use any more: it was lost or shut down, or its server has become a replica.
fn is_broken(cause: &sqlx::Error) -> bool {
    match cause {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(database) => {
            database.code().is_some_and(|code| code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "57P05" | "25006"))
        }
        _ => false,
    }
}

//! The one connection, and the one prober that brings it back.

use super::{Away, Call, Decisions, Lua};
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult, aio::MultiplexedConnection};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long dialling may take, at the start and by the prober.
const DIAL: Duration = Duration::from_secs(1);
/// The first pause of the prober, and the longest: each is twice the one before, and half of it up or down by chance.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// What every connection is told before it is used.
const SCRIPTS: [&Lua; 4] = [&crate::limiter::TAKE, &crate::limiter::MERGE, &crate::guard::ENTER, &crate::guard::LEAVE];

/// The way to Redis, as it stands.
pub struct Link {
    client: Client,
    patience: Duration,
    state: RwLock<State>,
    broken: Notify,
    decisions: Decisions,
}

/// Who has something to tell a Redis that is there again.
pub(crate) trait Recover: Sync {
    /// Tells it.
    fn recover(&self, connection: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<()>> + Send;
}

#[derive(Default)]
struct State {
    /// Which connection it is: an answer that an old one fails to give says nothing of the present one.
    number: u64,
    connection: Option<MultiplexedConnection>,
}

/// The URL is none. It is not shown: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUrl;

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it must be redis://[user:password@]host:port[/database], rediss:// with TLS, or redis+unix:///socket")
    }
}

impl std::error::Error for BadUrl {}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("connected", &self.is_connected()).finish_non_exhaustive()
    }
}

impl Link {
    /// Dials once, within a second; whether somebody answered or not, [`Link::keep`] does the rest. An answer is waited for as long as
    /// `patience`.
    ///
    /// # Errors
    /// The URL is none.
    pub async fn open(url: &str, patience: Duration, decisions: Decisions) -> Result<Arc<Self>, BadUrl> {
        let client = Client::open(url).map_err(|_| BadUrl)?;
        let link = Self { client, patience, state: RwLock::default(), broken: Notify::new(), decisions };
        match link.dial().await {
            Ok(connection) => link.connect(connection),
            Err(error) => link.is_away(&error),
        }
        Ok(Arc::new(link))
    }

    /// Where decisions without Redis are counted.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// Whether questions are asked at all now.
    pub fn is_connected(&self) -> bool {
        self.state().connection.is_some()
    }

    /// The script's answer, soon or not at all.
    ///
    /// # Errors
    /// Nobody answered in time, or with an error. What was asked may have been done all the same.
    pub(crate) async fn ask<T: FromRedisValue>(&self, call: &Call<'_>) -> Result<T, Away> {
        let (number, connection) = {
            let state = self.state();
            (state.number, state.connection.clone())
        };
        let mut connection = connection.ok_or(Away)?;
        match timeout(self.patience, call.run(&mut connection)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.breaks(number, &error)),
            Err(late) => Err(self.breaks(number, &late)),
        }
    }

    /// Brings the connection back whenever it breaks, until `stop`. A new one is shown to `recover` before anybody uses it, and once more
    /// when all do: for what was decided alone in between.
    pub(crate) async fn keep(&self, stop: &CancellationToken, recover: &impl Recover) {
        while !stop.is_cancelled() {
            if self.is_connected() {
                stop.run_until_cancelled(self.broken.notified()).await;
            } else {
                stop.run_until_cancelled(self.probe(recover)).await;
            }
        }
    }

    async fn probe(&self, recover: &impl Recover) {
        let mut pause = PAUSE;
        loop {
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST);
            match self.recovered(recover).await {
                Ok(mut connection) => {
                    self.connect(connection.clone());
                    return drop(recover.recover(&mut connection).await); // if it fails, the next recovery does it
                }
                Err(error) => tracing::debug!(%error, "Redis is still away"),
            }
        }
    }

    async fn recovered(&self, recover: &impl Recover) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.dial().await?;
        recover.recover(&mut connection).await?;
        Ok(connection)
    }

    /// A connection that knows the scripts, so somebody is there who answers.
    async fn dial(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(DIAL)).set_response_timeout(Some(DIAL));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        for script in SCRIPTS {
            script.load(&mut connection).await?;
        }
        Ok(connection)
    }

    fn connect(&self, connection: MultiplexedConnection) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        *state = State { number: state.number + 1, connection: Some(connection) };
        drop(state);
        self.decisions.connected(true);
        tracing::info!("Redis answers: gateways count together");
    }

    /// Whoever notices first says so; the others of the same connection have nothing to add.
    fn breaks(&self, number: u64, why: &dyn fmt::Display) -> Away {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.number == number && state.connection.take().is_some() {
            drop(state);
            self.is_away(why);
            self.broken.notify_one();
        }
        Away
    }

    fn is_away(&self, why: &dyn fmt::Display) {
        self.decisions.connected(false);
        tracing::warn!(%why, "Redis does not answer: this gateway decides alone");
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Between half and one and a half of it, so that many gateways don't come in step.
fn jittered(pause: Duration) -> Duration {
    let chance = getrandom::u32().map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + chance)
}

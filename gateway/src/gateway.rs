//! The stack, built from its parts.

use crate::{
    address::Network,
    callers::Callers,
    guard::Guard,
    layer::{Authenticate, Authorize, BadOrigin, Deadline, Edge, Forward, Limit, OWN, Receive, Respond, Router, Service, Shed, Sizes, Tracing},
    limiter::Limiter,
    probe::Probe,
    record::{Recorder, Records},
    redis::Link,
    stack::{Next, Stacked, stack},
};
use chassis::{
    admin::{Need, Readiness},
    changes::{Feed, Identity, Rate},
    clock::Clock,
    health::Health,
    principal::Signer,
    reflection,
    room::Room,
    serve::{Answer, Limits},
    telemetry::Metrics,
    upstream::Upstream,
};
use contract::pool;
use futures::future::join_all;
use std::{fmt, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, service::Routes};

/// How often the lease is looked at for the readiness of this process.
const LOOK: Duration = Duration::from_millis(100);

/// All a gateway needs.
pub struct Options<I, L> {
    /// Who knows credentials and groups, [`Access`](chassis::changes::Access) as a rule.
    pub identity: Arc<I>,
    /// Who counts.
    pub limiter: Arc<L>,
    /// Where gateways tell each other who guesses; `None` is each for itself.
    pub redis: Option<Arc<Link>>,
    /// Keys the hashes of credentials; the same in all gateways of one mesh.
    pub secret: [u8; 32],
    /// The services behind it.
    pub services: Vec<Service>,
    /// Signs for them.
    pub signer: Signer,
    /// The time.
    pub clock: Clock,
    /// Bounds of headers, messages, and calls at once; the listener's own.
    pub limits: Limits,
    /// Calls that may wait for a place among those that `limits` lets go on at once, shared by the organisations whose they are.
    pub waiting: usize,
    /// What a client without a credential may do.
    pub address: Rate,
    /// Pages of these origins may call it; `*` alone is all of them, without credentials.
    pub origins: Vec<String>,
    /// Proxies whose `x-forwarded-for` is believed.
    pub proxies: Vec<Network>,
    /// Tools may ask what there is.
    pub reflection: bool,
    /// What this process needs to be ready; the feed's lease joins it.
    pub readiness: Readiness,
    /// Where calls are counted.
    pub metrics: Option<Metrics>,
}

/// What keeps a gateway true while it answers.
pub struct Gateway<L> {
    feed: Arc<Feed>,
    limiter: Arc<L>,
    health: Health,
    lease: Need,
    readiness: Readiness,
    probes: Vec<Probe>,
    recorder: Arc<Recorder>,
    records: Option<Records>,
}

/// Why a gateway cannot be built.
#[derive(Debug)]
pub enum Error {
    /// An origin of the settings is none.
    Origin(BadOrigin),
    /// The operating system has no random bytes.
    Random(getrandom::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Origin(bad) => bad.fmt(f),
            Error::Random(error) => write!(f, "the operating system gives no random bytes: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<BadOrigin> for Error {
    fn from(bad: BadOrigin) -> Self {
        Self::Origin(bad)
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error)
    }
}

/// The service for [`serve`](chassis::serve::serve), and what has to run beside it.
///
/// # Errors
/// An origin that is none.
pub async fn build<I, L>(options: Options<I, L>) -> Result<(impl Answer<Body = Body> + use<I, L>, Gateway<L>), Error>
where
    I: Identity,
    L: Limiter,
{
    let feed = Feed::new(options.clock.clone());
    let (recorder, records) = Recorder::new(options.clock.clone());
    if let Some(metrics) = &options.metrics {
        count_dropped(metrics, &recorder);
    }
    let (health, own) = own(&options).await;
    let gateway = Gateway {
        probes: options.services.iter().map(|service| Probe::new(service, &health)).collect(),
        lease: options.readiness.needs("the change feed of identity"),
        readiness: options.readiness.clone(),
        limiter: options.limiter.clone(),
        feed: feed.clone(),
        health,
        recorder: recorder.clone(),
        records: Some(records),
    };
    Ok((Stacked::new(layers(options, own, &feed, recorder)?), gateway))
}

/// Requests that are not on record.
fn count_dropped(metrics: &Metrics, recorder: &Arc<Recorder>) {
    let recorder = recorder.clone();
    let meter = metrics.meter();
    let counter = meter.u64_observable_counter("one.request_log.dropped");
    let counter = counter.with_description("Requests that had to give way before the events service took them.");
    counter.with_callback(move |observed| observed.observe(recorder.dropped(), &[])).build();
}

/// Outside first. A layer's place is part of what it does; the reasons stand beside the lines.
fn layers<I: Identity, L: Limiter>(
    options: Options<I, L>,
    own: Upstream,
    feed: &Arc<Feed>,
    recorder: Arc<Recorder>,
) -> Result<impl Next + use<I, L>, Error> {
    let Options { identity, limiter, redis, secret, services, signer, clock, limits, waiting, address, origins, proxies, readiness, metrics, .. } =
        options;
    let callers = Arc::new(Callers::new(identity, feed, Guard::new(clock.clone(), redis), secret));
    let names: Vec<&str> = services.iter().map(|service| service.name).collect();
    let shed = Shed::new(services.iter().map(|service| (service.audience, service.upstream.is_here())), limits.in_flight, waiting);
    let calls = metrics.map(|metrics| metrics.calls());
    Ok(stack![
        Tracing::new(proxies)?,                     // sees everything, refusals too
        Edge::new(&origins, readiness)?,            // from here on every request names an rpc; a browser gets refusals in its own form
        Respond::new(recorder, calls),              // the only builder of error answers, and what is written down of each
        Router::new(&names),                        // later layers ask the policy, not the path
        Sizes::new(&limits),                        // costs nothing, so before anything is spent
        Deadline,                                   // before anything waits
        Authenticate(callers.clone()),              // needs policy.access
        Limit::new(limiter, address),               // needs caller and cost; before authorize, or refused calls would be free
        Authorize(callers),                         // needs the caller
        Receive,                                    // before a place is taken
        shed,                                       // protects the upstreams; strangers never come so far
        Forward::new(own, services, signer, clock), // the end: signs, and sends
    ])
}

/// What the gateway answers itself: health, and reflection of what strangers may call.
async fn own<I, L>(options: &Options<I, L>) -> (Health, Upstream) {
    let services = contract::methods().public_services();
    let (health, server) = Health::new(services.iter().copied()).await;
    let mut routes = Routes::new(server);
    if options.reflection {
        let (reflection, alpha) = reflection::servers(pool(), &services);
        routes = routes.add_service(reflection).add_service(alpha);
    }
    let room = Room::new(routes, "gateway", options.signer.clone()).open(&OWN);
    (health, Upstream::here(room))
}

impl<L: Limiter> Gateway<L> {
    /// NOT_SERVING until [`follow`](Gateway::follow) holds the lease; the drain turns it off again.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Where the records of all requests come out; once. Who does not want them drops it.
    pub fn records(&mut self) -> Option<Records> {
        self.records.take()
    }

    /// Counts the records that found no room.
    #[must_use]
    pub fn recorder(&self) -> Arc<Recorder> {
        self.recorder.clone()
    }

    /// Follows the change feed until `stop`, and says whether its lease is held. It may run where the calls do not, and ask by a way of its
    /// own: behind them it would be late when there are many, and whoever is late has lost the lease.
    pub fn follow<I: Identity>(&self, identity: Arc<I>, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<I, L> {
        let Self { feed, lease, readiness, health, .. } = self;
        let (feed, lease, readiness, health) = (feed.clone(), lease.clone(), readiness.clone(), health.clone());
        async move {
            let look = stop.run_until_cancelled(look(&feed, &lease, &readiness, &health));
            futures::join!(feed.clone().run(identity, stop.clone()), look);
        }
    }

    /// Asks the services whether they serve, until `stop`, and does what the limiter has to do beside counting. Records nobody asked for are
    /// not kept.
    pub async fn run(self, stop: CancellationToken) {
        let Self { limiter, probes, records, .. } = self;
        drop(records);
        let probe = stop.run_until_cancelled(join_all(probes.into_iter().map(Probe::run)));
        futures::join!(probe, limiter.run(stop.clone()));
    }
}

/// The process is ready as long as the lease is held, and serves as long as it is ready.
async fn look(feed: &Feed, lease: &Need, readiness: &Readiness, health: &Health) {
    let (mut held, mut serves) = (false, false);
    loop {
        if feed.alive() != held {
            held = !held;
            lease.set(held);
            tracing::info!(held, "the lease of the change feed");
        }
        if readiness.missing().is_none() != serves {
            serves = !serves;
            health.all(serves).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests;

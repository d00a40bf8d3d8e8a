//! The gateway of this process.

use crate::{
    failure::Failure,
    house::{House, Upstreams, services_of},
    role::Role,
    settings::{Away, Settings},
};
use chassis::{
    changes::{Access, Rate},
    health::Health,
    serve::{Answer, Limits},
};
use gateway::{
    Options, Service,
    address::Network,
    limiter::{Backend, Memory, Shared},
    redis::{Decisions, Link, Policy},
    ship::Shipper,
};
use std::sync::Arc;

/// In the data folder: what this gateway has counted.
const COUNTS: &str = "limits";

/// The listener's bounds.
pub(crate) fn limits(settings: &Settings) -> Limits {
    Limits { in_flight: settings.gateway.in_flight, ..Limits::public() }
}

/// The whole stack as one service, and what tells of its health.
pub(crate) async fn open(house: &House, upstreams: &Upstreams) -> Result<(impl Answer + use<>, Health), Failure> {
    let settings = &house.settings.gateway;
    let identity = |client| Arc::new(Access::new(client, house.clock.clone()));
    let proxies = settings
        .trusted_proxies
        .iter()
        .map(|text| text.parse::<Network>().map_err(|error| Failure::setting(format!("gateway.trusted_proxies: {error}"))));
    let redis = redis(house).await?;
    let options = Options {
        identity: identity(house.client(upstreams, Role::Identity)),
        limiter: Arc::new(limiter(house, redis.as_ref())),
        redis,
        secret: house.secrets.derive("one.gateway.credential"),
        services: services(upstreams),
        signer: house.signer.clone(),
        clock: house.clock.clone(),
        limits: limits(&house.settings),
        waiting: settings.waiting,
        address: Rate { per_minute: settings.anonymous_per_minute, per_day: settings.anonymous_per_day },
        origins: settings.cors_origins.clone(),
        proxies: proxies.collect::<Result<_, _>>()?,
        reflection: settings.reflection,
        readiness: house.ready.clone(),
        metrics: Some(house.metrics.clone()),
    };
    let (service, mut gateway) = gateway::build(options).await.map_err(Failure::setting)?;
    let health = gateway.health();
    if let Some(records) = gateway.records() {
        let shipper = Shipper::new(records, house.client(upstreams, Role::Events), settings.gather_requests);
        house.work.spawn(shipper.run(house.stop.clone()));
    }
    let follow = gateway.follow(identity(house.vital_client(upstreams, Role::Identity)?), house.stop.clone());
    house.work.spawn_on(follow, house.vital.runtime());
    house.work.spawn(gateway.run(house.stop.clone()));
    Ok((service, health))
}

/// The Redis of all gateways, if the settings name one. It may be away: that is no reason not to start.
async fn redis(house: &House) -> Result<Option<Arc<Link>>, Failure> {
    let settings = &house.settings.redis;
    if settings.url.is_empty() {
        return Ok(None);
    }
    let link = Link::open(&settings.url, settings.timeout, Decisions::new(&house.metrics.meter())).await;
    link.map(Some).map_err(|error| Failure::setting(format!("redis.url: {error}")))
}

/// Who counts.
fn limiter(house: &House, redis: Option<&Arc<Link>>) -> Backend {
    let policy = match house.settings.redis.away {
        Away::Local => Policy::Local,
        Away::Closed => Policy::Closed,
    };
    match redis {
        Some(link) => Backend::Shared(Shared::new(link.clone(), policy, house.clock.clone())),
        None => Backend::Memory(Memory::kept(house.settings.data_dir.join(COUNTS), house.clock.clone())),
    }
}

/// Which service is where: every public service of each role.
fn services(upstreams: &Upstreams) -> Vec<Service> {
    let of = |(role, upstream): (&Role, &chassis::upstream::Upstream)| {
        let (audience, upstream) = (role.word(), upstream.clone());
        services_of(*role).into_iter().map(move |name| Service { name, audience, upstream: upstream.clone() })
    };
    upstreams.iter().flat_map(of).collect()
}

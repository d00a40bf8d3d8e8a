//! The gateway of this process.

use crate::{
    failure::Failure,
    house::{House, Upstreams, services_of},
    role::Role,
    settings::Settings,
};
use chassis::{
    changes::{Access, Rate},
    health::Health,
    serve::{Answer, Limits},
    upstream::Client,
};
use gateway::{Options, Service, address::Network, limiter::Memory};
use std::sync::Arc;

/// The listener's bounds.
pub(crate) fn limits(settings: &Settings) -> Limits {
    Limits { in_flight: settings.gateway.in_flight, ..Limits::public() }
}

/// The whole stack as one service, and what tells of its health.
pub(crate) async fn open(house: &House, upstreams: &Upstreams) -> Result<(impl Answer + use<>, Health), Failure> {
    let settings = &house.settings.gateway;
    let identity = Client::new(upstreams[&Role::Identity].clone(), Role::Identity.word(), house.signer.clone());
    let proxies = settings
        .trusted_proxies
        .iter()
        .map(|text| text.parse::<Network>().map_err(|error| Failure::setting(format!("gateway.trusted_proxies: {error}"))));
    let options = Options {
        identity: Arc::new(Access::new(identity, house.clock.clone())),
        limiter: Arc::new(Memory::new()),
        services: services(upstreams),
        signer: house.signer.clone(),
        clock: house.clock.clone(),
        limits: limits(&house.settings),
        address: Rate { per_minute: settings.anonymous_per_minute, per_day: settings.anonymous_per_day },
        origins: settings.cors_origins.clone(),
        proxies: proxies.collect::<Result<_, _>>()?,
        reflection: settings.reflection,
        readiness: house.ready.clone(),
        metrics: Some(house.metrics.clone()),
    };
    let (service, gateway) = gateway::build(options).await.map_err(Failure::setting)?;
    let health = gateway.health();
    house.work.spawn(gateway.run(house.stop.clone()));
    Ok((service, health))
}

/// Which service is where: every public service of each role.
fn services(upstreams: &Upstreams) -> Vec<Service> {
    let of = |(role, upstream): (&Role, &chassis::upstream::Upstream)| {
        let (audience, upstream) = (role.word(), upstream.clone());
        services_of(*role).into_iter().map(move |name| Service { name, audience, upstream: upstream.clone() })
    };
    upstreams.iter().flat_map(of).collect()
}

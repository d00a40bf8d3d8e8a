//! The rooms of this process, the ways to the others, and the order in which all of it starts and ends.
//!
//! Ports are bound first, so that one that is taken ends the start before anything else was done, and opened last. At the end the doors
//! close first, then the relays ship what the last calls left, then the stores close.

use crate::{
    announce::Announce,
    doors::{Door, Doors},
    failure::Failure,
    front,
    pulse::Pulse,
    role::{Role, Roles},
    settings::Settings,
    stores,
    vital::Vital,
};
use chassis::{
    admin::{self, Readiness},
    clock::Clock,
    drain,
    health::Health,
    principal::Signer,
    room::Room,
    secret::Secrets,
    serve::{self, Limits},
    telemetry::{self, Metrics, Telemetry},
    upstream::{Client, Upstream},
};
use contract::internal::v1::retention_service_client::RetentionServiceClient;
use std::{collections::BTreeMap, time::Duration};
use store::{Db, LogClient, migrate::Mode};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;

/// How long the last spans and metrics may take.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often it is looked whether the process is ready, until it is.
const LOOK: Duration = Duration::from_millis(5);
/// Answered to anybody on a service's own port: who probes it holds no principal.
const PROBES: &[&str] = &["grpc.health.v1.Health"];

/// What all rooms of a process share.
pub(crate) struct House {
    pub(crate) settings: Settings,
    pub(crate) roles: Roles,
    pub(crate) clock: Clock,
    pub(crate) signer: Signer,
    pub(crate) metrics: Metrics,
    pub(crate) ready: Readiness,
    pub(crate) secrets: Secrets,
    /// Cancelled first: doors close, watches end.
    drain: CancellationToken,
    /// Cancelled when the last call is over: relays ship what is left.
    pub(crate) stop: CancellationToken,
    pub(crate) work: TaskTracker,
    pub(crate) vital: Vital,
}

/// A service of this process.
struct Resident {
    role: Role,
    room: Room,
    health: Health,
    db: Db,
}

/// The ways to the services, by role.
pub(crate) type Upstreams = BTreeMap<Role, Upstream>;

/// Serves until a signal, then drains.
pub(crate) async fn serve(settings: Settings) -> Result<(), Failure> {
    serve::open_files();
    let telemetry = telemetry(&settings)?;
    let signals = drain::signals().map_err(|error| Failure::start(format!("no signal handler: {error}")))?;
    let house = House::new(settings, telemetry.metrics().clone())?;
    let served = house.serve(signals).await;
    telemetry.shutdown(LAST_WORDS).await;
    served
}

fn telemetry(settings: &Settings) -> Result<Telemetry, Failure> {
    let name = settings.roles().service_name();
    let filter = settings.log.filter.clone();
    Telemetry::start(&telemetry::Settings { name, filter, format: settings.log.format }).map_err(Failure::setting)
}

impl House {
    fn new(settings: Settings, metrics: Metrics) -> Result<House, Failure> {
        let secrets = stores::secrets(&settings)?;
        let clock = Clock::system();
        Ok(House {
            roles: settings.roles(),
            signer: Signer::new(&secrets.derive("one.principal"), clock.clone()),
            metrics,
            ready: Readiness::default(),
            drain: CancellationToken::new(),
            stop: CancellationToken::new(),
            work: TaskTracker::new(),
            vital: Vital::start()?,
            settings,
            clock,
            secrets,
        })
    }

    async fn serve(&self, signals: impl Future<Output = ()>) -> Result<(), Failure> {
        let ports = Ports::bind(self)?;
        let announce = Announce(self.settings.log.format);
        let started = self.ready.needs("the start");
        let (residents, upstreams) = self.move_in(announce, ports.gateway_addr()).await?;
        let mut doors = Doors::new(announce, self.drain.clone(), self.settings.drain.grace);
        let mut health: Vec<Health> = residents.iter().map(|resident| resident.health.clone()).collect();
        doors.administer(ports.admin, admin::router(self.metrics.clone(), self.ready.clone()), &self.vital)?;
        for (resident, door) in residents.iter().zip(ports.services) {
            let limits = Limits::internal();
            doors.serve(door, serve::grpc(resident.room.clone(), &limits, []), limits);
        }
        if let Some(door) = ports.gateway {
            let (app, own) = front::open(self, &upstreams).await?;
            doors.serve(door, app, front::limits(&self.settings));
            health.push(own);
        }
        for resident in &residents {
            self.work.spawn(self.pulse(resident).run(self.drain.clone()));
        }
        started.set(true);
        self.work.spawn(self.stop.clone().run_until_cancelled_owned(announce_ready(announce, self.ready.clone(), health.clone())));
        drain::orderly(signals, &health, &self.ready, self.settings.drain.linger, &self.drain).await;
        doors.closed().await;
        self.move_out(residents).await;
        Ok(())
    }

    /// Opens the services of this process, and finds the others.
    async fn move_in(&self, announce: Announce, gateway: Option<std::net::SocketAddr>) -> Result<(Vec<Resident>, Upstreams), Failure> {
        let mut upstreams = Upstreams::new();
        for role in Role::SERVICES.into_iter().filter(|role| !self.roles.has(*role)) {
            upstreams.insert(role, self.there(role)?);
        }
        let mut residents = Vec::new();
        for role in Role::SERVICES.into_iter().filter(|role| self.roles.has(*role)) {
            let db = self.open(role).await?;
            let service = Service::new(role, db.clone(), self);
            if let Service::Identity(identity) = &service {
                self.first_run(identity, announce, gateway).await?;
            }
            let (health, server) = Health::new(services_of(role)).await;
            let room = self.room(role, service.routes().add_service(server));
            upstreams.insert(role, Upstream::here(room.clone()));
            // The log comes first in Role::SERVICES, so the way to it is known to all relays.
            let log = self.client(&upstreams, Role::Events);
            self.work.spawn(service.run(log, self.settings.relay.gather, self.stop.clone()));
            residents.push(Resident { role, room, health, db });
        }
        Ok((residents, upstreams))
    }

    /// Calls a service as the platform itself.
    pub(crate) fn client(&self, upstreams: &Upstreams, role: Role) -> Client {
        Client::new(upstreams[&role].clone(), role.word(), self.signer.clone())
    }

    /// The same by a way of its own, so that no call of others stands in it.
    pub(crate) fn vital_client(&self, upstreams: &Upstreams, role: Role) -> Result<Client, Failure> {
        let upstream = if self.roles.has(role) { upstreams[&role].clone() } else { self.there(role)? };
        Ok(Client::new(upstream, role.word(), self.signer.clone()))
    }

    /// The way to a service that is not in this process.
    fn there(&self, role: Role) -> Result<Upstream, Failure> {
        let urls = self.settings.urls(role).map_err(Failure::Setting)?;
        Upstream::there(&urls).map_err(Failure::setting)
    }

    /// A gateway counts the calls of its own process.
    fn room(&self, role: Role, routes: Routes) -> Room {
        let room = Room::new(routes, role.word(), self.signer.clone()).open(PROBES);
        if self.roles.has(Role::Gateway) { room } else { room.counted(self.metrics.calls()) }
    }

    fn pulse(&self, resident: &Resident) -> Pulse {
        let (db, health) = (resident.db.clone(), resident.health.clone());
        Pulse { service: resident.role.word(), db, health, need: self.ready.needs(stores::name(resident.role)) }
    }

    async fn open(&self, role: Role) -> Result<Db, Failure> {
        let mode = if self.settings.migrate { Mode::Apply } else { Mode::Check };
        stores::open(&self.settings, role, &self.secrets, &self.clock, mode).await
    }

    /// Makes what a first start makes, and shows the owner's key if it was made just now.
    async fn first_run(&self, identity: &identity::Identity, announce: Announce, gateway: Option<std::net::SocketAddr>) -> Result<(), Failure> {
        let made = identity::bootstrap(identity, &self.settings.data_dir, self.settings.bootstrap_tier()).await.map_err(Failure::start)?;
        if let Some(key) = made {
            let file = self.settings.data_dir.join(identity::bootstrap::OWNER_KEY);
            announce.first_key(&key, &file.display().to_string(), gateway.unwrap_or(self.settings.gateway.addr));
        }
        Ok(())
    }

    async fn move_out(&self, residents: Vec<Resident>) {
        self.stop.cancel();
        self.work.close();
        self.work.wait().await;
        for resident in residents {
            tracing::debug!(service = resident.role.word(), "closing");
            resident.db.close().await;
        }
    }
}

/// Said once calls are answered, and whoever asks for its health is told so: in a gateway not before identity has been heard.
async fn announce_ready(announce: Announce, ready: Readiness, health: Vec<Health>) {
    while ready.missing().is_some() {
        tokio::time::sleep(LOOK).await;
    }
    for health in health {
        while !health.serves().await {
            tokio::time::sleep(LOOK).await;
        }
    }
    announce.ready();
}

/// One of the services, as this crate sees it.
enum Service {
    Identity(identity::Identity),
    Ontology(ontology::Ontology),
    Events(events::Events),
}

impl Service {
    fn new(role: Role, db: Db, house: &House) -> Service {
        match role {
            Role::Identity => Service::Identity(identity::Identity::new(db, &house.secrets)),
            Role::Ontology => Service::Ontology(ontology::Ontology::new(db)),
            Role::Events => Service::Events(events::Events::new(db, ontology::event_aliases(), house.drain.clone())),
            Role::Gateway => unreachable!("the gateway is no service"),
        }
    }

    fn routes(&self) -> Routes {
        match self {
            Service::Identity(identity) => identity.routes(),
            Service::Ontology(ontology) => ontology.routes(),
            Service::Events(events) => events.routes(),
        }
    }

    /// `events` is the way to that service: to the log, and to who keeps records.
    async fn run(self, events: Client, gather: Duration, stop: CancellationToken) {
        let log = LogClient::new(events.clone());
        match self {
            Service::Identity(identity) => identity.run(log, RetentionServiceClient::new(events), gather, stop).await,
            Service::Ontology(ontology) => ontology.run(log, gather, stop).await,
            Service::Events(events) => events.run(stop).await,
        }
    }
}

/// Full names of the gRPC services of a role.
pub(crate) fn services_of(role: Role) -> Vec<&'static str> {
    let package = format!("one.{}.", role.word());
    contract::methods().public_services().into_iter().filter(|name| name.starts_with(&package)).collect()
}

/// The ports of this process, bound.
struct Ports {
    admin: Door,
    gateway: Option<Door>,
    /// In the order of [`Role::SERVICES`]; none in a process that holds everything.
    services: Vec<Door>,
}

impl Ports {
    fn bind(house: &House) -> Result<Ports, Failure> {
        let (settings, roles) = (&house.settings, &house.roles);
        let admin = Door::bind("admin", settings.admin_addr().map_err(Failure::Setting)?)?;
        let gateway = if roles.has(Role::Gateway) { Some(Door::bind("gateway", settings.gateway.addr)?) } else { None };
        let mut services = Vec::new();
        for role in Role::SERVICES.into_iter().filter(|role| roles.is_split() && roles.has(*role)) {
            services.push(Door::bind(role.word(), settings.service(role).addr)?);
        }
        Ok(Ports { admin, gateway, services })
    }

    fn gateway_addr(&self) -> Option<std::net::SocketAddr> {
        self.gateway.as_ref().map(|door| door.addr)
    }
}

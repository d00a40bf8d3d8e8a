//! A connection with a credential.

use contract::{
    events::v1::{event_service_client::EventServiceClient, usage_service_client::UsageServiceClient},
    identity::v1::{group_service_client::GroupServiceClient, key_service_client::KeyServiceClient},
    ontology::v1::thing_service_client::ThingServiceClient,
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tonic::{
    Request, Status,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// A connection that sends the caller's headers with each call.
pub type Sending = InterceptedService<Channel, Headers>;

/// What is sent with each call.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(AsciiMetadataKey, AsciiMetadataValue)>);

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in &self.0 {
            request.metadata_mut().append(name.clone(), value.clone());
        }
        Ok(request)
    }
}

/// Somebody who calls the mesh.
#[derive(Clone, Debug)]
pub struct Caller {
    gateway: SocketAddr,
    channel: Channel,
    headers: Headers,
    key: String,
    from: IpAddr,
}

impl Caller {
    /// With a key, from this machine's own address.
    pub fn new(gateway: SocketAddr, key: &str) -> Self {
        Self::connected(gateway, IpAddr::V4(Ipv4Addr::LOCALHOST)).with_key(key)
    }

    /// Without a credential, from an address nobody else has, so that the guard against guessing knows nothing of it.
    pub fn stranger(gateway: SocketAddr) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let [_, b, c, d] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        Self::connected(gateway, Ipv4Addr::new(127, b + 1, c, d).into())
    }

    fn connected(gateway: SocketAddr, from: IpAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{gateway}")).expect("an address is a valid authority");
        let channel = endpoint.local_address(Some(from)).timeout(Duration::from_secs(180)).connect_lazy();
        Self { gateway, channel, headers: Headers::default(), key: String::new(), from }
    }

    /// The same connection with that key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), headers: Headers::default(), ..self.clone() }.with("authorization", &format!("Bearer {key}"))
    }

    /// The same, acting in that group.
    pub fn acting_in(&self, group: &str) -> Self {
        self.with("x-group-id", group)
    }

    /// The same, with one more header in each call.
    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut caller = self.clone();
        let value = value.parse().expect("a value of printable ASCII");
        caller.headers.0.push((AsciiMetadataKey::from_static(name), value));
        caller
    }

    /// The same caller, over a connection of its own.
    pub fn reconnected(&self, gateway: SocketAddr) -> Self {
        Self { headers: self.headers.clone(), key: self.key.clone(), ..Self::connected(gateway, IpAddr::V4(Ipv4Addr::LOCALHOST)) }
    }

    /// The address it calls from.
    pub fn address(&self) -> IpAddr {
        self.from
    }

    /// The key that is sent.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where calls go.
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// The connection itself, with the caller's headers.
    pub fn sending(&self) -> Sending {
        InterceptedService::new(self.channel.clone(), self.headers.clone())
    }

    /// `ThingService`.
    pub fn things(&self) -> ThingServiceClient<Sending> {
        ThingServiceClient::new(self.sending())
    }

    /// `GroupService`.
    pub fn groups(&self) -> GroupServiceClient<Sending> {
        GroupServiceClient::new(self.sending())
    }

    /// `KeyService`.
    pub fn keys(&self) -> KeyServiceClient<Sending> {
        KeyServiceClient::new(self.sending())
    }

    /// `UsageService`.
    pub fn usage(&self) -> UsageServiceClient<Sending> {
        UsageServiceClient::new(self.sending())
    }

    /// `EventService`.
    pub fn events(&self) -> EventServiceClient<Sending> {
        EventServiceClient::new(self.sending())
    }
}

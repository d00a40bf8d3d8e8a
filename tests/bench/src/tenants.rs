//! Organisations of one mesh, each with an owner's key and some things, and what they ask of it together.

use crate::{
    load::{self, Ask, Client},
    mesh::Mesh,
};
use contract::{
    identity::v1::{
        CreateGroupRequest, CreateKeyRequest, Group, GroupLimits, Key, group_service_client::GroupServiceClient, key_service_client::KeyServiceClient,
    },
    ontology::v1::{GetThingRequest, ListThingsRequest, thing_service_client::ThingServiceClient},
};
use futures::{StreamExt, stream};
use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tonic::{Status, metadata::AsciiMetadataValue, transport::Channel};

/// Things on a page that is listed. With fewer of its own a tenant would cost less than another.
pub(crate) const PAGE: usize = 20;

/// Tenants that are made at once.
const AT_ONCE: usize = 64;
const CONNECTIONS: usize = 4;

pub(crate) struct Tenants {
    all: Vec<Tenant>,
    /// How many calls were asked.
    asked: AtomicUsize,
}

struct Tenant {
    bearer: AsciiMetadataValue,
    things: Vec<String>,
}

impl Tenants {
    /// So many new ones, with so many things each. When they are there the mesh has nothing left to do.
    pub(crate) async fn make(mesh: &Mesh, count: usize, things: usize) -> Tenants {
        Self::limited(mesh, count, things, -1).await
    }

    /// Each of which may make so many requests a minute; -1 is no limit.
    pub(crate) async fn limited(mesh: &Mesh, count: usize, things: usize, per_minute: i64) -> Tenants {
        let platform = load::bearer(&mesh.key(identity::bootstrap::PLATFORM_KEY));
        let channels = load::channels(&mesh.process.addr, CONNECTIONS).await;
        let made = (0..count).map(|n| tokio::spawn(Tenant::make(channels[n % CONNECTIONS].clone(), platform.clone(), things, per_minute)));
        let all = stream::iter(made).buffer_unordered(AT_ONCE).map(|made| made.expect("a platform owner makes tenants")).collect().await;
        mesh.process.rests().await;
        Tenants { all, asked: AtomicUsize::new(0) }
    }

    /// One more call of the mix: seven of ten get a thing, two create one, one lists a page; of all tenants, without an order that
    /// anything could fall in with, and in each run the same.
    pub(crate) async fn call(&self, client: &mut Client) -> Result<(), Status> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let dice = BuildHasherDefault::<DefaultHasher>::default().hash_one(number) as usize;
        let (tenant, dice) = (&self.all[dice % self.all.len()], dice / self.all.len());
        match dice % 10 {
            0..7 => tenant.get(client, dice / 10).await,
            7 | 8 => tenant.create(client).await.map(drop),
            _ => tenant.list(client).await,
        }
    }
}

impl Ask for Arc<Tenants> {
    async fn ask(&self, client: &mut Client) {
        self.call(client).await.expect("an answer");
    }
}

impl Tenant {
    async fn make(channel: Channel, platform: AsciiMetadataValue, count: usize, per_minute: i64) -> Tenant {
        let group = organisation(channel.clone(), &platform, per_minute).await;
        let secret = owner(channel.clone(), &platform, &group).await;
        let mut tenant = Tenant { bearer: load::bearer(&secret), things: Vec::with_capacity(count) };
        let mut client = ThingServiceClient::new(channel);
        for _ in 0..count {
            let id = tenant.create(&mut client).await.expect("a thing");
            tenant.things.push(id);
        }
        tenant
    }

    async fn get(&self, client: &mut Client, which: usize) -> Result<(), Status> {
        let id = self.things[which % self.things.len()].clone();
        client.get_thing(load::sent(GetThingRequest { id }, &self.bearer)).await.map(drop)
    }

    /// Its id.
    async fn create(&self, client: &mut Client) -> Result<String, Status> {
        Ok(client.create_thing(load::sent(load::creation(), &self.bearer)).await?.into_inner().id)
    }

    async fn list(&self, client: &mut Client) -> Result<(), Status> {
        let page = ListThingsRequest { page_size: PAGE as i32, ..Default::default() };
        client.list_things(load::sent(page, &self.bearer)).await.map(drop)
    }
}

/// A new organisation that has no limit but that: its id.
async fn organisation(channel: Channel, platform: &AsciiMetadataValue, per_minute: i64) -> String {
    let limits = GroupLimits {
        key_requests_per_minute: Some(-1),
        key_requests_per_day: Some(-1),
        requests_per_minute: Some(per_minute),
        requests_per_day: Some(-1),
        ..GroupLimits::default()
    };
    let group = Group { name: "A tenant of the bench".to_owned(), tier: "enterprise".to_owned(), limits: Some(limits), ..Group::default() };
    let request = load::sent(CreateGroupRequest { group: Some(group), ..Default::default() }, platform);
    GroupServiceClient::new(channel).create_group(request).await.expect("an organisation").into_inner().id
}

/// The secret of a new key that may do all in that group.
async fn owner(channel: Channel, platform: &AsciiMetadataValue, group: &str) -> String {
    let key = Key { name: "owner".to_owned(), role: "group_owner".to_owned(), scopes: vec!["*".to_owned()], ..Key::default() };
    let mut request = load::sent(CreateKeyRequest { key: Some(key), ..Default::default() }, platform);
    request.metadata_mut().insert("x-group-id", group.parse().expect("a UUID"));
    KeyServiceClient::new(channel).create_key(request).await.expect("a key").into_inner().secret
}

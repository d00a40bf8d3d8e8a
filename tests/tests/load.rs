//! Writers that change whatever there is, and keep a ledger of what they were told.
//!
//! Each change has a request_id and is sent again until it is answered, so at the end nothing is in doubt: what the ledger says is exactly what
//! must be there, as states and as events, each once.

use crate::{
    support::{list_all, never, product},
    watch::{assert_gap_free, settle, take},
};
use contract::{
    events::v1::{Event, watch_events_request::From},
    identity::v1::{
        CreateGroupRequest, CreateKeyRequest, Group, GroupLimits, GroupSettings, Key, KeyState, ListKeysRequest, RevokeKeyRequest, UpdateGroupRequest,
    },
    ontology::v1::{CreateThingRequest, DeleteThingRequest, ListThingsRequest, Thing, UpdateThingRequest},
};
use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tests::{Caller, Mesh, Tenant, eventually};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

/// For one attempt of a change: whoever is away must have been found so before.
const DEADLINE: Duration = Duration::from_secs(10);
/// Before another attempt.
const PAUSE: Duration = Duration::from_millis(10);

/// What the writers were told.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// How often an event of that type about that target must stand in the log of that group.
    pub(crate) events: BTreeMap<(String, String, String), usize>,
    things: HashMap<String, Thing>,
    groups: HashMap<String, Group>,
    keys: HashMap<String, Key>,
    /// By reason, or by code where there is none.
    pub(crate) refusals: BTreeMap<String, usize>,
    /// Changes that were acknowledged.
    pub(crate) count: usize,
    /// How often each rpc was called.
    pub(crate) attempts: BTreeMap<&'static str, usize>,
}

/// Writers under way.
pub(crate) struct Load {
    pub(crate) tenant: Tenant,
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) async fn begin(mesh: &Mesh, writers: usize) -> Load {
        let limits = GroupLimits {
            key_requests_per_minute: Some(-1),
            key_requests_per_day: Some(-1),
            requests_per_minute: Some(-1),
            requests_per_day: Some(-1),
            ..GroupLimits::default()
        };
        let group = Group { name: "busy".to_owned(), tier: "enterprise".to_owned(), limits: Some(limits), ..Group::default() };
        let tenant = settle(mesh.tenant_like(group).await).await;
        let (ledger, stop) = (Arc::<Mutex<Ledger>>::default(), Arc::<AtomicBool>::default());
        let writer = |_| Writer { caller: tenant.owner().clone(), group: tenant.group.id.clone(), ledger: ledger.clone(), stop: stop.clone() };
        let writers = (0..writers).map(|number| tokio::spawn(writer(number).write())).collect();
        Load { tenant, ledger, stop, writers }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many more changes were acknowledged.
    pub(crate) async fn writes(&self, more: usize) {
        let aim = self.ledger().count + more;
        eventually("the writers to write", || async { (self.ledger().count >= aim).then_some(()) }).await;
    }

    /// Waits until so many more attempts were refused.
    pub(crate) async fn is_refused(&self, more: usize) {
        let refused = || self.ledger().refusals.values().sum::<usize>();
        let aim = refused() + more;
        eventually("the writers to be refused", || async { (refused() >= aim).then_some(()) }).await;
    }

    /// Lets each finish what it is at, and checks that all that was acknowledged is there, and nothing else.
    pub(crate) async fn end(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.expect("a writer is refused for reasons that pass only");
        }
        let mut ledger = std::mem::take(&mut *self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
        ledger.states_are_there(&self.tenant).await;
        ledger.events_are_there(&self.tenant).await;
        for last in ["CreateThing", "CreateKey"] {
            *ledger.attempts.entry(last).or_default() += 1;
        }
        ledger
    }
}

struct Writer {
    caller: Caller,
    group: String,
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    async fn write(self) {
        for round in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            match round % 6 {
                1 => self.key().await,
                4 => self.group().await,
                _ => self.thing(round % 6 == 3).await,
            }
        }
    }

    async fn thing(&self, delete: bool) {
        let request = CreateThingRequest { thing: Some(product("A")), request_id: never(), ..Default::default() };
        let thing = self.insist("CreateThing", async || self.caller.things().create_thing(bounded(&request)).await).await;
        let id = thing.id.clone();
        self.told(&self.group, &id, "entity_created", |ledger| ledger.things.insert(thing.id.clone(), thing));
        let renamed = Thing { id: id.clone(), name: "B".to_owned(), ..Thing::default() };
        let request = UpdateThingRequest { thing: Some(renamed), request_id: never(), ..Default::default() };
        let thing = self.insist("UpdateThing", async || self.caller.things().update_thing(bounded(&request)).await).await;
        self.told(&self.group, &id, "entity_updated", |ledger| ledger.things.insert(thing.id.clone(), thing));
        if delete {
            let request = DeleteThingRequest { id: id.clone(), request_id: never(), ..Default::default() };
            let thing = self.insist("DeleteThing", async || self.caller.things().delete_thing(bounded(&request)).await).await;
            self.told(&self.group, &id, "entity_archived", |ledger| ledger.things.insert(thing.id.clone(), thing));
        }
    }

    async fn key(&self) {
        let key = Key { name: "a key".to_owned(), role: "group_user".to_owned(), scopes: vec!["*".to_owned()], ..Key::default() };
        let request = CreateKeyRequest { key: Some(key), request_id: never(), ..Default::default() };
        let made = self.insist("CreateKey", async || self.caller.keys().create_key(bounded(&request)).await).await;
        let key = made.key.expect("an answer has a key");
        let id = key.id.clone();
        self.told(&self.group, &id, "api_key_generated", |ledger| ledger.keys.insert(key.id.clone(), key));
        let request = RevokeKeyRequest { id: id.clone(), request_id: never(), ..Default::default() };
        let key = self.insist("RevokeKey", async || self.caller.keys().revoke_key(bounded(&request)).await).await;
        self.told(&self.group, &id, "api_key_revoked", |ledger| ledger.keys.insert(key.id.clone(), key));
    }

    async fn group(&self) {
        let settings = GroupSettings { allow_parent_access: Some(true), ..GroupSettings::default() }; // its log is to be read
        let group = Group { name: "A".to_owned(), settings: Some(settings), ..Group::default() };
        let request = CreateGroupRequest { group: Some(group), parent_id: self.group.clone(), request_id: never(), ..Default::default() };
        let group = self.insist("CreateGroup", async || self.caller.groups().create_group(bounded(&request)).await).await;
        let id = group.id.clone();
        self.told(&id, &id, "group_created", |ledger| ledger.groups.insert(group.id.clone(), group));
        let renamed = Group { id: id.clone(), name: "B".to_owned(), ..Group::default() };
        let update_mask = crate::support::mask(&["name"]);
        let request = UpdateGroupRequest { group: Some(renamed), update_mask, request_id: never(), ..Default::default() };
        let group = self.insist("UpdateGroup", async || self.caller.groups().update_group(bounded(&request)).await).await;
        self.told(&id, &id, "group_updated", |ledger| ledger.groups.insert(group.id.clone(), group));
    }

    fn told<T>(&self, group: &str, target: &str, event: &str, keep: impl FnOnce(&mut Ledger) -> T) {
        let mut ledger = self.ledger();
        *ledger.events.entry((group.to_owned(), target.to_owned(), event.to_owned())).or_default() += 1;
        ledger.count += 1;
        keep(&mut ledger);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Again and again until it is answered.
    async fn insist<T, F: Future<Output = Result<Response<T>, Status>>>(&self, rpc: &'static str, call: impl Fn() -> F) -> T {
        loop {
            *self.ledger().attempts.entry(rpc).or_default() += 1;
            match call().await {
                Ok(answer) => return answer.into_inner(),
                Err(status) => self.refused(&status),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn refused(&self, status: &Status) {
        let word = match status.get_details_error_info() {
            Some(info) => {
                assert!(matches!(status.code(), Code::Unavailable | Code::Aborted), "{status:?}");
                info.reason
            }
            None => format!("{:?}", status.code()), // the gateway is gone, and the client says what it thinks of that
        };
        let mut ledger = self.ledger();
        *ledger.refusals.entry(word).or_default() += 1;
    }
}

fn bounded<T: Clone>(message: &T) -> Request<T> {
    let mut request = Request::new(message.clone());
    request.set_timeout(DEADLINE);
    request
}

impl Ledger {
    /// Each as it was last answered, and no other.
    async fn states_are_there(&self, tenant: &Tenant) {
        let request = ListThingsRequest { page_size: 1_000, show_archived: true, ..Default::default() };
        let things: HashMap<String, Thing> = list_all(tenant, request).await.into_iter().map(|thing| (thing.id.clone(), thing)).collect();
        assert_eq!(things.len(), self.things.len(), "things there, and acknowledged");
        for (id, thing) in &self.things {
            assert_eq!(things.get(id), Some(thing));
        }
        let keys = keys(tenant).await;
        assert_eq!(keys.len(), self.keys.len() + 1, "keys there, and acknowledged, and the tenant's own");
        for (id, key) in &self.keys {
            let there = keys.get(id).unwrap_or_else(|| panic!("the key {id} is lost"));
            assert_eq!((there.state, &there.etag), (key.state, &key.etag));
            assert_eq!(there.state(), KeyState::Revoked);
        }
        for (id, group) in &self.groups {
            let request = contract::identity::v1::GetGroupRequest { id: id.clone() };
            assert_eq!(&tenant.groups().get_group(request).await.unwrap().into_inner(), group);
        }
    }

    /// Each once, without a gap in any group's numbers.
    async fn events_are_there(&self, tenant: &Tenant) {
        // The last ones come last: behind them no other of their services is still under way.
        let thing = tenant.create("the last").await.id;
        let key = tenant.create_key("the last", "group_user", &["*"]).await.key.unwrap().id;
        let mut expected: HashMap<&str, BTreeMap<(String, String), usize>> = HashMap::new();
        for ((group, target, event), times) in &self.events {
            *expected.entry(group).or_default().entry((target.clone(), event.clone())).or_default() += times;
        }
        let own = expected.entry(&tenant.group.id).or_default();
        own.insert((thing, "entity_created".to_owned()), 1);
        own.insert((key, "api_key_generated".to_owned()), 1);
        for (group, expected) in expected {
            let before = if group == tenant.group.id { 2 } else { 0 }; // it and its first key
            let count = expected.values().sum::<usize>() + before;
            let (events, _) = take(&mut tenant.acting_in(group).watch(From::Beginning(true)).await, count).await;
            assert_gap_free(&events);
            assert_eq!(events[0].sequence, 1);
            assert_eq!(counted(&events[before..]), expected, "in {group}");
        }
    }
}

fn counted(events: &[Event]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry((event.target.clone().unwrap_or_default().id, event.r#type.clone())).or_default() += 1;
    }
    counts
}

async fn keys(tenant: &Tenant) -> HashMap<String, Key> {
    let mut all = HashMap::new();
    let mut request = ListKeysRequest { page_size: 1_000, show_archived: true, ..Default::default() };
    loop {
        let page = tenant.keys().list_keys(request.clone()).await.expect("a page").into_inner();
        all.extend(page.keys.into_iter().map(|key| (key.id.clone(), key)));
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

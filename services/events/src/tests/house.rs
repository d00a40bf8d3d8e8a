//! The events service with its room, and who calls it.

use crate::{Events, SCHEMA};
use chassis::{
    principal::{Principal, Signer},
    room::Room,
    upstream::{Client, Upstream},
};
use contract::{
    Reason, Role, Scopes,
    events::v1::{
        Event, WatchEventsRequest, WatchEventsResponse, event_service_client::EventServiceClient, usage_service_client::UsageServiceClient,
        watch_events_request::From,
    },
    id::{self, GroupId},
    identity::v1::ActorKind,
    internal::v1::{
        LogEvent, Retention, SetRetentionRequest, request_log_service_client::RequestLogServiceClient,
        retention_service_client::RetentionServiceClient,
    },
};
use std::{sync::Arc, time::Duration};
use store::{Append, LogClient, testing::Case};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tonic_types::StatusExt;
use uuid::Uuid;

/// Longer than anything here takes, so that what hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running service over a case's store.
pub(super) struct House {
    pub(super) events: Events,
    pub(super) drain: CancellationToken,
    client: Client,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl House {
    pub(super) fn on(case: &Case) -> Self {
        Self::with_heartbeat(case, Duration::from_secs(15))
    }

    pub(super) fn with_heartbeat(case: &Case, heartbeat: Duration) -> Self {
        let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
        let aliases = [("thing_created".to_owned(), "entity_created".to_owned())].into();
        let events = Events::new(case.db.clone(), aliases, drain.clone()).with_heartbeat(heartbeat);
        // Not the case's clock: tests move that one further than a signature lives.
        let signer = Signer::new(&[9; 32], chassis::clock::Clock::system());
        let room = Room::new(events.routes(), SCHEMA, signer.clone());
        let client = Client::new(Upstream::here(room), SCHEMA, signer);
        let running = tokio::spawn(events.clone().run(stop.clone()));
        Self { events, drain, client, stop, running }
    }

    /// The log, as a relay or consumer holds it.
    pub(super) fn log(&self) -> LogClient<Client> {
        LogClient::new(self.client.clone())
    }

    pub(super) async fn append(&self, events: Vec<LogEvent>) {
        for some in events.chunks(500) {
            self.log().append(some.to_vec()).await.unwrap();
        }
    }

    /// An owner of that group.
    pub(super) fn of(&self, group: GroupId) -> EventServiceClient<Client> {
        EventServiceClient::new(self.channel_of(group))
    }

    /// The request log, as a gateway holds it.
    pub(super) fn gateway(&self) -> RequestLogServiceClient<Client> {
        RequestLogServiceClient::new(self.client.clone())
    }

    /// Tells of the platform's group, and how many days others keep their records, as identity does.
    pub(super) async fn tell(&self, days: &[(GroupId, i64)]) {
        let retentions = days.iter().map(|(group, days)| Retention { group_id: bytes(**group), days: *days }).collect();
        let told = SetRetentionRequest { retentions, platform_id: bytes(*PLATFORM) };
        RetentionServiceClient::new(self.client.clone()).set_retention(told).await.unwrap();
    }

    /// An owner of that group.
    pub(super) fn usage_of(&self, group: GroupId) -> UsageServiceClient<Client> {
        UsageServiceClient::new(self.channel_of(group))
    }

    pub(super) fn channel_of(&self, group: GroupId) -> Client {
        self.channel_for(Principal::test(group, Role::GroupOwner, Scopes::ALL))
    }

    pub(super) fn channel_for(&self, principal: Principal) -> Client {
        self.client.acting_for(Arc::new(principal))
    }

    pub(super) async fn watch(&self, group: GroupId, from: From, filter: &str) -> Result<Watching, Status> {
        let request = WatchEventsRequest { from: Some(from), filter: filter.to_owned() };
        let answers = tokio::time::timeout(PATIENCE, self.of(group).watch_events(request)).await.expect("headers come at once")?;
        Ok(Watching { answers: answers.into_inner(), cursor: String::new() })
    }

    pub(super) async fn end(self) {
        self.drain.cancel();
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// The platform's group.
pub(super) const PLATFORM: GroupId = GroupId(Uuid::from_u128(1));

/// A watch, as a client holds it.
pub(super) struct Watching {
    answers: Streaming<WatchEventsResponse>,
    pub(super) cursor: String,
}

impl Watching {
    /// The next answer, or how the watch ended.
    pub(super) async fn next(&mut self) -> Result<Vec<Event>, Status> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await.expect("an answer comes")?;
        let answer = answer.expect("a watch ends with an error only");
        assert!(!answer.cursor.is_empty(), "every answer has a cursor");
        self.cursor = answer.cursor;
        Ok(answer.events)
    }

    /// So many events.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.extend(self.next().await.unwrap());
        }
        events
    }

    /// The sequences of so many events.
    pub(super) async fn sequences(&mut self, count: usize) -> Vec<i64> {
        self.take(count).await.iter().map(|event| event.sequence).collect()
    }
}

pub(super) fn group() -> GroupId {
    GroupId::new(1_700_000_000_000_000)
}

/// An event of that group and that time.
pub(super) fn event(group: GroupId, micros: i64) -> LogEvent {
    LogEvent {
        group_id: bytes(*group),
        id: bytes(id::at(micros)),
        r#type: "entity_created".to_owned(),
        actor_kind: ActorKind::Key.into(),
        actor_id: bytes(Uuid::from_u128(7)),
        key_id: bytes(Uuid::from_u128(7)),
        target_kind: "thing".to_owned(),
        target_id: bytes(id::at(micros)),
        revision: 1,
        create_micros: micros,
        call_id: "call-1".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        ..LogEvent::default()
    }
}

pub(super) fn bytes(id: Uuid) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(id.as_bytes())
}

/// Why a call was refused.
pub(super) fn reason(status: &Status) -> Reason {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason in {status:?}"));
    Reason::parse(&info.reason).unwrap()
}

/// A key of the refusal's metadata.
pub(super) fn told(status: &Status, key: &str) -> String {
    status.get_details_error_info().unwrap().metadata.remove(key).unwrap_or_else(|| panic!("no {key} in {status:?}"))
}

//! Through the generated client, the room's layers and the codec, as the gateway calls.

use super::*;
use crate::Ontology;
use ::store::Append;
use chassis::{
    principal::Signer,
    room::Room,
    upstream::{Client, Upstream},
};
use contract::{internal::v1::LogEvent, ontology::v1::thing_service_client::ThingServiceClient};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

fn client(world: &World<'_>) -> ThingServiceClient<Client> {
    let signer = Signer::new(&[1; 32], world.case.clock.clone());
    let room = Room::new(Ontology::new(world.case.db.clone()).routes(), "ontology", signer.clone());
    ThingServiceClient::new(Client::new(Upstream::here(room), "ontology", signer).acting_for(Arc::new(world.who.clone())))
}

fn why(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn all_five_rpcs_answer() {
    both(async |world| {
        let mut things = client(&world);
        let made = things.create_thing(creation(note("a"))).await.unwrap().into_inner();
        let renamed = Thing { id: made.id.clone(), name: "b".to_owned(), etag: made.etag, ..Default::default() };
        let changed = things.update_thing(change(renamed, &["name"])).await.unwrap().into_inner();
        let read = things.get_thing(GetThingRequest { id: made.id.clone() }).await.unwrap().into_inner();
        assert_eq!((read.name.as_str(), &read), ("b", &changed));
        let page = things.list_things(ListThingsRequest::default()).await.unwrap().into_inner();
        assert_eq!((page.things, page.next_page_token), (vec![changed], String::new()));
        let gone = things.delete_thing(removal(&made.id, "")).await.unwrap().into_inner();
        assert_eq!(gone.status, "archived");
        let creator = gone.creator.unwrap();
        assert_eq!(creator.id, world.who.actor.id.to_string());
    })
    .await;
}

#[tokio::test]
async fn refusals_have_code_reason_and_field() {
    both(async |world| {
        let mut things = client(&world);
        let unnamed = things.create_thing(creation(note(""))).await.unwrap_err();
        assert_eq!((unnamed.code(), why(&unnamed).as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
        let long = things.create_thing(creation(note(&"a".repeat(501)))).await.unwrap_err();
        assert_eq!(long.get_details_bad_request().unwrap().field_violations[0].field, "thing.name");
        let missing = things.get_thing(GetThingRequest { id: NOBODY.to_owned() }).await.unwrap_err();
        assert_eq!((missing.code(), why(&missing).as_str()), (Code::NotFound, "THING_NOT_FOUND"));
        let negative = things.list_things(ListThingsRequest { page_size: -1, ..Default::default() }).await.unwrap_err();
        assert_eq!((negative.code(), why(&negative).as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    })
    .await;
}

/// A log that shows what it is given.
struct Log(mpsc::UnboundedSender<LogEvent>);

impl Append for Log {
    async fn append(&self, events: Vec<LogEvent>) -> Result<(), Status> {
        events.into_iter().for_each(|event| self.0.send(event).unwrap());
        Ok(())
    }
}

#[tokio::test]
async fn changes_reach_the_log_until_it_is_told_to_stop() {
    both(async |world| {
        let (shipped, mut log) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let running = tokio::spawn(Ontology::new(world.case.db.clone()).run(Log(shipped), Duration::ZERO, stop.clone()));
        let made = client(&world).create_thing(creation(note("a"))).await.unwrap().into_inner();
        let event = log.recv().await.unwrap();
        assert_eq!((event.r#type.as_str(), event.target_kind.as_str(), event.revision), ("entity_created", "thing", 1));
        assert_eq!(ThingId::from_slice(&event.target_id), ThingId::parse(&made.id));
        assert_eq!(event.group_id, world.who.group.as_bytes()[..]);
        stop.cancel();
        running.await.unwrap();
    })
    .await;
}

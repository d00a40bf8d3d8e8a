use super::{House, event, group, reason};
use chassis::{principal::Signer, room::Room};
use contract::{
    Reason,
    events::v1::{GetEventRequest, ListEventsRequest, watch_events_request::From},
    internal::v1::{AppendRequest, ReadRequest, event_log_service_client::EventLogServiceClient},
};
use store::testing::both;
use tonic::Status;
use uuid::Uuid;

async fn get(house: &House, group: contract::id::GroupId, id: &str) -> Result<(), Status> {
    house.of(group).get_event(GetEventRequest { id: id.to_owned() }).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_event_is_as_one_that_never_was() {
    both(crate::MIGRATIONS, async |case| {
        let (house, ours, theirs) = (House::on(case), group(), group());
        house.append(vec![event(theirs, 1)]).await;
        let theirs_first = house.watch(theirs, From::Beginning(true), "").await.unwrap().take(1).await.remove(0);
        let never = Uuid::now_v7().to_string();
        assert!(get(&house, theirs, &theirs_first.id).await.is_ok());
        let masked = async |id: &str| {
            let refused = get(&house, ours, id).await.unwrap_err();
            assert_eq!(reason(&refused), Reason::EventNotFound);
            let details = String::from_utf8_lossy(refused.details()).replace(id, "{id}");
            (refused.code(), refused.message().replace(id, "{id}"), details)
        };
        assert_eq!(masked(&theirs_first.id).await, masked(&never).await);
        let about = |target_id: String| ListEventsRequest { target_id, ..ListEventsRequest::default() };
        let target = theirs_first.target.unwrap().id;
        assert_eq!(house.of(theirs).list_events(about(target.clone())).await.unwrap().into_inner().events.len(), 1);
        for id in [target, never] {
            let answer = house.of(ours).list_events(about(id)).await.unwrap().into_inner();
            assert!(answer.events.is_empty() && answer.next_page_token.is_empty());
        }
        let mut watch = house.watch(ours, From::Beginning(true), "").await.unwrap();
        assert!(watch.next().await.unwrap().is_empty());
        house.append(vec![event(theirs, 2), event(ours, 3)]).await;
        let seen = watch.take(1).await;
        assert_eq!((seen[0].sequence, seen[0].group_id.clone()), (1, ours.to_string()));
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_itself_appends_and_reads_all_groups() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let mut owner = EventLogServiceClient::new(house.channel_of(group));
        let refused = owner.append(AppendRequest { events: vec![event(group, 1)] }).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::PrincipalRefused);
        let refused = owner.read(ReadRequest { after: 0, floor: 0 }).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::PrincipalRefused);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_signed_is_refused() {
    both(crate::MIGRATIONS, async |case| {
        let house = House::on(case);
        let room = Room::new(house.events.routes(), crate::SCHEMA, Signer::new(&[1; 32], case.clock.clone()));
        let origin = "http://events".parse().unwrap();
        let mut client = EventLogServiceClient::with_origin(room, origin);
        assert_eq!(reason(&client.read(ReadRequest { after: 0, floor: 0 }).await.unwrap_err()), Reason::PrincipalRefused);
        house.end().await;
    })
    .await;
}

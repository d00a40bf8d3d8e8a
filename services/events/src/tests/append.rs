use super::{House, event, group, house::bytes};
use contract::{
    events::v1::{GetEventRequest, watch_events_request::From},
    identity::v1::ActorKind,
    internal::v1::LogEvent,
};
use prost::Message;
use prost_types::{Struct, Value, value::Kind};
use store::{consumer::Source, testing::both};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn each_group_is_numbered_without_gaps_in_the_order_given() {
    both(crate::MIGRATIONS, async |case| {
        let (house, ours, theirs) = (House::on(case), group(), group());
        let events: Vec<LogEvent> = (0..700).map(|n| event(if n % 3 == 0 { theirs } else { ours }, n)).collect();
        house.append(events.clone()).await;
        for (group, count) in [(ours, 466), (theirs, 234)] {
            let seen = house.watch(group, From::Beginning(true), "").await.unwrap().take(count).await;
            let expected =
                events.iter().filter(|event| event.group_id == bytes(*group)).map(|event| Uuid::from_slice(&event.id).unwrap().to_string());
            assert!(seen.iter().map(|event| event.id.clone()).eq(expected));
            assert!(seen.iter().map(|event| event.sequence).eq(1..=i64::try_from(count).unwrap()));
        }
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_events_are_skipped_also_within_one_call() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let events: Vec<LogEvent> = (0..10).map(|n| event(group, n)).collect();
        house.append(events[..6].to_vec()).await;
        house.append([&events[3..], &events[..], &events[9..]].concat()).await;
        house.append(events.clone()).await;
        let entries = house.log().read(0, 0).await.unwrap().entries;
        assert_eq!(entries.iter().filter_map(|entry| entry.event.clone()).collect::<Vec<_>>(), events);
        assert!(entries.iter().map(|entry| entry.sequence).eq(1..=10));
        assert!(entries.is_sorted_by(|a, b| a.position < b.position));
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_keep_their_order_and_what_two_tell_stands_once() {
    both(crate::MIGRATIONS, async |case| {
        let (house, groups) = (House::on(case), [group(), group(), group()]);
        let told: Vec<Vec<LogEvent>> = (0..40).map(|caller| (0..30).map(|n| event(groups[n % 3], caller * 100 + n as i64)).collect()).collect();
        futures::future::join_all(told.iter().chain(&told).map(|events| house.append(events.clone()))).await;
        for group in groups {
            let seen = house.watch(group, From::Beginning(true), "").await.unwrap().take(400).await;
            assert!(seen.iter().map(|event| event.sequence).eq(1..=400));
            let place = |id: &[u8]| seen.iter().position(|seen| seen.id == Uuid::from_slice(id).unwrap().to_string()).unwrap();
            for events in &told {
                assert!(events.iter().filter(|event| event.group_id == bytes(*group)).map(|event| place(&event.id)).is_sorted());
            }
        }
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_in_two_groups_is_two_events() {
    both(crate::MIGRATIONS, async |case| {
        let (house, ours, theirs) = (House::on(case), group(), group());
        let one = event(ours, 5);
        let other = LogEvent { group_id: bytes(*theirs), ..one.clone() };
        house.append(vec![one, other]).await;
        assert_eq!(house.log().read(0, 0).await.unwrap().entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 1]);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_is_refused() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let odd = LogEvent {
            r#type: "x".repeat(200),
            call_id: "é".repeat(5_000),
            traceparent: "no trace".to_owned(),
            actor_kind: 99,
            actor_id: bytes::Bytes::new(),
            target_id: bytes::Bytes::from_static(b"short"),
            create_micros: i64::MIN,
            revision: i64::MIN,
            metadata: Some(bytes::Bytes::from_static(b"\xff\xff\xff")),
            ..event(group, 1)
        };
        let late = LogEvent { create_micros: i64::MAX, ..event(group, 2) };
        let nobodys = LogEvent { group_id: bytes::Bytes::from_static(b"short"), ..event(group, 3) };
        house.append(vec![odd, nobodys, late, LogEvent::default(), event(group, 4)]).await;
        let seen = house.watch(group, From::Beginning(true), "").await.unwrap().take(3).await;
        assert_eq!(seen.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((seen[0].metadata.clone(), seen[0].trace_id.as_str()), (None, ""));
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_back_as_it_was_told() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let metadata = Struct { fields: [("n".to_owned(), Value { kind: Some(Kind::NumberValue(299.0)) })].into() };
        let told = LogEvent {
            actor_kind: ActorKind::Application.into(),
            on_behalf_of_id: bytes(Uuid::from_u128(9)),
            revision: 4,
            metadata: Some(metadata.encode_to_vec().into()),
            ..event(group, 1_700_000_000_123_456)
        };
        house.append(vec![told.clone()]).await;
        let id = Uuid::from_slice(&told.id).unwrap().to_string();
        let got = house.of(group).get_event(GetEventRequest { id: id.clone() }).await.unwrap().into_inner();
        let (actor, target) = (got.actor.unwrap(), got.target.unwrap());
        assert_eq!((got.id, got.group_id, got.sequence, got.r#type.as_str()), (id, group.to_string(), 1, "entity_created"));
        assert_eq!(
            (actor.kind(), actor.id, actor.on_behalf_of_id),
            (ActorKind::Application, Uuid::from_u128(7).to_string(), Uuid::from_u128(9).to_string())
        );
        assert_eq!((target.kind.as_str(), target.revision), ("thing", 4));
        assert_eq!(got.create_time, Some(contract::time::timestamp(1_700_000_000_123_456)));
        assert_eq!((got.metadata, got.call_id.as_str(), got.trace_id.as_str()), (Some(metadata), "call-1", "4bf92f3577b34da6a3ce929d0e0e4736"));
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

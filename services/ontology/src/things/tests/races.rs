use super::*;
use futures::future::join_all;

#[tokio::test]
async fn of_fifty_writers_with_one_etag_one_wins() {
    both(async |world| {
        let thing = world.note("a").await;
        let write = async |n: usize| {
            let sent = Thing { name: format!("n{n}"), properties: None, ..thing.clone() };
            world.update(change(sent, &["name"])).await
        };
        let answers = join_all((0..50).map(write)).await;
        let won: Vec<&Thing> = answers.iter().flatten().collect();
        assert_eq!((won.len(), won[0].revision), (1, 2));
        assert!(answers.iter().filter(|answer| answer.is_err()).all(|answer| reason(answer) == Some(Reason::EtagMismatch)));
        assert_eq!(&world.get(&thing.id).await.unwrap(), won[0]);
        assert_eq!(world.events().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn without_an_etag_no_update_is_lost() {
    both(async |world| {
        let thing = world.note("a").await;
        let write = async |n: usize| {
            let name = format!("p{n}");
            let sent = with(Thing { id: thing.id.clone(), ..Default::default() }, json!({ &name: n }));
            world.update(change(sent, &[&format!("properties.{name}")])).await.unwrap()
        };
        join_all((0..30).map(write)).await;
        let after = world.get(&thing.id).await.unwrap();
        assert_eq!((after.revision, properties(&after).as_object().unwrap().len()), (31, 30));
        let revisions: Vec<i64> = world.events().await.iter().map(|(_, _, revision, _)| *revision).collect();
        assert_eq!(revisions, (1..=31).collect::<Vec<i64>>(), "the log has them in order");
    })
    .await;
}

#[tokio::test]
async fn fifty_times_one_request_id_is_one_thing() {
    both(async |world| {
        let request = CreateThingRequest { request_id: request_id(), ..creation(note("a")) };
        let answers = join_all((0..50).map(|_| world.create(request.clone()))).await;
        let kept: Vec<Thing> = answers.into_iter().map(Result::unwrap).collect();
        assert!(kept.iter().all(|thing| thing == &kept[0]));
        assert_eq!(world.events().await.len(), 1);
        let page = world.list(ListThingsRequest::default()).await.unwrap();
        assert_eq!(page.things, kept[..1]);
    })
    .await;
}

#[tokio::test]
async fn a_quota_is_never_passed_and_archived_things_count() {
    both(async |mut world| {
        world.who.quotas.things = 10;
        let answers = join_all((0..30).map(|_| world.create(creation(note("a"))))).await;
        let made: Vec<&Thing> = answers.iter().flatten().collect();
        assert_eq!(made.len(), 10);
        assert!(answers.iter().filter(|answer| answer.is_err()).all(|answer| reason(answer) == Some(Reason::QuotaExceeded)));
        world.delete(removal(&made[0].id, "")).await.unwrap();
        let refusal = world.create(creation(note("a"))).await.unwrap_err();
        assert_eq!((refusal.reason(), refusal.code()), (Reason::QuotaExceeded, tonic::Code::ResourceExhausted));
        assert!(refusal.status().get_details_quota_failure().is_some());
        world.who.quotas.things = -1;
        world.note("a").await;
        world.who.quotas.things = 0;
        assert_eq!(reason(&World::new(world.case).limited(0).create(creation(note("a"))).await), Some(Reason::QuotaExceeded));
        assert_eq!(world.events().await.len(), 12);
    })
    .await;
}

impl World<'_> {
    fn limited(mut self, things: i64) -> Self {
        self.who.quotas.things = things;
        self
    }
}

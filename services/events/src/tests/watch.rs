use super::{House, event, group, house::told, reason};
use contract::{Reason, events::v1::watch_events_request::From};
use std::time::Duration;
use store::testing::both;

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_begins_at_the_beginning_at_now_or_after_a_cursor() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append((0..5).map(|n| event(group, n)).collect()).await;
        let mut all = house.watch(group, From::Beginning(true), "").await.unwrap();
        assert_eq!(all.sequences(5).await, [1, 2, 3, 4, 5]);
        let mut now = house.watch(group, From::Now(true), "").await.unwrap();
        assert!(now.next().await.unwrap().is_empty(), "where it stands is told at once");
        let mut resumed = house.watch(group, From::Cursor(all.cursor.clone()), "").await.unwrap();
        house.append((5..8).map(|n| event(group, n)).collect()).await;
        for watch in [&mut all, &mut now, &mut resumed] {
            assert_eq!(watch.sequences(3).await, [6, 7, 8]);
        }
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_can_be_watched_from_every_beginning() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let mut first = house.watch(group, From::Beginning(true), "").await.unwrap();
        assert!(first.next().await.unwrap().is_empty());
        let mut resumed = house.watch(group, From::Cursor(first.cursor.clone()), "").await.unwrap();
        house.append(vec![event(group, 1)]).await;
        assert_eq!((first.sequences(1).await, resumed.sequences(1).await), (vec![1], vec![1]));
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sees_what_another_replica_appended() {
    both(crate::MIGRATIONS, async |case| {
        let (here, there, group) = (House::on(case), House::on(case), group());
        let mut watch = here.watch(group, From::Now(true), "").await.unwrap();
        for n in 1..=3 {
            there.append(vec![event(group, n)]).await;
            assert_eq!(watch.sequences(1).await, [n]);
        }
        here.end().await;
        there.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_watch_says_where_it_stands() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::with_heartbeat(case, Duration::from_millis(20)), group());
        let mut watch = house.watch(group, From::Now(true), "").await.unwrap();
        for _ in 0..3 {
            assert!(watch.next().await.unwrap().is_empty());
        }
        house.append(vec![event(group, 1)]).await;
        assert_eq!(house.watch(group, From::Cursor(watch.cursor), "").await.unwrap().sequences(1).await, [1]);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_filtered_out_moves_the_cursor_all_the_same() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let mut none = house.watch(group, From::Now(true), r#"type = "group_created""#).await.unwrap();
        none.next().await.unwrap();
        house.append((0..5).map(|n| event(group, n)).collect()).await;
        assert!(none.next().await.unwrap().is_empty());
        let mut resumed = house.watch(group, From::Cursor(none.cursor.clone()), "").await.unwrap();
        house.append(vec![event(group, 9)]).await;
        assert_eq!(resumed.sequences(1).await, [6], "another filter goes on with the same cursor");
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_watchers_share_the_reads() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let mut watches = Vec::new();
        for _ in 0..100 {
            watches.push(house.watch(group, From::Now(true), "").await.unwrap());
        }
        house.append((0..50).map(|n| event(group, n)).collect()).await;
        for watch in &mut watches {
            assert!(watch.sequences(50).await.into_iter().eq(1..=50));
        }
        let reads = house.events.log.reads();
        assert!(reads < 10, "{reads} reads for 100 watchers");
        drop(watches);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_watcher_misses_nothing_and_holds_no_rows() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let mut slow = house.watch(group, From::Now(true), "").await.unwrap();
        let mut quick = house.watch(group, From::Now(true), "").await.unwrap();
        for start in [0, 600, 1200] {
            house.append((start..start + 600).map(|n| event(group, n)).collect()).await;
            quick.take(600).await;
        }
        assert!(slow.sequences(1800).await.into_iter().eq(1..=1800));
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_every_watch_with_a_cursor_that_resumes() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append(vec![event(group, 1)]).await;
        let mut watch = house.watch(group, From::Beginning(true), "").await.unwrap();
        assert_eq!(watch.sequences(1).await, [1]);
        house.drain.cancel();
        let ended = watch.next().await.unwrap_err();
        assert_eq!((reason(&ended), ended.code()), (Reason::ShuttingDown, tonic::Code::Unavailable));
        let next = House::on(case);
        next.append(vec![event(group, 2)]).await;
        for cursor in [watch.cursor.clone(), told(&ended, "cursor")] {
            assert_eq!(next.watch(group, From::Cursor(cursor), "").await.unwrap().sequences(1).await, [2]);
        }
        house.end().await;
        next.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_says_where_it_begins() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        for from in [From::Beginning(false), From::Now(false), From::Cursor(String::new())] {
            let refused = house.watch(group, from, "").await.err().unwrap();
            assert_eq!(reason(&refused), Reason::InvalidField);
        }
        house.end().await;
    })
    .await;
}

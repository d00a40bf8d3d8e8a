use super::{House, event, group, house::told, reason};
use contract::{Reason, events::v1::watch_events_request::From, id::GroupId, internal::v1::LogEvent};
use store::{At, consumer::Source, testing::both};

fn events(group: GroupId, count: i64) -> Vec<LogEvent> {
    (1..=count).map(|n| event(group, n * 1_000)).collect()
}

/// Forgets all from before that time.
async fn retain(house: &House, group: GroupId, keep_from: i64) -> u32 {
    let mut rounds = 1;
    while house.events.log.retain(group, At(keep_from)).await.unwrap() {
        rounds += 1;
    }
    rounds
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_goes_in_bounded_steps_and_the_floor_goes_with_it() {
    both(crate::MIGRATIONS, async |case| {
        let (house, ours, theirs) = (House::on(case), group(), group());
        house.append(events(theirs, 3)).await;
        house.append(events(ours, 2_500)).await;
        assert_eq!(retain(&house, ours, 2_301 * 1_000).await, 3);
        let mut kept = house.watch(ours, From::Beginning(true), "").await.unwrap();
        assert!(kept.sequences(200).await.into_iter().eq(2_301..=2_500));
        assert_eq!(house.watch(theirs, From::Beginning(true), "").await.unwrap().sequences(3).await, [1, 2, 3]);
        house.append(vec![event(ours, 9_000_000)]).await;
        assert_eq!(kept.sequences(1).await, [2_501], "numbers go on");
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_older_than_retention_is_told_the_oldest_that_is_kept() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append(events(group, 10)).await;
        let cursor_after = async |count| {
            let mut watch = house.watch(group, From::Beginning(true), "").await.unwrap();
            watch.take(count).await;
            watch.cursor
        };
        let end = cursor_after(10).await;
        let fresh = house.events.log.cursor(group, 0);
        retain(&house, group, 8_000).await;
        let ended = house.watch(group, From::Cursor(fresh), "").await.err().unwrap();
        assert_eq!(reason(&ended), Reason::CursorOutOfRange);
        let mut resumed = house.watch(group, From::Cursor(told(&ended, "oldest_cursor")), "").await.unwrap();
        assert_eq!(resumed.sequences(3).await, [8, 9, 10]);
        assert!(house.watch(group, From::Cursor(end), "").await.is_ok());
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_retention_overtakes_ends_and_says_so() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append(events(group, 1_700)).await;
        let mut slow = house.events.log.watch(group, crate::log::From::Beginning).await.unwrap();
        assert_eq!(slow.next().await.unwrap().rows().len(), 500);
        retain(&house, group, 1_601_000).await;
        let ended = slow.next().await.err().unwrap();
        assert!(matches!(ended, crate::log::Error::OutOfRange { after: 1_600 }), "{ended}");
        let told = house.events.log.refused(group, ended).status();
        assert_eq!(reason(&told), Reason::CursorOutOfRange);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_events_between_younger_ones_wait_for_their_turn() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append(vec![event(group, 1_000), event(group, 9_000), event(group, 2_000)]).await;
        retain(&house, group, 5_000).await;
        assert_eq!(house.watch(group, From::Beginning(true), "").await.unwrap().sequences(2).await, [2, 3]);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_below_the_floor_or_ahead_of_the_log_is_out_of_range() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append(events(group, 10)).await;
        retain(&house, group, 6_000).await;
        for lost in [2, 11, i64::MAX] {
            assert_eq!(reason(&house.log().read(lost, 0).await.unwrap_err()), Reason::CursorOutOfRange, "{lost}");
        }
        assert_eq!(house.log().read(0, 0).await.unwrap().entries.len(), 5, "a new consumer takes what is kept");
        assert_eq!(house.log().read(7, 0).await.unwrap().entries.len(), 3);
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_consumer_reads_all_that_is_kept_below_the_floor_too() {
    both(crate::MIGRATIONS, async |case| {
        let (house, short, long) = (House::on(case), group(), group());
        house.append((1..=400).flat_map(|n| [event(short, n * 1_000), event(long, n * 1_000)]).collect()).await;
        retain(&house, short, 391_000).await;
        let mut positions = Vec::new();
        let first = house.log().read(0, 0).await.unwrap();
        let mut entries = first.entries;
        while positions.len() < 410 {
            positions.extend(entries.iter().map(|entry| entry.position));
            if positions.len() < 410 {
                entries = house.log().read(*positions.last().unwrap(), first.floor).await.unwrap().entries;
            }
        }
        assert_eq!(positions.len(), 410, "400 of the one, 10 of the other");
        // Who had a position before is told, and so is a new one when more goes while it reads.
        assert_eq!(reason(&house.log().read(positions[0], 0).await.unwrap_err()), Reason::CursorOutOfRange);
        retain(&house, short, 395_000).await;
        assert_eq!(reason(&house.log().read(positions[0], first.floor).await.unwrap_err()), Reason::CursorOutOfRange);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_forget_is_no_error() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        assert_eq!(retain(&house, group, i64::MAX).await, 1);
        house.append(events(group, 3)).await;
        assert_eq!(retain(&house, group, i64::MAX).await, 1);
        let mut watch = house.watch(group, From::Beginning(true), "").await.unwrap();
        assert!(watch.next().await.unwrap().is_empty());
        house.append(vec![event(group, 9_000)]).await;
        assert_eq!(watch.sequences(1).await, [4]);
        house.end().await;
    })
    .await;
}

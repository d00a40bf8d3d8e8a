use super::{House, event, group, house::told, reason};
use contract::{Reason, events::v1::watch_events_request::From, id::GroupId};
use store::testing::{Case, both};

async fn refused(house: &House, group: GroupId, cursor: String) -> Reason {
    reason(&house.watch(group, From::Cursor(cursor), "").await.err().expect("a refusal"))
}

#[tokio::test(flavor = "multi_thread")]
async fn adv_cve_2026_27840_a_cursor_that_was_changed_cut_or_made_longer_is_refused() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append(vec![event(group, 1)]).await;
        let mut watch = house.watch(group, From::Beginning(true), "").await.unwrap();
        watch.take(1).await;
        let cursor = watch.cursor.clone();
        for at in 0..cursor.len() {
            if at > 0 {
                assert_eq!(refused(&house, group, cursor[..at].to_owned()).await, Reason::InvalidCursor, "cut at {at}");
            }
            let other = if cursor.as_bytes()[at] == b'A' { "B" } else { "A" };
            let flipped = format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]);
            assert_eq!(refused(&house, group, flipped).await, Reason::InvalidCursor, "changed at {at}");
        }
        for more in ["A", "=", "\n", &cursor] {
            assert_eq!(refused(&house, group, format!("{cursor}{more}")).await, Reason::InvalidCursor);
        }
        for nonsense in ["1", "ü", "'; drop table event; --", &"A".repeat(512)] {
            assert_eq!(refused(&house, group, nonsense.to_owned()).await, Reason::InvalidCursor);
        }
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_groups_cursor_is_refused() {
    both(crate::MIGRATIONS, async |case| {
        let (house, ours, theirs) = (House::on(case), group(), group());
        house.append(vec![event(ours, 1), event(theirs, 1)]).await;
        let mut watch = house.watch(theirs, From::Beginning(true), "").await.unwrap();
        watch.take(1).await;
        assert_eq!(refused(&house, ours, watch.cursor).await, Reason::InvalidCursor);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_ahead_of_a_restored_log_is_out_of_range() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append((0..9).map(|n| event(group, n)).collect()).await;
        let mut watch = house.watch(group, From::Beginning(true), "").await.unwrap();
        watch.take(9).await;
        // The backup knew five of them.
        let backup = Case::sqlite(crate::MIGRATIONS).await;
        let restored = House::on(&backup);
        restored.append((0..5).map(|n| event(group, n)).collect()).await;
        let ended = restored.watch(group, From::Cursor(watch.cursor), "").await.err().unwrap();
        assert_eq!((reason(&ended), ended.code()), (Reason::CursorOutOfRange, tonic::Code::OutOfRange));
        let oldest = told(&ended, "oldest_cursor");
        assert_eq!(restored.watch(group, From::Cursor(oldest), "").await.unwrap().sequences(5).await, [1, 2, 3, 4, 5]);
        restored.end().await;
        backup.end().await;
        house.end().await;
    })
    .await;
}

#![allow(clippy::unwrap_used)]

use super::*;
use crate::MIGRATIONS;
use futures::future::join_all;
use store::testing::{Case, both};

async fn record_all(db: &Db, subjects: &[Uuid]) {
    let mut tx = db.system("test").begin().await.unwrap();
    record(&mut tx, subjects).await.unwrap();
    tx.commit().await.unwrap();
}

async fn head(changes: &Changes) -> i64 {
    head::read(&changes.db).await.unwrap().position
}

fn ids(answer: &ListChangesResponse) -> Vec<Uuid> {
    answer.ids.iter().map(|id| Uuid::from_slice(id).unwrap()).collect()
}

fn feed(case: &Case) -> Changes {
    Changes::new(case.db.clone())
}

#[tokio::test]
async fn who_knows_nothing_or_too_much_begins_anew() {
    both(MIGRATIONS, async |case| {
        let changes = feed(case);
        let first = changes.after(0).await.unwrap();
        assert!(first.reset && first.ids.is_empty() && first.head > 0 && first.after == 0);
        let position = i64::try_from(first.head).unwrap();
        assert!(changes.after(position + 1).await.unwrap().reset, "ahead of the feed: a restored backup");
        assert!(changes.after(i64::MAX).await.unwrap().reset);
        let quiet = changes.after(position).await.unwrap();
        assert_eq!(quiet, ListChangesResponse { after: first.head, head: first.head, ids: vec![], reset: false });
        case.explain_all().await;
    })
    .await;
}

#[tokio::test]
async fn a_question_is_answered_by_news_from_here_and_from_another_replica() {
    both(MIGRATIONS, async |case| {
        let changes = feed(case);
        let (mut after, replica) = (head(&changes).await, case.again().await);
        for (db, is_hinted) in [(&case.db, true), (&replica, false)] {
            let id = Uuid::new_v4();
            let change = async {
                record_all(db, &[id]).await;
                if is_hinted {
                    changes.hint();
                }
            };
            let (answer, ()) = tokio::join!(changes.after(after), change);
            let mut answer = answer.unwrap();
            if answer.ids.is_empty() {
                answer = changes.after(after).await.unwrap(); // the change took longer than the question waited
            }
            assert_eq!(ids(&answer), [id]);
            after = i64::try_from(answer.head).unwrap();
        }
        replica.close().await;
        case.explain_all().await;
    })
    .await;
}

#[tokio::test]
async fn many_who_wait_share_the_reads() {
    both(MIGRATIONS, async |case| {
        let changes = feed(case);
        let after = head(&changes).await;
        let begun = Instant::now();
        let first = changes.reads.since(&case.db, begun).await.unwrap();
        record_all(&case.db, &[Uuid::new_v4()]).await;
        assert_eq!(changes.reads.since(&case.db, begun).await.unwrap(), first, "a read that began after the question will do");
        assert_ne!(changes.reads.since(&case.db, Instant::now()).await.unwrap(), first, "one that began before will not");
        let answers = join_all((0..50).map(|_| changes.after(after))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap().ids.len() == 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_many_writers_a_reader_misses_nothing_and_sees_nothing_twice() {
    both(MIGRATIONS, async |case| {
        let (changes, replica) = (feed(case), case.again().await);
        let mut after = head(&changes).await;
        let mut expected: Vec<Uuid> = (1..=600).map(Uuid::from_u128).collect();
        let writers = join_all(expected.chunks(10).zip([&case.db, &replica].into_iter().cycle()).map(async |(some, db)| {
            for pair in some.chunks(2) {
                record_all(db, pair).await;
            }
        }));
        let reader = async {
            let mut seen = Vec::new();
            while seen.len() < 600 {
                let answer = changes.after(after).await.unwrap();
                assert!(!answer.reset);
                assert_eq!(usize::try_from(answer.head).unwrap() - usize::try_from(after).unwrap(), answer.ids.len(), "no number is skipped");
                after = i64::try_from(answer.head).unwrap();
                seen.extend(ids(&answer));
            }
            seen
        };
        let (_, mut seen) = tokio::join!(writers, reader);
        assert!(seen.chunks(2).all(|pair| pair[0].as_u128() + 1 == pair[1].as_u128()), "what one transaction changed stands together");
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected);
        replica.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_holds_a_thousand_and_the_next_one_goes_on() {
    both(MIGRATIONS, async |case| {
        let changes = feed(case);
        let after = head(&changes).await;
        let subjects: Vec<Uuid> = (1..=1_200).map(Uuid::from_u128).collect();
        for some in subjects.chunks(300) {
            record_all(&case.db, some).await;
        }
        let first = changes.after(after).await.unwrap();
        let second = changes.after(i64::try_from(first.head).unwrap()).await.unwrap();
        assert_eq!((first.ids.len(), second.ids.len()), (1_000, 200));
        assert_eq!([ids(&first), ids(&second)].concat(), subjects);
    })
    .await;
}

#[tokio::test]
async fn what_was_thrown_away_is_a_reset_and_what_is_kept_is_not() {
    both(MIGRATIONS, async |case| {
        let changes = feed(case);
        let first = head(&changes).await;
        let subjects: Vec<Uuid> = (1..=1_100).map(Uuid::from_u128).collect();
        for some in subjects.chunks(550) {
            record_all(&case.db, some).await;
        }
        assert_eq!(changes.purge().await.unwrap(), 0, "all of it is young");
        case.clock.advance(KEPT + Duration::from_secs(1));
        let (young, middle) = (Uuid::new_v4(), head(&changes).await);
        record_all(&case.db, &[young]).await;
        assert_eq!(changes.purge().await.unwrap(), 1_100);
        assert!(changes.after(first).await.unwrap().reset);
        assert!(changes.after(middle - 1).await.unwrap().reset);
        let answer = changes.after(middle).await.unwrap();
        assert_eq!((ids(&answer), answer.reset), (vec![young], false));
        assert_eq!(changes.purge().await.unwrap(), 0);
        case.explain_all().await;
    })
    .await;
}

#[tokio::test]
async fn a_change_that_is_rolled_back_leaves_no_gap() {
    both(MIGRATIONS, async |case| {
        let changes = feed(case);
        let after = head(&changes).await;
        let mut tx = case.db.system("test").begin().await.unwrap();
        record(&mut tx, &[Uuid::new_v4()]).await.unwrap();
        tx.undo().await.unwrap();
        let id = Uuid::new_v4();
        record_all(&case.db, &[id]).await;
        let answer = changes.after(after).await.unwrap();
        assert_eq!((ids(&answer), i64::try_from(answer.head).unwrap()), (vec![id], after + 1));
    })
    .await;
}

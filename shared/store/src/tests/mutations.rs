//! One request, one effect, one answer.

use super::fixture::{MIGRATIONS, Made, Make, group, make, notes, principal, rows, send};
use crate::{NewEvent, Target, Tx, testing::both};
use chassis::principal::Principal;
use contract::{Reason, Refusal, id::GroupId};
use futures::{FutureExt, future::join_all};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

fn id() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::test]
async fn a_change_its_event_and_its_answer_are_kept_together() {
    both(MIGRATIONS, async |case| {
        let who = principal(group());
        let mut request = tonic::Request::new(make("a", &id()));
        request.extensions_mut().insert(Arc::new(who.clone()));
        let answer: tonic::Response<Made> =
            case.db.mutate(request, |principal, tx, input| super::fixture::create(principal, tx, input).boxed()).await.unwrap();
        assert_eq!(answer.get_ref().text, "a");
        assert_eq!(notes(&case.db, who.group).await, ["a"]);
        let queued: (String, String, i64, String) =
            case.db.system("test").sql("select type, traceparent, revision, call_id from outbox").one().await.unwrap();
        assert_eq!(queued, ("note_created".into(), who.traceparent.clone(), 1, "call".into()));
        assert_eq!(rows(&case.db, "select n from counter").await, 1);
    })
    .await;
}

#[tokio::test]
async fn the_same_request_again_has_one_effect_and_the_same_answer() {
    both(MIGRATIONS, async |case| {
        let (who, request) = (principal(group()), make("a", &id()));
        let first = send(&case.db, &who, request.clone()).await.unwrap();
        let again = send(&case.db, &who, request.clone()).await.unwrap();
        assert_eq!(first, again);
        let next = case.again().await; // also after the next start, and on another replica
        assert_eq!(send(&next, &who, request.clone()).await.unwrap(), first);
        next.close().await;
        let other = send(&case.db, &who, Make { text: "b".into(), ..request }).await.unwrap_err();
        assert_eq!(other.reason(), Reason::RequestIdReused);
        assert_eq!(notes(&case.db, who.group).await, ["a"]);
        assert_eq!(rows(&case.db, "select count(*) from outbox where number > 0").await, 1);
        case.db.purge().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn fifty_at_once_have_one_effect_and_one_answer() {
    both(MIGRATIONS, async |case| {
        let (who, request) = (principal(group()), make("a", &id()));
        let answers = join_all((0..50).map(|_| send(&case.db, &who, request.clone()))).await;
        let first = answers[0].clone().unwrap();
        assert!(answers.into_iter().all(|answer| answer.unwrap() == first));
        assert_eq!(notes(&case.db, who.group).await, ["a"]);
        assert_eq!(rows(&case.db, "select count(*) from outbox where number > 0").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_request_id_belongs_to_its_tenant_and_its_caller() {
    both(MIGRATIONS, async |case| {
        let request_id = id();
        let who = principal(group());
        let mut colleague = principal(who.group);
        colleague.credential.id = Uuid::new_v4();
        for (who, text) in [(&who, "a"), (&colleague, "b"), (&principal(group()), "c")] {
            assert_eq!(send(&case.db, who, make(text, &request_id)).await.unwrap().text, text);
        }
        assert_eq!(notes(&case.db, who.group).await, ["a", "b"]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_request_is_not_remembered() {
    both(MIGRATIONS, async |case| {
        let (who, request_id) = (principal(group()), id());
        send(&case.db, &who, make("a", &id())).await.unwrap();
        let full = Make { limit: 1, ..make("b", &request_id) };
        let refusal = send(&case.db, &who, full).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::QuotaExceeded);
        send(&case.db, &who, make("b", &request_id)).await.unwrap();
        assert_eq!(notes(&case.db, who.group).await, ["a", "b"]);
    })
    .await;
}

#[tokio::test]
async fn fifty_at_once_get_no_more_than_the_quota() {
    both(MIGRATIONS, async |case| {
        let who = principal(group());
        let answers = join_all((0..50).map(|n| send(&case.db, &who, Make { limit: 7, ..make(&n.to_string(), "") }))).await;
        let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), refused.len()), (7, 43));
        assert!(refused.iter().all(|answer| answer.as_ref().is_err_and(|refusal| refusal.reason() == Reason::QuotaExceeded)));
        assert_eq!(notes(&case.db, who.group).await.len(), 7);
    })
    .await;
}

/// A handler that only writes: on SQLite all of it is one job of the writer.
async fn create_unread(principal: &Principal, tx: &mut Tx, input: Make) -> Result<Made, Refusal> {
    let id = Uuid::new_v4();
    let sql = tx.sql("insert into note (group_id, id, text, revision) values ($1, $2, $3, 1)");
    sql.bind(principal.group).bind(id).bind(input.text.as_str()).later().await?;
    tx.count("notes", principal.group, 1, input.limit).await?;
    tx.emit(NewEvent { group: principal.group, kind: "note_created", target: Target { kind: "note", id, revision: 1 }, metadata: None })?;
    Ok(Made { id: id.to_string(), text: input.text })
}

#[tokio::test]
async fn a_job_that_fails_or_is_refused_harms_no_neighbour() {
    both(MIGRATIONS, async |case| {
        let who = principal(group());
        send(&case.db, &who, make("taken", &id())).await.unwrap();
        let requests: Vec<Make> = (0..60)
            .map(|n| match n % 3 {
                0 => make(&format!("{n:02}"), &id()),
                1 => make("taken", &id()),
                _ => Make { limit: 1, ..make(&format!("{n:02}"), &id()) },
            })
            .collect();
        let ask = || join_all(requests.iter().map(|request| case.db.change(&who, request.clone(), |p, tx, m| create_unread(p, tx, m).boxed())));
        let answers = ask().await;
        for (n, answer) in answers.iter().enumerate() {
            match n % 3 {
                0 => assert_eq!(answer.as_ref().unwrap().text, format!("{n:02}")),
                1 => assert_eq!(answer.as_ref().unwrap_err().reason(), Reason::Internal),
                _ => assert_eq!(answer.as_ref().unwrap_err().reason(), Reason::QuotaExceeded),
            }
        }
        assert!(ask().await.iter().zip(&answers).step_by(3).all(|(again, first)| again.as_ref().unwrap() == first.as_ref().unwrap()));
        let kept = (0..60).step_by(3).map(|n| format!("{n:02}")).chain(["taken".to_owned()]);
        assert_eq!(notes(&case.db, who.group).await, kept.collect::<Vec<_>>());
        assert_eq!(rows(&case.db, "select count(*) from outbox where number > 0").await, 21);
        assert_eq!(rows(&case.db, "select n from counter").await, 21);
    })
    .await;
}

#[tokio::test]
async fn validate_only_runs_everything_and_keeps_nothing() {
    both(MIGRATIONS, async |case| {
        let (who, request) = (principal(group()), make("a", &id()));
        let tried = send(&case.db, &who, Make { validate_only: true, ..request.clone() }).await.unwrap();
        assert_eq!(tried.text, "a");
        let none = Make { validate_only: true, limit: 0, ..request.clone() };
        assert_eq!(send(&case.db, &who, none).await.unwrap_err().reason(), Reason::QuotaExceeded);
        assert!(notes(&case.db, who.group).await.is_empty());
        assert_eq!(rows(&case.db, "select count(*) from outbox where number > 0").await, 0);
        assert_eq!(rows(&case.db, "select count(*) from remembered").await, 0);
        send(&case.db, &who, request).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_forgotten_after_a_day() {
    both(MIGRATIONS, async |case| {
        let (who, request_id) = (principal(group()), id());
        send(&case.db, &who, make("a", &request_id)).await.unwrap();
        case.clock.advance(Duration::from_secs(24 * 3600 + 1));
        // Before the purge as after it: the name is free.
        send(&case.db, &who, make("b", &request_id)).await.unwrap();
        case.clock.advance(Duration::from_secs(24 * 3600 + 1));
        assert_eq!(case.db.purge().await.unwrap(), 1);
        assert_eq!(rows(&case.db, "select count(*) from remembered").await, 0);
        send(&case.db, &who, make("c", &request_id)).await.unwrap();
        assert_eq!(notes(&case.db, who.group).await, ["a", "b", "c"]);
    })
    .await;
}

#[tokio::test]
async fn a_remembered_answer_is_not_readable_in_the_file() {
    both(MIGRATIONS, async |case| {
        send(&case.db, &principal(group()), make("a very secret text", &id())).await.unwrap();
        let (answer,): (Vec<u8>,) = case.db.system("test").sql("select answer from remembered").one().await.unwrap();
        assert!(!answer.windows(6).any(|window| window == b"secret"));
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_worked_on_elsewhere_is_in_progress_until_its_claim_runs_out() {
    both(MIGRATIONS, async |case| {
        let (who, request) = (principal(group()), make("a", &id()));
        send(&case.db, &who, request.clone()).await.unwrap();
        let mut tx = case.db.system("test").begin().await.unwrap();
        let until = tx.now().later(Duration::from_secs(10));
        tx.sql("update remembered set answer = null, held_until = $1").bind(until).run().await.unwrap();
        tx.sql("delete from note").run().await.unwrap();
        tx.commit().await.unwrap();
        let refusal = send(&case.db, &who, request.clone()).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::RequestInProgress);
        assert!(refusal.retry_after().is_some_and(|wait| wait <= Duration::from_secs(10)));
        case.clock.advance(Duration::from_secs(11));
        assert_eq!(send(&case.db, &who, request).await.unwrap().text, "a");
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_a_handler_leaves_nothing() {
    both(MIGRATIONS, async |case| {
        let who = principal(group());
        let (db, asked) = (case.db.clone(), who.clone());
        let panicked = tokio::spawn(async move {
            db.change::<Make, Made, _>(&asked, make("a", &id()), |principal, tx, input| {
                async move {
                    super::fixture::create(principal, tx, input).await?;
                    panic!("a handler's bug")
                }
                .boxed()
            })
            .await
        });
        assert!(panicked.await.is_err_and(|error| error.is_panic()));
        assert!(notes(&case.db, who.group).await.is_empty());
        assert_eq!(rows(&case.db, "select count(*) from remembered").await, 0);
        send(&case.db, &who, make("a", "")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn every_statement_of_a_mutation_has_an_index() {
    both(MIGRATIONS, async |case| {
        let (who, request) = (principal(GroupId::default()), make("a", &id()));
        send(&case.db, &who, request.clone()).await.unwrap();
        send(&case.db, &who, request).await.unwrap();
        case.clock.advance(Duration::from_secs(48 * 3600));
        case.db.purge().await.unwrap();
        case.explain_all().await;
    })
    .await;
}

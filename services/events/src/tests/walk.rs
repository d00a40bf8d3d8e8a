//! Which way a list goes through the table: along one index, in its order, in both directions.

use super::{House, event, group};
use contract::{events::v1::ListEventsRequest, internal::v1::LogEvent};
use store::{
    Dialect, Text,
    testing::{Case, both},
};
use uuid::Uuid;

/// The statement with literals for its values.
fn explained(text: &Text) -> &'static str {
    let literal = |kind: &str| match kind {
        "UUID" => format!("'{}'", Uuid::from_u128(7)),
        "BIGINT" => "10".to_owned(),
        "TIMESTAMPTZ" => "'2026-01-01T00:00:00Z'".to_owned(),
        _ => "'x'".to_owned(),
    };
    let values = text.types.iter().enumerate().rev();
    let filled = values.fold(text.text.clone(), |filled, (place, kind)| filled.replace(&format!("${}", place + 1), &literal(kind)));
    let how = if text.dialect == Dialect::Sqlite { "explain query plan" } else { "explain" };
    Box::leak(format!("{how} {filled}").into_boxed_str())
}

async fn plan(case: &Case, text: &Text) -> String {
    let mut tx = case.db.system("a test explains").begin().await.unwrap();
    let steps: Vec<String> = match case.dialect {
        Dialect::Sqlite => {
            let rows: Vec<(i64, i64, i64, String)> = tx.sql(explained(text)).all().await.unwrap();
            rows.into_iter().map(|row| row.3).collect()
        }
        Dialect::Postgres => {
            for off in ["set local enable_seqscan = off", "set local enable_bitmapscan = off", "set local enable_sort = off"] {
                tx.sql(off).run().await.unwrap();
            }
            let rows: Vec<(String,)> = tx.sql(explained(text)).all().await.unwrap();
            rows.into_iter().map(|row| row.0).collect()
        }
    };
    steps.join("\n")
}

/// The list's own statement among those that ran.
fn statement(case: &Case, before: &[Text]) -> Text {
    let ran = case.options.texts.as_ref().unwrap().all();
    let new: Vec<Text> = ran.into_iter().filter(|text| !before.contains(text) && text.text.contains("order by event_id")).collect();
    assert_eq!(new.len(), 1, "one statement a page: {new:?}");
    new.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_alone_or_with_time_walks_its_own_index_in_order() {
    let id = Uuid::from_u128(7);
    let filters = [
        (String::new(), "event_id"),
        ("type = entity_created".to_owned(), "event_type"),
        (format!("actor_id = {id}"), "event_actor"),
        (format!("target_id = {id}"), "event_target"),
    ];
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let events: Vec<LogEvent> = (0..100).map(|n| event(group, n * 1000)).collect();
        house.append(events).await;
        for (filter, index) in &filters {
            for order_by in ["", "create_time"] {
                for time in ["", "create_time > 1970-01-01T00:00:00.01Z create_time <= 1970-01-01T00:00:00.05Z"] {
                    let before = case.options.texts.as_ref().unwrap().all();
                    let request =
                        ListEventsRequest { filter: format!("{filter} {time}"), order_by: order_by.to_owned(), ..ListEventsRequest::default() };
                    house.of(group).list_events(request).await.unwrap();
                    let plan = plan(case, &statement(case, &before)).await;
                    assert!(!plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "{filter} {time} {order_by}: {plan}");
                    assert!(plan.contains(index), "{filter} {time} {order_by} should walk {index}: {plan}");
                }
            }
        }
        house.end().await;
    })
    .await;
}

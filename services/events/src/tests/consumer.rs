//! `store::Consumer` against this log: each event has its effect once, whoever else consumes and whatever fails.

use super::{House, event, group};
use contract::{Reason, Refusal, internal::v1::Entry};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use store::{
    BASE, Consumer, Migration, Tx,
    consumer::Effect,
    testing::{Case, both},
};
use tokio_util::sync::CancellationToken;

const READER: &[Migration] =
    &[BASE, Migration { version: 2, name: "seen", min_reader: 0, sql: &["create table seen (position bigint primary key, times bigint not null)"] }];

/// Counts how often each position was seen; refuses each third batch after having counted it.
#[derive(Clone, Default)]
struct Counting {
    batches: Arc<AtomicU64>,
}

impl Effect for Counting {
    async fn apply(&mut self, tx: &mut Tx, entries: &[Entry]) -> Result<(), Refusal> {
        for entry in entries {
            tx.sql("insert into seen (position, times) values ($1, 1) on conflict (position) do update set times = seen.times + 1")
                .bind(entry.position)
                .run()
                .await?;
        }
        match self.batches.fetch_add(1, Relaxed) % 3 {
            1 => Err(Refusal::new(Reason::Overloaded, "not now")),
            _ => Ok(()),
        }
    }
}

async fn seen(case: &Case) -> (i64, i64) {
    let sql = case.db.system("a test counts").sql("select count(*), coalesce(cast(sum(times) as bigint), 0) from seen");
    sql.one().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_has_its_effect_once() {
    both(crate::MIGRATIONS, async |case| {
        let (house, stop) = (House::on(case), CancellationToken::new());
        let reader = match case.dialect {
            store::Dialect::Sqlite => Case::sqlite(READER).await,
            store::Dialect::Postgres => Case::postgres(READER).await,
        };
        let effect = Counting::default();
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let consumer = Consumer::new(reader.db.clone(), "counting", house.log(), effect.clone(), Duration::from_millis(20));
                tokio::spawn(consumer.run(stop.clone()))
            })
            .collect();
        let groups = [group(), group()];
        for start in (0..900).step_by(30) {
            house.append((start..start + 30).map(|n| event(groups[usize::from(n % 2 == 0)], n)).collect()).await;
            reader.clock.advance(Duration::from_millis(15)); // leases end at any time
        }
        tokio::time::timeout(Duration::from_secs(60), async {
            while seen(&reader).await.0 < 900 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("all are seen");
        stop.cancel();
        for consumer in consumers {
            consumer.await.unwrap();
        }
        assert_eq!(seen(&reader).await, (900, 900));
        case.explain_all().await;
        house.end().await;
        reader.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_at_the_end_waits_though_positions_have_stepped() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let known: Vec<_> = (0..5).map(|n| event(group, n)).collect();
        house.append(known.clone()).await;
        house.append(known).await; // takes five positions and gives none of them away
        let log = &house.events.log;
        let last = log.read(0, 0, Duration::ZERO).await.unwrap().rows.last().unwrap().position;
        let before = log.reads();
        assert!(log.read(last, 0, Duration::from_millis(300)).await.unwrap().rows.is_empty());
        assert!(log.reads() - before <= 3, "{} reads while nothing came", log.reads() - before);
        let (waiting, _) = tokio::join!(log.read(last, 0, Duration::from_secs(60)), house.append(vec![event(group, 9)]));
        assert_eq!(waiting.unwrap().rows.len(), 1);
        house.end().await;
    })
    .await;
}

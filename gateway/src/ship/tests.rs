#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    layer::testing::{call, routed},
    record::{BATCH, Entry, Recorder},
};
use chassis::{clock::Clock, serve::Limits};
use contract::internal::v1::{
    AppendRequestsResponse,
    request_log_service_server::{RequestLogService, RequestLogServiceServer},
};
use prost::Message;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::{sync::Notify, task::JoinHandle};
use tonic::{Request, Response};

/// An events service that answers when it wants to.
#[derive(Clone, Default)]
struct Log {
    /// So many of the next batches are taken, and their answers lost.
    loses: Arc<AtomicUsize>,
    /// Never answers while it is set.
    silent: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<AppendRequestsRequest>>>,
    news: Arc<Notify>,
}

#[tonic::async_trait]
impl RequestLogService for Log {
    async fn append_requests(&self, request: Request<AppendRequestsRequest>) -> Result<Response<AppendRequestsResponse>, Status> {
        if self.silent.load(SeqCst) > 0 {
            std::future::pending::<()>().await;
        }
        self.taken.lock().unwrap().push(request.into_inner());
        self.news.notify_one();
        match self.loses.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(Status::unavailable("it was taken, but nobody knows")),
            Err(_) => Ok(Response::new(AppendRequestsResponse {})),
        }
    }
}

const GATHER: Duration = Duration::from_secs(1);

struct House {
    log: Log,
    recorder: Arc<Recorder>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl House {
    fn new(log: Log) -> Self {
        let (recorder, records) = Recorder::new(Clock::system());
        let stop = CancellationToken::new();
        let channel = RequestLogServiceServer::new(log.clone());
        let running = tokio::spawn(Shipper::new(records, channel, GATHER).run(stop.clone()));
        Self { log, recorder, stop, running }
    }

    /// So many requests, whose latest has that id.
    fn record(&self, ids: impl IntoIterator<Item = usize>) {
        for id in ids {
            let mut call = call("/x", &[]);
            call.id = id.to_string().parse().unwrap();
            Entry::new(&call, &self.recorder).finish();
        }
    }

    /// Ids of all that was taken, each batch once.
    fn ids(&self) -> Vec<String> {
        let taken = self.log.taken.lock().unwrap();
        let mut batches: Vec<&AppendRequestsRequest> = taken.iter().collect();
        batches.dedup_by_key(|batch| batch.batch);
        batches.iter().flat_map(|batch| &batch.records).map(|record| record.call_id.clone()).collect()
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            self.log.news.notified().await;
        }
    }

    async fn end(self) -> (Vec<String>, u64) {
        self.stop.cancel();
        let Self { log, recorder, stop, running } = self;
        running.await.unwrap();
        let house = Self { log, recorder, stop, running: tokio::spawn(async {}) };
        (house.ids(), house.recorder.dropped())
    }
}

fn all(count: usize) -> Vec<String> {
    (0..count).map(|id| id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn records_travel_together_by_number_and_by_time() {
    let (house, begun) = (House::new(Log::default()), Instant::now());
    house.record(0..3);
    house.until(|house| house.ids().len() == 3).await;
    assert_eq!(begun.elapsed(), Duration::ZERO, "what is asked now and then waits for nobody");
    house.record(3..5);
    tokio::task::yield_now().await;
    house.record(5..8);
    house.until(|house| house.ids().len() == 8).await;
    assert_eq!(begun.elapsed(), GATHER);
    let count = 8 + 2 * BATCH + 700;
    for some in (8..count).collect::<Vec<_>>().chunks(BATCH) {
        let end = some.last().unwrap() + 1;
        house.record(some.iter().copied());
        house.until(|house| house.ids().len() == end).await;
    }
    let sizes: Vec<usize> = house.log.taken.lock().unwrap().iter().map(|batch| batch.records.len()).collect();
    assert_eq!(sizes, [3, 5, BATCH, BATCH, 700]);
    assert_eq!(house.end().await, (all(count), 0));
}

/// What the listener of a service of its own refuses by its length would be sent again for ever.
#[tokio::test(start_paused = true)]
async fn the_largest_batch_is_one_message() {
    const IDS: usize = 8 * 18; // a stranger has none of a caller's
    let house = House::new(Log::default());
    let call = routed(call("/one.ontology.v1.ThingService/CreateThing", &[("user-agent", &"u".repeat(2_000))]));
    Entry::new(&call, &house.recorder).finish();
    house.until(|house| house.log.taken.lock().unwrap().len() == 1).await;
    let largest = house.log.taken.lock().unwrap()[0].encoded_len() + IDS;
    assert!(largest > 300 && largest * BATCH < Limits::internal().message as usize, "{largest} bytes each");
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_answer_was_lost_comes_again_under_its_number() {
    let house = House::new(Log::default());
    house.log.loses.store(3, SeqCst);
    house.record(0..BATCH + 400);
    house.until(|house| house.ids().len() == BATCH + 400).await;
    let taken = house.log.taken.lock().unwrap().clone();
    assert_eq!(taken.iter().map(|batch| batch.batch).collect::<Vec<_>>(), [1, 1, 1, 1, 2]);
    assert!(taken[..4].iter().all(|batch| *batch == taken[0]) && taken.iter().all(|batch| batch.gateway_id == taken[0].gateway_id));
    assert_eq!(house.end().await, (all(BATCH + 400), 0));
}

#[tokio::test(start_paused = true)]
async fn while_nobody_answers_the_oldest_give_way_and_are_counted() {
    let house = House::new(Log::default());
    house.log.loses.store(usize::MAX, SeqCst);
    house.record(0..500);
    house.until(|house| house.ids().len() == 500).await;
    house.record(500..30_000);
    let dropped = house.recorder.dropped();
    assert_eq!(dropped, 29_500 - 16_384);
    house.log.loses.store(0, SeqCst);
    let (ids, _) = house.end().await;
    let kept: Vec<String> = (0..500).chain(30_000 - 16_384..30_000).map(|id| id.to_string()).collect();
    assert_eq!(ids, kept);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_the_rest_is_shipped_also_the_batch_that_was_on_its_way() {
    let house = House::new(Log::default());
    house.log.loses.store(1, SeqCst);
    house.record(0..500);
    house.until(|house| house.ids().len() == 500).await;
    house.record(500..1_700);
    assert_eq!(house.end().await, (all(1_700), 0));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_answers_does_not_hold_up_the_end() {
    let house = House::new(Log::default());
    house.log.silent.store(1, SeqCst);
    house.record(0..700);
    let begun = Instant::now();
    let (ids, dropped) = house.end().await;
    assert_eq!((ids, dropped), (Vec::new(), 700));
    assert_eq!(begun.elapsed(), LAST);
}

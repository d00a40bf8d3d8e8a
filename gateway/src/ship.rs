//! Ships records to the events service: in batches, off the path of requests.
//!
//! One batch is on its way at a time, and is sent until it is answered; its number tells the service which one it is, so it counts once
//! however often it was sent. Meanwhile records wait in a queue that is bounded ([`crate::record`]); when the service is away for long,
//! the oldest give way and are counted.

use crate::record::{Record, Records, Transport};
use bytes::{Bytes, BytesMut};
use contract::{
    events::v1,
    internal::v1::{AppendRequestsRequest, RequestRecord, request_log_service_client::RequestLogServiceClient},
};
use http_body::Body;
use std::{error::Error, net::IpAddr, time::Duration};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::{Status, client::GrpcService};
use uuid::Uuid;

/// How long a drain ships what is left.
const LAST: Duration = Duration::from_secs(3);
/// Between two attempts: at first, and at most.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Some records and their number. The message is made for each attempt: nearly always there is one.
struct Batch {
    number: i64,
    records: Vec<Record>,
}

/// The way of one gateway's records.
pub struct Shipper<T> {
    records: Records,
    log: RequestLogServiceClient<T>,
    /// The time from one batch to the next: fewer and larger ones cost less.
    gather: Duration,
    due: Instant,
    /// Of this process: numbers of batches are its own.
    id: Uuid,
    batch: i64,
}

impl<T> Shipper<T>
where
    T: GrpcService<tonic::body::Body, Future: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
    T::ResponseBody: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>> + Send> + Send + 'static,
{
    /// Over a channel that signs for the events service. A batch is shipped `gather` after the last one, or when it is full; a second is good.
    /// What is asked now and then is on record at once.
    pub fn new(records: Records, channel: T, gather: Duration) -> Self {
        Self { records, log: RequestLogServiceClient::new(channel), gather, due: Instant::now(), id: Uuid::new_v4(), batch: 0 }
    }

    /// Until `stop`; then ships what is left, within 3 s.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut sending = None;
        while !stop.is_cancelled() {
            let Some(batch) = stop.run_until_cancelled(self.gathered()).await else { break };
            // Kept outside of the attempt: one that is cut off is tried again below.
            let batch = sending.insert(batch);
            if stop.run_until_cancelled(self.send(batch)).await.is_some() {
                sending = None;
            }
        }
        self.empty(sending).await;
    }

    /// Enough records, or all that came until it is time.
    async fn gathered(&mut self) -> Batch {
        self.records.at_least(1).await;
        timeout_at(self.due, self.records.at_least(crate::record::BATCH)).await.ok();
        self.due = Instant::now() + self.gather;
        self.next()
    }

    fn next(&mut self) -> Batch {
        self.batch += 1;
        let records = self.records.batch();
        Batch { number: self.batch, records }
    }

    /// Until it is answered.
    async fn send(&mut self, batch: &Batch) {
        let mut pause = PAUSE;
        while let Err(status) = self.log.append_requests(batch.message(self.id)).await {
            if pause == PAUSE {
                tell(&status, batch.records.len());
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn empty(&mut self, sending: Option<Batch>) {
        let mut left = sending.as_ref().map_or(0, |batch| batch.records.len()) + self.records.len();
        let last = async {
            let mut sending = sending;
            while let Some(batch) = sending.take().or_else(|| (!self.records.is_empty()).then(|| self.next())) {
                self.send(&batch).await;
                left -= batch.records.len();
            }
        };
        if timeout(LAST, last).await.is_err() {
            tracing::warn!(requests = left, "the last requests are not on record: the events service does not answer");
            self.records.lost(left);
        }
    }
}

fn tell(status: &Status, requests: usize) {
    tracing::warn!(code = ?status.code(), message = status.message(), requests, "the request log does not answer; they wait");
}

impl Batch {
    fn message(&self, gateway: Uuid) -> AppendRequestsRequest {
        let mut ids = Ids(BytesMut::with_capacity(16 + self.records.len() * OF_RECORD));
        let gateway_id = ids.of(Some(gateway));
        AppendRequestsRequest { gateway_id, batch: self.number, records: self.records.iter().map(|record| message(record, &mut ids)).collect() }
    }
}

/// Bytes of ids that a record has at most: seven of them, and its address.
const OF_RECORD: usize = 8 * 16;

/// Where the ids of a batch stand, one behind the other: an allocation for each would be most of what a record costs here.
struct Ids(BytesMut);

impl Ids {
    fn of(&mut self, id: Option<Uuid>) -> Bytes {
        id.map(|id| self.bytes(id.as_bytes())).unwrap_or_default()
    }

    fn bytes(&mut self, bytes: &[u8]) -> Bytes {
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
    }

    fn address(&mut self, address: IpAddr) -> Bytes {
        match address {
            IpAddr::V4(four) => self.bytes(&four.octets()),
            IpAddr::V6(six) => self.bytes(&six.octets()),
        }
    }
}

fn message(record: &Record, ids: &mut Ids) -> RequestRecord {
    let caller = record.caller.as_deref();
    let key = caller.and_then(|caller| caller.actor.key_id).map(|key| *key).or(record.denied.map(|(key, _)| key));
    let home = caller.map(|caller| caller.home).or(record.denied.map(|(_, group)| group));
    RequestRecord {
        time_micros: record.time,
        rpc: record.method.map(|method| method.path[1..].to_owned()).unwrap_or_default(),
        route: String::new(), // an rpc is called by its own path, so far
        transport: transport(record.transport).into(),
        code: record.code as i32,
        reason: record.reason.unwrap_or_default().into(),
        cost: record.cost.into(),
        latency_micros: i64::try_from(record.latency.as_micros()).unwrap_or(i64::MAX),
        bytes_in: i64::try_from(record.bytes_in).unwrap_or(i64::MAX),
        bytes_out: i64::try_from(record.bytes_out).unwrap_or(i64::MAX),
        address: ids.address(record.address),
        user_agent: record.user_agent.to_string(),
        actor_kind: caller.map(|caller| caller.actor.kind).unwrap_or_default().into(),
        actor_id: ids.of(caller.map(|caller| *caller.actor.id)),
        key_id: ids.of(key),
        home_group_id: ids.of(home.map(|group| *group)),
        organisation_id: ids.of(caller.map(|caller| *caller.root)),
        asked_group_id: ids.of(record.asked.map(|group| *group)),
        group_id: ids.of(record.acting.map(|acting| *acting.group)),
        call_id: record.call_id.to_string(),
        trace_id: ids.of(record.trace.map(|trace| trace.trace())),
        refused_by: record.refused_by.map(|name| name.word().to_owned()).unwrap_or_default(),
    }
}

fn transport(transport: Transport) -> v1::Transport {
    match transport {
        Transport::Grpc => v1::Transport::Grpc,
        Transport::GrpcWeb => v1::Transport::GrpcWeb,
    }
}

#[cfg(test)]
mod tests;

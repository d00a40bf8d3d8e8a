//! One line about each request, for the request log, the audit and the meter; its reader is the events service.

use crate::call::{Call, Meter};
use chassis::{acting::Acting, changes::Caller, clock::Clock, telemetry::TraceParent};
use contract::{Method, Reason, id::GroupId};
use http::HeaderValue;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use tonic::Code;

/// Requests that wait to be read; more are dropped and counted, for the log must never slow a request.
const WAITING: usize = 4_096;

/// The form in which a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// gRPC over HTTP/2.
    Grpc,
    /// grpc-web, binary or text.
    GrpcWeb,
}

/// One request and what became of it. Nothing in it is a copy of text: headers are counted references.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it ended, microseconds since 1970.
    pub time: i64,
    /// The rpc; `None` if there is no such one.
    pub method: Option<&'static Method>,
    /// In which form it came.
    pub transport: Transport,
    /// How it ended.
    pub code: Code,
    /// Why it was refused, by the gateway or the service.
    pub reason: Option<Reason>,
    /// What it cost, with what the service added.
    pub cost: u32,
    /// From its head to its last byte.
    pub latency: Duration,
    /// Bytes of its body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From where it came.
    pub address: IpAddr,
    /// The client's own name.
    pub user_agent: Option<HeaderValue>,
    /// Credential, actor, home and organisation.
    pub caller: Option<Arc<Caller>>,
    /// The group that `x-group-id` named.
    pub asked: Option<GroupId>,
    /// The acting group.
    pub acting: Option<Acting>,
    /// `x-request-id`.
    pub call_id: HeaderValue,
    /// Its trace.
    pub trace: Option<TraceParent>,
}

/// Takes records, and never waits.
#[derive(Debug)]
pub struct Recorder {
    sender: mpsc::Sender<Record>,
    dropped: AtomicU64,
    clock: Clock,
}

impl Recorder {
    /// The recorder, and where its records come out. Without a reader nothing is kept.
    #[must_use]
    pub fn new(clock: Clock) -> (Arc<Self>, mpsc::Receiver<Record>) {
        let (sender, records) = mpsc::channel(WAITING);
        (Arc::new(Self { sender, dropped: AtomicU64::new(0), clock }), records)
    }

    /// How many found no room: the newest are dropped, so that what was kept has no holes but at its end.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn keep(&self, record: Record) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(record) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// A record that is still being written: the call is under way.
pub struct Entry {
    recorder: Arc<Recorder>,
    read: Arc<Meter>,
    begun: tokio::time::Instant,
    record: Record,
}

impl Entry {
    /// Of a call that has been answered, though perhaps not to the end.
    #[must_use]
    pub fn new(call: &Call, recorder: &Arc<Recorder>) -> Self {
        let method = call.route.map(|route| route.method);
        let record = Record {
            time: 0,
            method,
            transport: call.transport,
            code: Code::Cancelled, // unless somebody says otherwise, it was dropped
            reason: call.reason,
            cost: method.map_or(0, |method| method.cost),
            latency: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            address: call.address.ip(),
            user_agent: call.user_agent.clone(),
            caller: call.caller.as_ref().map(|known| known.caller.clone()),
            asked: call.asked,
            acting: call.acting.map(|group| group.acting),
            call_id: call.id.clone(),
            trace: call.trace.as_ref().map(|trace| trace.parent()),
        };
        Self { recorder: recorder.clone(), read: call.read.clone(), begun: call.begun, record }
    }

    /// How it ends, as far as is known.
    pub fn ends(&mut self, code: Code, reason: Option<Reason>) {
        self.record.code = code;
        self.record.reason = reason.or(self.record.reason);
    }

    /// So many more bytes were answered.
    pub fn wrote(&mut self, bytes: usize) {
        self.record.bytes_out += bytes as u64;
    }

    /// It cost more.
    pub fn costs(&mut self, more: u32) {
        self.record.cost = self.record.cost.saturating_add(more);
    }

    /// The rpc and how it ended, in how long.
    #[must_use]
    pub fn outcome(&self) -> (Option<&'static Method>, Code, Duration) {
        (self.record.method, self.record.code, self.begun.elapsed())
    }

    /// The last byte is out, or nobody wants it.
    pub fn finish(mut self) {
        if self.recorder.sender.is_closed() {
            return;
        }
        self.record.time = self.recorder.clock.micros();
        self.record.latency = self.begun.elapsed();
        self.record.bytes_in = self.read.total();
        self.recorder.keep(self.record);
    }
}

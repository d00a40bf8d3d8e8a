//! One line about each request, for the request log, the audit and the meter; its reader is the events service.

mod queue;

pub(crate) use queue::BATCH;
pub use queue::{Recorder, Records};

use crate::{
    call::{Call, Meter},
    limiter::Name,
};
use chassis::{acting::Acting, changes::Caller, telemetry::TraceParent};
use contract::{Method, Reason, id::GroupId};
use http::HeaderValue;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tonic::Code;
use uuid::Uuid;

/// More of a client's name is not kept.
const LONGEST: usize = 256;

/// The form in which a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// gRPC over HTTP/2.
    Grpc,
    /// grpc-web, binary or text.
    GrpcWeb,
}

/// One request and what became of it. Its texts are copies: a header refers to the frame it came in, and a record may have to wait.
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
    /// What it took from the limits, with what the service added.
    pub cost: u32,
    /// The limit that refused it.
    pub refused_by: Option<Name>,
    /// From its head to its last byte.
    pub latency: Duration,
    /// Bytes of its body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From where it came.
    pub address: IpAddr,
    /// The client's own name, at most 256 bytes.
    pub user_agent: Box<str>,
    /// Credential, actor, home and organisation.
    pub caller: Option<Arc<Caller>>,
    /// A credential that is known and no longer good, and its group.
    pub denied: Option<(Uuid, GroupId)>,
    /// The group that `x-group-id` named.
    pub asked: Option<GroupId>,
    /// The acting group.
    pub acting: Option<Acting>,
    /// `x-request-id`.
    pub call_id: Box<str>,
    /// Its trace.
    pub trace: Option<TraceParent>,
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
            cost: call.cost,
            refused_by: call.refused_by,
            latency: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            address: call.address.ip(),
            user_agent: copied(call.user_agent.as_ref()),
            denied: call.denied,
            caller: call.caller.as_ref().map(|known| known.caller.clone()),
            asked: call.asked,
            acting: call.acting.map(|group| group.acting),
            call_id: copied(Some(&call.id)),
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

    /// The last byte is out, or nobody wants it: the rpc and how it ended, in how long.
    pub fn finish(mut self) -> (Option<&'static Method>, Code, Duration) {
        self.record.latency = self.begun.elapsed();
        let outcome = (self.record.method, self.record.code, self.record.latency);
        self.record.bytes_in = self.read.total();
        self.recorder.keep(self.record);
        outcome
    }
}

fn copied(text: Option<&HeaderValue>) -> Box<str> {
    let text = text.and_then(|text| text.to_str().ok()).unwrap_or_default(); // visible ASCII, so every byte is a character
    text[..text.len().min(LONGEST)].into()
}
